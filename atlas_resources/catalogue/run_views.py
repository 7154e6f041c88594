"""Views of how measuring went: everything that failed, what each instrument cost, and what came out again."""

from atlas_resources.catalogue._view import View, meanings
from atlas_resources.plates.run_contracts import ServerRecord
from atlas_resources.tables.groundwork import GROUNDWORK_FAILURES
from atlas_resources.tables.ledgers import RUNS
from atlas_resources.tables.records.reproductions import REPRODUCTIONS


def fix_first(message: str, command: str) -> str:
    """SQL: what the message says is to be done, then the command; the command alone if the message says nothing."""
    fix = f"nullif(regexp_extract({message}, 'Fix: ([^\\n]*)', 1), '')"
    missing = f"CASE WHEN {message} LIKE '%: does not exist' THEN 'put the registered file back' END"
    return f"concat_ws('; then: ', coalesce({fix}, {missing}), {command})"


FAILURES = View(
    "failures",
    f"""
    SELECT 'instrument' AS kind, plate_id, instrument, 'plates_structured/' || plate_id || '/runs/' || run_id AS path,
           error_stage AS stage, error_type, error_message AS message,
           {fix_first("error_message", "'atlas run @' || instrument || ' --plates ' || plate_id")} AS fix,
           attempt AS attempts, sealed_at AS failed_at,
           coalesce(
               attempt_from_last = 1 AND NOT has_result AND fingerprint = present_fingerprint
               AND source_sha256 = present_source_sha256 AND withdrawn_by IS NULL, false
           ) AS is_current
    FROM (
        SELECT *, bool_or(is_current) OVER (PARTITION BY plate_id, instrument) AS has_result,
               row_number() OVER (PARTITION BY plate_id, instrument ORDER BY sealed_at DESC, run_id DESC)
                   AS attempt_from_last
        FROM runs
    )
    LEFT JOIN (SELECT instrument, fingerprint AS present_fingerprint FROM models) USING (instrument)
    LEFT JOIN (SELECT plate_id, source_sha256 AS present_source_sha256 FROM plates) USING (plate_id)
    WHERE status = 'failed'
    UNION ALL
    SELECT 'groundwork', plate_id, NULL, 'plates_structured/' || plate_id || '/source', 'groundwork', error_type,
           message, {fix_first("message", "'atlas run @groundwork --plates ' || plate_id")},
           attempts, failed_at, coalesce(is_current, false)
    FROM groundwork_failures
    UNION ALL
    SELECT 'refused_scan', NULL, NULL, path, 'registration', NULL, reason, fix, NULL, last_refused_at, true
    FROM refused_scans
    """,
    "Everything that failed: instruments' failed runs, groundwork, and scans that registration refused. What is not "
    "current has a result by now, or is of another source or version.",
    meanings(
        GROUNDWORK_FAILURES,
        RUNS,
        kind="instrument, groundwork or refused_scan.",
        plate_id="Id of the plate; null for a refused scan.",
        instrument="Key of the instrument; null unless the kind is instrument.",
        path="What failed: the failed run's folder, the plate's source, or the refused file. Relative to the dataset's "
        "root, or absolute.",
        stage="Stage that failed: decode, preprocess, compute or seal of an instrument; groundwork; registration.",
        error_type="Type of the error; null for a refused scan.",
        message="Message of the error, or why the scan is refused.",
        fix="What the error says to do, if anything, then the command that tries again; null for a scan with neither.",
        attempts="Number of the failed attempt with the same source and version; null for a refused scan.",
        failed_at="When it failed last, UTC.",
        is_current="Whether it still keeps the plate or scan from being measured; not of what is withdrawn.",
    ),
)
_JSON_OF_SERVER = ("flags", "command", "files", "honoured", "notes")
_STAGES = ("decode", "preprocess", "compute", "seal")
_SUM = " + ".join(f"{stage}_seconds" for stage in _STAGES)
SECONDS = View(
    "seconds",
    f"""
    SELECT instrument, device, count(*) AS plate_count, count({_SUM}) AS timed_count,
           {", ".join(f"median({stage}_seconds) AS {stage}_median_seconds" for stage in _STAGES)},
           median({_SUM}) AS plate_median_seconds,
           {", ".join(f"sum({stage}_seconds) AS {stage}_total_seconds" for stage in _STAGES)},
           sum({_SUM}) AS total_seconds, max(peak_memory_bytes) AS peak_memory_bytes
    FROM runs WHERE is_current GROUP BY instrument, device
    """,
    "What each instrument's current results cost: median and total seconds per stage, and memory. Plates that were "
    "measured before seconds were kept are in plate_count, not in timed_count and not in the seconds.",
    meanings(
        RUNS,
        plate_count="Number of plates with a current result.",
        timed_count="Number of these whose seconds are known.",
        **{f"{stage}_median_seconds": f"Median {stage}_seconds of a plate, see runs." for stage in _STAGES},
        **{f"{stage}_total_seconds": f"Sum of {stage}_seconds, see runs." for stage in _STAGES},
        plate_median_seconds="Median of a plate's seconds in all stages.",
        total_seconds="Sum of all seconds.",
        peak_memory_bytes="Most memory that a process had used.",
    ),
)
LATEST_REPRODUCTIONS = View(
    "latest_reproductions",
    """
    SELECT reproductions.*, coalesce(runs.is_current, false) AS is_current
    FROM (
        SELECT * FROM reproductions
        QUALIFY row_number() OVER (PARTITION BY run_id, plate_id ORDER BY reproduced_at DESC, file DESC) = 1
    ) AS reproductions
    LEFT JOIN runs USING (run_id, plate_id)
    """,
    "The last verdict on each sealed result that was repeated.",
    meanings(REPRODUCTIONS, is_current="Whether the sealed result is the plate's current one."),
)
SERVERS = View(
    "servers",
    """
    SELECT server_sha256, server->>'$.program' AS program, server->>'$.version' AS version,
           server->>'$.flags' AS flags, server->>'$.dtype' AS dtype, server->>'$.device' AS device,
           server->>'$.command' AS command, server->>'$.endpoint' AS endpoint,
           server->>'$.model_name' AS model_name, server->>'$.model_id' AS model_id, server->>'$.files' AS files,
           server->>'$.host' AS host, (server->>'$.process_id')::INTEGER AS process_id,
           (server->>'$.started_at')::TIMESTAMPTZ AS started_at, server->>'$.attested_by' AS attested_by,
           server->>'$.honoured' AS honoured, server->>'$.notes' AS notes, instruments, plate_count
    FROM (
        SELECT server_sha256, any_value(server) AS server, list_sort(list(DISTINCT instrument)) AS instruments,
               count(*) AS plate_count
        FROM runs WHERE server_sha256 IS NOT NULL GROUP BY server_sha256
    )
    """,
    "The servers that answered in sealed runs, a row each: what was started, with which files, or who vouches for it, "
    "and what it was found to honour. Join texts by server_sha256.",
    {
        "server_sha256": "Digest of the server's record, as in texts and runs.",
        **{
            name: f"{(field.description or name).rstrip('.')}{', JSON.' if name in _JSON_OF_SERVER else '.'}"
            for name, field in ServerRecord.model_fields.items()
        },
        "instruments": "Keys of the instruments for which it answered.",
        "plate_count": "Number of their sealed runs on plates.",
    },
)

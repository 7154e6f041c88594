"""Macros that follow the edges of `lineage`: back to what something was made from, and forward to what depends on it.

Both skip the edges from a file to what its run read: the way over the run leads there too, and each step counts once.
"""

from atlas_resources.catalogue._view import Macro
from atlas_resources.catalogue.macros.refusals import Refusal, in_quotes, names_of, refusing
from atlas_resources.catalogue.macros.row_ids import RESULT_ROWS, TABLE_OF_ROLE

LEAST_DIGITS = 8
"""Digits of a digest that are enough to name it, if it is the only one that begins with them."""

_ASKED = {"asked": "digest::VARCHAR"}
_BEGUN = f"""
    SELECT coalesce(list(DISTINCT known_digest ORDER BY known_digest), [])
    FROM (
        SELECT subject_sha256 AS known_digest FROM lineage
        UNION ALL SELECT object_sha256 FROM lineage
        UNION ALL SELECT object FROM lineage WHERE object_kind = 'code'
    )
    WHERE regexp_matches(asked, '^[0-9a-f]{{{LEAST_DIGITS},}}$') AND starts_with(known_digest, asked)
"""
_IS_EXACT = """
    SELECT count(*) > 0 FROM lineage
    WHERE asked IN (subject, subject_sha256, object, object_sha256, plate_id, run_id, instrument)
"""
_NAMES = names_of(
    "known_name",
    "FROM (SELECT plate_id AS known_name FROM plates UNION SELECT run_id FROM runs UNION SELECT instrument FROM runs)",
)
_AMBIGUOUS = Refusal(
    "NOT is_exact AND len(begun) > 1",
    "asked || ' begins ' || len(begun) || ' digests: ' || array_to_string(begun[1:3], ', ') || '. Give more digits.'",
    {"is_exact": _IS_EXACT, "begun": _BEGUN},
)
_UNKNOWN = Refusal(
    "NOT coalesce(is_exact, false) AND len(begun) = 0",
    f"'no digest, run, plate or instrument ' || {in_quotes('asked')} || '.' || did_you_mean(asked, names) || "
    f"CASE WHEN regexp_matches(asked, '^[0-9a-f]{{1,{LEAST_DIGITS - 1}}}$') "
    f"THEN ' Give at least {LEAST_DIGITS} digits of a digest.' ELSE '' END || ' What there is: FROM lineage.'",
    {"names": _NAMES},
)
_THING = f"""
    thing AS (
        SELECT CASE WHEN len(begun) = 1 THEN begun[1] ELSE asked END AS name
        FROM (SELECT asked, ({_BEGUN}) AS begun FROM asked)
    )
"""
_EDGES = "lineage WHERE NOT (subject_kind = 'file' AND relation = 'wasDerivedFrom')"

_EDGE_COLUMNS = (
    *("depth", "relation", "subject_kind", "subject", "subject_sha256"),
    *("object_kind", "object", "object_sha256", "object_name"),
)
LINEAGE_OF = Macro(
    "lineage_of",
    ("digest",),
    refusing(
        "lineage_of",
        _EDGE_COLUMNS,
        _ASKED,
        f"""
        WITH RECURSIVE {_THING},
        reached AS (
            SELECT DISTINCT 1 AS depth, subject AS node
            FROM thing, lineage WHERE name IN (subject, subject_sha256, plate_id, run_id, instrument)
            UNION
            SELECT depth + 1, object FROM reached JOIN (FROM {_EDGES}) AS edges ON subject = node
        )
        SELECT depth, relation, subject_kind, subject, subject_sha256, object_kind, object, object_sha256, object_name
        FROM (SELECT min(depth) AS depth, node FROM reached GROUP BY node) JOIN lineage ON subject = node
        ORDER BY depth, subject, relation, object
        """,
        _AMBIGUOUS,
        _UNKNOWN,
    ),
    "What something was made from, back to the scan: the edges of lineage that are reached from a digest (or the first "
    f"{LEAST_DIGITS} or more digits of one), the path of a file, a run, a plate or an instrument. depth counts steps.",
)
_IS_CURRENT = "is_current::BOOLEAN AS is_current"  # DuckDB 1.4 makes an INTEGER of a BOOLEAN in a union with NULL
AFFECTED_BY = Macro(
    "affected_by",
    ("digest",),
    refusing(
        "affected_by",
        ("depth", "relation", "kind", "plate_id", "instrument", "run_id", "table_name", "row_count", _IS_CURRENT),
        _ASKED,
        f"""
        WITH RECURSIVE {_THING},
        seeds AS (
            SELECT object AS node FROM thing, lineage
            WHERE name IN (object, object_sha256) OR (object_kind = 'source' AND plate_id = name)
            UNION
            SELECT subject FROM thing, lineage
            WHERE name IN (subject, subject_sha256) OR (subject_kind = 'run' AND name IN (run_id, instrument))
        ),
        steps AS (
            SELECT 0 AS depth, 'wasGeneratedBy' AS relation, node FROM seeds
            UNION
            SELECT depth + 1, edges.relation, subject FROM steps JOIN (FROM {_EDGES}) AS edges ON object = node
        ),
        reached AS (
            SELECT min(depth) AS depth, arg_min(relation, depth) AS relation, node, NULL::VARCHAR AS file
            FROM steps GROUP BY node
            UNION ALL
            SELECT 0, 'wasDerivedFrom', object, parse_filename(subject)
            FROM seeds JOIN lineage ON subject = node AND relation = 'wasGeneratedBy'
        ),
        results AS (
            SELECT depth, relation, runs.plate_id, instrument, runs.run_id, status, is_current,
                   CASE WHEN status = 'failed' THEN 'runs' ELSE {TABLE_OF_ROLE} END AS table_name
            FROM reached JOIN runs ON node = runs.plate_id || '/runs/' || runs.run_id
            WHERE file IS NULL OR file LIKE '%.parquet'
        ),
        counts AS (
            SELECT plate_id, run_id, count(*) AS row_count FROM {RESULT_ROWS}
            WHERE run_id IN (SELECT run_id FROM results) GROUP BY ALL
        ),
        facts AS (
            SELECT plate_id, 'plates' AS table_name, ['input_image.json', 'groundwork.json'] AS files, is_current
            FROM plates WHERE measure_version IS NOT NULL
            UNION ALL
            SELECT plate_id, 'histograms', ['input_color_histograms.json'], is_current FROM histograms
        )
        FROM (
            SELECT depth, relation, CASE WHEN status = 'failed' THEN 'failed_run' ELSE 'result' END AS kind, plate_id,
                   instrument, run_id, table_name,
                   CASE WHEN status = 'failed' THEN 1 ELSE coalesce(row_count, 0) END AS row_count, is_current
            FROM results LEFT JOIN counts USING (plate_id, run_id)
            UNION ALL
            SELECT depth, relation, 'groundwork', plate_id, 'groundwork', NULL, table_name, 1, is_current
            FROM reached JOIN facts ON node = plate_id || '/groundwork' AND (file IS NULL OR list_contains(files, file))
            UNION ALL
            SELECT min(depth) + 1, 'wasDerivedFrom', 'comparison', sets.plate_id, sets.instrument, sets.run_id,
                   'segment_sets', count(DISTINCT coalesce(foreground_run_id, '')), true
            FROM segment_sets AS sets
            JOIN (FROM results WHERE table_name = 'segments') AS compared
                ON compared.plate_id = sets.plate_id AND compared.run_id IN (sets.run_id, sets.foreground_run_id)
            GROUP BY sets.plate_id, sets.instrument, sets.run_id
        )
        ORDER BY ALL
        """,
        _AMBIGUOUS,
        _UNKNOWN,
    ),
    "All rows that depend on something, by table, plate and run: on a digest (of a weights file, source, prompt, "
    f"sealed file or fingerprint, or its first {LEAST_DIGITS} or more digits), a run, plate or instrument. depth is "
    "how many edges of lineage lead from the run that made the rows to it, and relation the first; 0 for its own rows.",
)
MACROS = (LINEAGE_OF, AFFECTED_BY)

"""The macro `why`: where an instrument's result on a plate, one row of it, or the plate's groundwork comes from."""

from atlas_resources.catalogue._view import Macro, literal
from atlas_resources.catalogue.macros.refusals import (
    INSTRUMENT,
    PLATE,
    UNKNOWN_PLATE,
    Refusal,
    in_quotes,
    listed,
    names_of,
    refusing,
    unknown_name,
)
from atlas_resources.catalogue.macros.row_ids import RESULT_ROWS, TABLE_OF_ROLE
from atlas_resources.tables.groundwork import FACTS, HISTOGRAMS

_COLUMNS = (
    *("plate_id", "instrument", "source_sha256", "source_image", "model_id", "model_sha", "weights_sha256"),
    *("preprocess_tag", "preprocessing", "parameters", "fingerprint", "licence", "device", "dtype", "packages"),
    *("code_git_sha", "code_is_dirty", "run_id", "dagster_run_id", "sealed_at", "inputs", "output_path"),
    *("output_sha256", "table_name", "row_id", "row_count", "weights_files", "prompt_sets", "prompt"),
    *("measure_version", "environment_sha256", "origin"),
)
_CHANNELS = ("red", "green", "blue", "luminance", "lab")
_SHARED = {"plate_id", "measure_version", "source_sha256", "is_current"}
_FACTS = sorted({column.name for column in FACTS} - _SHARED)
_COUNTS = sorted(HISTOGRAMS.schema.keys() - _SHARED)


def _list(names: list[str]) -> str:
    return f"[{', '.join(map(literal, names))}]"


_ROW_IDS = f"""
    SELECT CASE WHEN asked_instrument = 'groundwork' THEN (
        SELECT {_list(sorted({*_FACTS, *_COUNTS}))} FROM histograms WHERE plate_id = asked_plate AND is_current
    ) ELSE (
        SELECT CASE WHEN count(*) > 0 THEN coalesce(list(DISTINCT row_id) FILTER (row_id IS NOT NULL), []) END
        FROM runs LEFT JOIN {RESULT_ROWS} AS result_rows
            ON result_rows.plate_id = runs.plate_id AND result_rows.run_id = runs.run_id
        WHERE asked_row IS NOT NULL AND runs.plate_id = asked_plate AND instrument = asked_instrument AND is_current
    ) END
"""
_IS_BIN = f"""
    SELECT count(*) > 0 FROM histograms
    WHERE plate_id = asked_plate AND asked_instrument = 'groundwork'
        AND regexp_matches(asked_row, '^({"|".join(_CHANNELS)})/[0-9]{{1,9}}$')
        AND split_part(asked_row, '/', 2)::BIGINT < CASE WHEN asked_row LIKE 'lab/%' THEN len(lab) ELSE 256 END
"""
_UNKNOWN_ROW = Refusal(
    "asked_row IS NOT NULL AND NOT list_contains(row_ids, asked_row) AND NOT is_bin",
    f"'no row ' || {in_quotes('asked_row')} || '.' || did_you_mean(asked_row, row_ids) || ' ' || asked_plate || "
    f"' has these of ' || asked_instrument || ': ' || {listed('list_sort(row_ids)')} || '.'",
    {"row_ids": _ROW_IDS, "is_bin": _IS_BIN},
)
_UNKNOWN_INSTRUMENT = unknown_name(
    "instrument",
    "asked_instrument",
    "instruments",
    names_of(
        "instrument", "FROM (SELECT instrument FROM models UNION SELECT instrument FROM runs UNION SELECT 'groundwork')"
    ),
    "' ' || (len(instruments) - 1) || ' instruments are declared: FROM models.'",
)


def _pinned(name: str, kind: str) -> str:
    """SQL of the files or prompt sets that each instrument was pinned to, by its fingerprint."""
    return f"""
        SELECT fingerprint, list({{'name': object_name, 'sha256': object_sha256}} ORDER BY object_name) AS {name}
        FROM (
            SELECT subject AS fingerprint, object_kind, object_name, object_sha256
            FROM lineage WHERE subject_kind = 'instrument'
            UNION
            SELECT whole.subject, part.object_kind, part.object_name, part.object_sha256
            FROM lineage AS whole JOIN lineage AS part ON part.subject = whole.object AND part.relation = 'hadMember'
            WHERE whole.subject_kind = 'instrument' AND whole.object_kind = 'weights_set'
        ) WHERE object_kind = '{kind}' GROUP BY fingerprint
    """


_RESULTS = f"""
    SELECT runs.plate_id, runs.instrument, runs.source_sha256, plates.source_image, runs.model_id, runs.model_sha,
           runs.weights_sha256, runs.preprocess_tag, models.preprocessing, models.parameters, runs.fingerprint,
           runs.licence, runs.device, runs.dtype, runs.packages, runs.code_git_sha, runs.code_is_dirty,
           runs.run_id, runs.dagster_run_id, runs.sealed_at, list_sort(runs.inputs) AS inputs,
           [file FOR file IN runs.outputs IF file.path LIKE '%.parquet'][1].path AS output_path,
           [file FOR file IN runs.outputs IF file.path LIKE '%.parquet'][1].sha256 AS output_sha256,
           {TABLE_OF_ROLE} AS table_name, asked_row AS row_id, coalesce(found_rows.row_count, 0) AS row_count,
           weights_files, prompt_sets, found_rows.prompt, environments.environment_sha256,
           coalesce(plates.origin_url, plates.download_url) AS origin
    FROM asked
    JOIN runs ON runs.plate_id = asked_plate AND runs.instrument = asked_instrument AND runs.is_current
    LEFT JOIN plates ON plates.plate_id = runs.plate_id
    LEFT JOIN models ON models.instrument = runs.instrument AND models.fingerprint = runs.fingerprint
    LEFT JOIN (
        SELECT asked_plate AS plate_id, asked_row AS asked_id, runs.run_id, count(*) AS row_count,
               CASE WHEN asked_row IS NOT NULL AND prompt_sha256 IS NOT NULL
                    THEN {{'set': prompt_set, 'version': prompt_version, 'id': prompt_id, 'sha256': prompt_sha256}}
               END AS prompt
        FROM asked
        JOIN runs ON runs.plate_id = asked_plate AND runs.instrument = asked_instrument AND runs.is_current
        JOIN {RESULT_ROWS} AS result_rows ON result_rows.plate_id = runs.plate_id AND result_rows.run_id = runs.run_id
        WHERE asked_row IS NULL OR row_id = asked_row
        GROUP BY ALL
    ) AS found_rows
        ON found_rows.plate_id = runs.plate_id AND found_rows.run_id = runs.run_id
        AND asked_id IS NOT DISTINCT FROM asked_row
    LEFT JOIN ({_pinned("weights_files", "weights")}) AS weights ON weights.fingerprint = runs.fingerprint
    LEFT JOIN ({_pinned("prompt_sets", "prompt_set")}) AS prompts ON prompts.fingerprint = runs.fingerprint
    LEFT JOIN (
        SELECT plate_id, run_id, object AS environment_sha256 FROM lineage WHERE object_kind = 'environment'
    ) AS environments ON environments.plate_id = runs.plate_id AND environments.run_id = runs.run_id
"""
_GROUNDWORK = f"""
    SELECT plates.plate_id, 'groundwork' AS instrument, facts.source_sha256, plates.source_image,
           plates.colour_policy.name AS preprocess_tag, plates.colour_policy::JSON::VARCHAR AS preprocessing,
           plates.groundwork_code_git_sha AS code_git_sha, plates.groundwork_code_is_dirty AS code_is_dirty,
           plates.groundwork_measured_at AS sealed_at,
           [{{'path': 'source/' || plates.source_image, 'sha256': facts.source_sha256}}] AS inputs,
           facts.output_path, facts.output_sha256, facts.table_name, asked_row AS row_id, 1 AS row_count,
           facts.measure_version, coalesce(plates.origin_url, plates.download_url) AS origin
    FROM asked
    JOIN plates ON plates.plate_id = asked_plate AND asked_instrument = 'groundwork'
    JOIN (
        SELECT plate_id, measured_source_sha256 AS source_sha256, measure_version, 'plates' AS table_name,
               'derived/input_image.json' AS output_path, input_image_sha256 AS output_sha256, {_list(_FACTS)} AS names
        FROM plates WHERE is_current
        UNION ALL
        SELECT plate_id, source_sha256, measure_version, 'histograms', 'derived/input_color_histograms.json',
               file_sha256, {_list(_COUNTS)}
        FROM histograms WHERE is_current
    ) AS facts
        ON facts.plate_id = plates.plate_id
        AND (asked_row IS NULL OR list_contains(names, split_part(asked_row, '/', 1)))
"""
WHY = Macro(
    "why",
    ("plate", "instrument_key"),
    refusing(
        "why",
        _COLUMNS,
        {**PLATE, **INSTRUMENT, "asked_row": "row_key::VARCHAR"},
        f"{_RESULTS} UNION ALL BY NAME {_GROUNDWORK}",
        UNKNOWN_PLATE,
        _UNKNOWN_INSTRUMENT,
        _UNKNOWN_ROW,
    ),
    "Where an instrument's current result on a plate comes from, in one row: source, model, weights, prompts, "
    "parameters, code, run, the input files and the sealed file with their sha256. row_key := 'mask-0002' asks for one "
    "of its rows: a segment, tile, label, box, or plate for the vector of the whole plate. The instrument groundwork "
    "gives a row for the facts in plates and one for the counts in histograms; its row_key is a column, or a bin such "
    "as lab/17. No row for a plate without a current result.",
    optional=("row_key",),
)

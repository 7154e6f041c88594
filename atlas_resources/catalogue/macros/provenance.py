"""The macro `why`: where an instrument's result on a plate comes from."""

from atlas_resources.catalogue._view import Macro
from atlas_resources.catalogue.macros.refusals import INSTRUMENT, PLATE, UNKNOWN_PLATE, names_of, refusing, unknown_name

_COLUMNS = (
    *("plate_id", "instrument", "source_sha256", "source_image", "model_id", "model_sha", "weights_sha256"),
    *("preprocess_tag", "preprocessing", "parameters", "fingerprint", "licence", "device", "dtype", "packages"),
    *("code_git_sha", "code_is_dirty", "run_id", "dagster_run_id", "sealed_at", "inputs", "output_path"),
    "output_sha256",
)
WHY = Macro(
    "why",
    ("plate", "instrument_key"),
    refusing(
        "why",
        _COLUMNS,
        {**PLATE, **INSTRUMENT},
        """
        SELECT runs.plate_id, runs.instrument, runs.source_sha256, plates.source_image, runs.model_id, runs.model_sha,
               runs.weights_sha256, runs.preprocess_tag, models.preprocessing, models.parameters, runs.fingerprint,
               runs.licence, runs.device, runs.dtype, runs.packages, runs.code_git_sha, runs.code_is_dirty,
               runs.run_id, runs.dagster_run_id, runs.sealed_at, files.inputs, files.output_path, files.output_sha256
        FROM asked
        JOIN runs ON runs.plate_id = asked_plate AND runs.instrument = asked_instrument AND runs.is_current
        LEFT JOIN plates ON plates.plate_id = runs.plate_id
        LEFT JOIN models ON models.instrument = runs.instrument AND models.fingerprint = runs.fingerprint
        LEFT JOIN (
            SELECT plate_id, run_id, output_path, output_sha256,
                   list({'path': input_path, 'sha256': input_sha256} ORDER BY input_path) AS inputs
            FROM lineage WHERE output_path LIKE '%.parquet' GROUP BY ALL
        ) AS files ON files.plate_id = runs.plate_id AND files.run_id = runs.run_id
        """,
        UNKNOWN_PLATE,
        unknown_name(
            "instrument",
            "asked_instrument",
            "instruments",
            names_of("instrument", "FROM (SELECT instrument FROM models UNION SELECT instrument FROM runs)"),
            "' ' || len(instruments) || ' instruments are declared: FROM models.'",
        ),
    ),
    "Where an instrument's current result on a plate comes from, in one row: source, model, weights, parameters, code, "
    "run, the input files and the sealed file with their sha256. No row for a plate without a current result.",
)

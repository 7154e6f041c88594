"""Which columns of the other ledgers `lineage` reads, and which of them each of its columns is made of."""

from collections.abc import Mapping, Sequence

from atlas_resources.tables.ledgers import HISTOGRAMS, PLATES, RUNS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import Table

PROMPT_COLUMNS = ("fingerprint", "instrument", "prompt_set", "prompt_version", "prompt_id", "prompt_sha256")
PROMPTED = tuple(table for table in INSTRUMENT_TABLES.values() if set(PROMPT_COLUMNS) <= table.schema.keys())
"""The tables whose rows name the prompt that they answer."""
_ENVIRONMENT = ("device", "packages", "accelerator", "driver", "cuda", "cudnn", "modes")
_GROUNDWORK = ("plate_id", "measure_version", "source_sha256")
HISTOGRAM_COLUMNS = (*_GROUNDWORK, "file_sha256")

LINEAGE_READS: Sequence[tuple[Table, Sequence[str]]] = (
    (RUNS, RUNS.schema.names()),
    (
        PLATES,
        (
            *_GROUNDWORK,
            *("source_image", "download_url", "origin_url", "origin_index", "origin_index_sha256"),
            "measured_source_sha256",
            *("input_image_sha256", "groundwork_sha256", "groundwork_code_git_sha"),
        ),
    ),
    (HISTOGRAMS, HISTOGRAM_COLUMNS),
    *((table, PROMPT_COLUMNS) for table in PROMPTED),
)
"""The ledgers that `lineage` is made of, and what it reads of each."""
LINEAGE_MADE_OF: Mapping[str, tuple[str, ...]] = {
    "subject": ("outputs", "plate_id", "run_id", "fingerprint", "source_sha256", "prompt_set", "prompt_version"),
    "subject_sha256": (
        *("outputs", "fingerprint", "source_sha256", "weights_sha256"),
        *("input_image_sha256", "groundwork_sha256", "file_sha256", "prompt_set", "prompt_version"),
    ),
    "object": (
        *("inputs", "fingerprint", "preprocess_tag", *_ENVIRONMENT, "code_git_sha", "model_id", "model_sha"),
        *("weights_sha256", "measure_version", "source_sha256", "measured_source_sha256"),
        *("download_url", "origin_url", "origin_index_sha256"),
        *("groundwork_code_git_sha", "prompt_sha256"),
    ),
    "object_sha256": (
        *("inputs", "fingerprint", *_ENVIRONMENT, "weights_sha256"),
        *("source_sha256", "measured_source_sha256", "origin_index_sha256", "prompt_sha256"),
    ),
    "object_name": (
        "inputs",
        "instrument",
        "model_id",
        "device",
        "accelerator",
        "source_image",
        "origin_index",
        "prompt_id",
    ),
}
"""Columns of these ledgers that those of `lineage` are made of."""

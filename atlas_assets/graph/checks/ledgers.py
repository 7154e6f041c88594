"""Checks of the ledgers' rows. A blocking check keeps wrong rows out of the catalogue."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from atlas_assets.graph.checks.finding import Finding, build_check, current_rows, finding_metadata
from atlas_assets.graph.ledger_origins import ledger_key
from atlas_assets.ui.metadata import summary
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.left_out import find_left_out
from atlas_resources.ledgers.parquet import KEY_COLUMNS, read_ledger, read_sealed_rows, sealed_runs
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource
from atlas_resources.runs.faults import SealedFault
from atlas_resources.tables.ledgers import HISTOGRAMS, PLATES, RUNS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.soundness import (
    unsound_boxes,
    unsound_masks,
    unsound_scores,
    unsound_texts,
    unsound_vectors,
)
from atlas_resources.tables.table import IS_CURRENT, Table

EMBEDDINGS, SEGMENTS, PROBES, DETECTIONS, TEXTS, KEPT = (
    INSTRUMENT_TABLES[role] for role in ("embedding", "segmentation", "probe", "detection", "text", "pruning")
)

WHOLE = "sealed_files_are_whole"
WHOLE_MEANING = "Files of sealed runs have the digests they were sealed with. A run that is not whole is left out."
ALSO_READ = {"masks_are_of_the_raw_set": (SEGMENTS,), "boxes_are_sound": (PLATES,), "texts_are_sound": (PLATES,)}
"""Other ledgers that a check reads."""


def _differing(table: Table, ledger: pl.DataFrame, sealed: pl.DataFrame, faults: Sequence[SealedFault]) -> list[str]:
    """How the ledger differs from the sealed files. Runs with a file that is not as it was sealed are not compared."""
    altered = [(fault.path.parent.name, fault.plate_id) for fault in faults]
    keys = pl.DataFrame(altered, schema=dict.fromkeys(KEY_COLUMNS, pl.String), orient="row")
    ledger = ledger.join(keys, on=KEY_COLUMNS, how="anti")
    truth = table.conform(sealed.with_columns(pl.lit(False).alias(IS_CURRENT.name)))
    if truth.drop(IS_CURRENT.name).equals(ledger.drop(IS_CURRENT.name)):
        return []
    return [f"{ledger.height} rows in the ledger, {truth.height} in the plates' sealed files, or other values"]


def _left_out(dataset: Dataset) -> tuple[int, list[str]]:
    """Finds what keeps runs out of the ledgers: files and folders that are not as they were sealed."""
    return len(sealed_runs(dataset)), [str(fault) for fault in find_left_out(dataset)]


def _unsound(table: Table, unsound_rows: Callable[[pl.DataFrame], Iterable[str]]) -> Finding:
    def find(dataset: Dataset) -> tuple[int, list[str]]:
        rows = current_rows(dataset, table)
        return rows.height, list(unsound_rows(rows))

    return find


def _declared_dims(registry: Registry) -> dict[str, int]:
    return {key: dim for one in registry.instruments.values() for key, dim in one.vector_dims.items()}


def _unsound_places(table: Table, unsound_rows: Callable[[pl.DataFrame, pl.DataFrame], Iterable[str]]) -> Finding:
    """Of rows with a place on their plate, which is compared with the plate's size."""

    def find(dataset: Dataset) -> tuple[int, list[str]]:
        rows = current_rows(dataset, table)
        return rows.height, list(unsound_rows(rows, read_ledger(dataset, PLATES)))

    return find


def _foreign_segments(dataset: Dataset) -> tuple[int, list[str]]:
    """Finds verdicts on masks that no raw set has. Older sets count: a plate may since be segmented again."""
    rows = current_rows(dataset, KEPT)
    raw = read_ledger(dataset, SEGMENTS).select("plate_id", "segment_id", "mask_sha256", segmenter="instrument")
    foreign = rows.join(raw, on=raw.columns, how="anti").select("plate_id", "segmenter", "segment_id", "mask_sha256")
    return rows.height, [
        f"{plate_id} {key} {segment_id}: no such mask, {sha256[:12]}..., in segments"
        for plate_id, key, segment_id, sha256 in foreign.iter_rows()
    ]


def _unsound_histograms(dataset: Dataset) -> tuple[int, list[str]]:
    rows = read_ledger(dataset, HISTOGRAMS)
    wrong = []
    for name in ("red", "green", "blue", "luminance", "lab"):
        bad = rows.filter(pl.col(name).list.sum() != pl.col("pixel_count"))
        wrong += [
            f"{plate_id}: {name} does not sum to {count}"
            for plate_id, count in bad.select("plate_id", "pixel_count").iter_rows()
        ]
    return rows.height, wrong


def _foreign_weights(registry: Registry) -> Finding:
    """Fingerprints cover the weights, so a current row can differ only in a ledger that was altered."""
    pinned = {key: instrument.identity.weights_sha256 for key, instrument in registry.instruments.items()}

    def find(dataset: Dataset) -> tuple[int, list[str]]:
        rows = current_rows(dataset, RUNS)
        found = rows.select("instrument", "weights_sha256").unique().sort("instrument").iter_rows()
        return rows.height, [
            f"{key}: weights {sha256}, the spec pins {pinned.get(key)}"
            for key, sha256 in found
            if key not in pinned or sha256 != pinned[key]
        ]

    return find


def _build_sealed_checks(table: Table, role: str) -> Any:
    """The two checks that compare a ledger with the plates' sealed files, which they read once for both.

    A ledger that differs keeps the catalogue from being rebuilt. A file that changed after its rows were taken does
    not: the ledger has the rows that were sealed.
    """
    key = ledger_key(table)

    @dg.multi_asset_check(
        name=f"{table.name}_and_sealed_files",
        specs=[
            dg.AssetCheckSpec(WHOLE, asset=key, description=WHOLE_MEANING),
            dg.AssetCheckSpec(
                "equals_sealed_files",
                asset=key,
                description="The ledger holds exactly the rows of the plates' sealed files.",
                blocking=True,
            ),
        ],
    )
    def check(dataset: DatasetResource) -> Iterator[dg.AssetCheckResult]:
        opened = dataset.open()
        ledger = read_ledger(opened, table)
        sealed, faults = read_sealed_rows(opened, role)
        found = {
            WHOLE: [str(fault) for fault in faults],
            "equals_sealed_files": _differing(table, ledger, sealed, faults),
        }
        for name, wrong in found.items():
            metadata = finding_metadata(ledger.height, wrong)
            yield dg.AssetCheckResult(
                asset_key=key, check_name=name, passed=not wrong, description=summary(wrong), metadata=metadata
            )

    return check


def build_ledger_checks(registry: Registry) -> list[Any]:
    """Builds the checks of every ledger."""
    return [*_sealed_checks(), *_row_checks(registry)]


def _sealed_checks() -> list[Any]:
    of_tables = [_build_sealed_checks(table, role) for role, table in INSTRUMENT_TABLES.items()]
    return [build_check(RUNS, WHOLE, WHOLE_MEANING, _left_out, severity=dg.AssetCheckSeverity.ERROR), *of_tables]


def _row_checks(registry: Registry) -> list[Any]:
    """Rows that contradict themselves or their spec; a wrong one keeps the catalogue from being rebuilt."""
    checks = (
        (
            EMBEDDINGS,
            "vectors_are_sound",
            "Vectors are finite, of the declared length, and of the recorded norm.",
            _unsound(EMBEDDINGS, partial(unsound_vectors, dims=_declared_dims(registry))),
        ),
        (
            SEGMENTS,
            "masks_are_sound",
            "Masks have the recorded area, box and digest.",
            _unsound(SEGMENTS, unsound_masks),
        ),
        (KEPT, "masks_are_of_the_raw_set", "Each verdict is on a mask in `segments`.", _foreign_segments),
        (
            PROBES,
            "scores_sum_to_one",
            "Scores are finite; those of a softmax sum to 1.",
            _unsound(PROBES, unsound_scores),
        ),
        (
            DETECTIONS,
            "boxes_are_sound",
            "Boxes have edges in order, the same in pixels and as shares of the plate; scores are 0 to 1.",
            _unsound_places(DETECTIONS, unsound_boxes),
        ),
        (
            TEXTS,
            "texts_are_sound",
            "Texts are marked as machine-made; boxes are around their corners and on the plate; scores are 0 to 1.",
            _unsound_places(TEXTS, unsound_texts),
        ),
        (HISTOGRAMS, "counts_sum_to_pixels", "Each histogram sums to the plate's pixels.", _unsound_histograms),
        (
            RUNS,
            "weights_are_the_pinned_ones",
            "The weights' digests are those that the specs pin.",
            _foreign_weights(registry),
        ),
    )
    error = dg.AssetCheckSeverity.ERROR
    return [
        build_check(table, name, meaning, find, severity=error, is_blocking=True, also_read=ALSO_READ.get(name, ()))
        for table, name, meaning, find in checks
    ]

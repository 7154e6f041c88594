"""Checks of the ledgers. A blocking check keeps wrong rows out of the catalogue; the others report."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from atlas_assets.graph.ledgers import ledger_key
from atlas_assets.roles.soundness import changed_source
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.output import VectorOutput
from atlas_resources.ledgers.left_out import find_left_out
from atlas_resources.ledgers.parquet import KEY_COLUMNS, read_ledger, read_sealed_rows, sealed_runs
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource
from atlas_resources.runs.faults import SealedFault
from atlas_resources.tables.ledgers import HISTOGRAMS, MODELS, PLATES, RUNS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.soundness import unsound_boxes, unsound_masks, unsound_scores, unsound_vectors
from atlas_resources.tables.table import IS_CURRENT, Table

EMBEDDINGS, SEGMENTS, PROBES, DETECTIONS, KEPT = (
    INSTRUMENT_TABLES[role] for role in ("embedding", "segmentation", "probe", "detection", "pruning")
)

WHOLE = "sealed_files_are_whole"
WHOLE_MEANING = "Files of sealed runs have the digests they were sealed with. A run that is not whole is left out."
ALSO_READ = {"masks_are_of_the_raw_set": (SEGMENTS,), "boxes_are_sound": (PLATES,)}
"""Other ledgers that a check reads; they are refreshed before it in the same run."""

Finding = Callable[[Dataset], tuple[int, list[str]]]  # number of rows checked, and a line per wrong row


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


def _current(dataset: Dataset, table: Table) -> pl.DataFrame:
    return read_ledger(dataset, table).filter(IS_CURRENT.name)


def _unsound(table: Table, unsound_rows: Callable[[pl.DataFrame], Iterable[str]]) -> Finding:
    def find(dataset: Dataset) -> tuple[int, list[str]]:
        rows = _current(dataset, table)
        return rows.height, list(unsound_rows(rows))

    return find


def _declared_dims(registry: Registry) -> dict[str, int]:
    return {
        key: instrument.spec.output.dim
        for key, instrument in registry.instruments.items()
        if isinstance(instrument.spec.output, VectorOutput)
    }


def _unsound_boxes(dataset: Dataset) -> tuple[int, list[str]]:
    rows = _current(dataset, DETECTIONS)
    return rows.height, list(unsound_boxes(rows, read_ledger(dataset, PLATES)))


def _foreign_segments(dataset: Dataset) -> tuple[int, list[str]]:
    """Finds verdicts on masks that no raw set has. Older sets count: a plate may since be segmented again."""
    rows = _current(dataset, KEPT)
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


def _too_few_objectives(registry: Registry) -> Finding:
    """Agreement of two embeddings proves little if they were trained for the same objective: they err alike."""
    objective_of = {
        key: instrument.spec.objective
        for key, instrument in registry.instruments.items()
        if instrument.spec.role == "embedding"
    }

    def find(dataset: Dataset) -> tuple[int, list[str]]:
        rows = _current(dataset, EMBEDDINGS)
        keys = [key for key in sorted(registry.active & objective_of.keys()) if (rows["instrument"] == key).any()]
        found = {objective for key in keys if (objective := objective_of[key]) is not None}
        if len(found) >= 2:
            return len(keys), []
        listed = ", ".join(f"{key} ({objective_of[key] or 'objective not declared'})" for key in keys) or "none"
        return len(keys), [
            f"expected active embeddings of at least 2 training objectives, found {len(found)}: {listed}. "
            f"Fix: name another in model_specs/roster.yaml; `atlas models list --set minimum` shows two that differ"
        ]

    return find


def _foreign_weights(registry: Registry) -> Finding:
    """Fingerprints cover the weights, so a current row can differ only in a ledger that was altered."""
    pinned = {key: instrument.identity.weights_sha256 for key, instrument in registry.instruments.items()}

    def find(dataset: Dataset) -> tuple[int, list[str]]:
        rows = _current(dataset, RUNS)
        found = rows.select("instrument", "weights_sha256").unique().sort("instrument").iter_rows()
        return rows.height, [
            f"{key}: weights {sha256}, the spec pins {pinned.get(key)}"
            for key, sha256 in found
            if key not in pinned or sha256 != pinned[key]
        ]

    return find


def _changed_sources(dataset: Dataset) -> tuple[int, list[str]]:
    plates = dataset.plates()
    wrong: list[str] = []
    for plate in plates:
        try:
            wrong += changed_source(plate)
        except (OSError, ValueError, LookupError) as error:
            wrong.append(f"{plate.id}: {error}")
    return len(plates), wrong


def _broken_specs(dataset: Dataset) -> tuple[int, list[str]]:
    rows = read_ledger(dataset, MODELS)
    broken = rows.filter(pl.col("status") == "broken")
    return rows.height, [line for missing in broken["missing"] for line in missing]


def _unknown_licences(registry: Registry) -> Finding:
    def find(dataset: Dataset) -> tuple[int, list[str]]:
        active = [instrument.spec for instrument in registry.active_instruments]
        unknown = [spec.key for spec in active if spec.licence is None or spec.licence.spdx == "unknown"]
        return len(active), [
            f"{key}: licence unknown; its rows may not be exported for commercial use" for key in unknown
        ]

    return find


def _build_check(
    table: Table,
    name: str,
    description: str,
    find: Finding,
    *,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.WARN,
    is_blocking: bool = False,
) -> Any:
    others = [ledger_key(other) for other in ALSO_READ.get(name, ())]

    @dg.asset_check(
        asset=ledger_key(table), additional_deps=others, name=name, description=description, blocking=is_blocking
    )
    def check(dataset: DatasetResource) -> dg.AssetCheckResult:
        looked_at, wrong = find(dataset.open())
        return dg.AssetCheckResult(passed=not wrong, severity=severity, metadata=_metadata(looked_at, wrong))

    return check


def _metadata(looked_at: int, wrong: Sequence[str]) -> dict[str, Any]:
    return {
        "looked_at": looked_at,
        "wrong": len(wrong),
        "first": dg.MetadataValue.md("\n".join(f"- {line}" for line in wrong[:20]) or "none"),
    }


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
            metadata = _metadata(ledger.height, wrong)
            yield dg.AssetCheckResult(asset_key=key, check_name=name, passed=not wrong, metadata=metadata)

    return check


def build_checks(registry: Registry) -> list[Any]:
    """Builds the checks of every ledger."""
    return [*_sealed_checks(), *_row_checks(registry), *_library_checks(registry)]


def _sealed_checks() -> list[Any]:
    of_tables = [_build_sealed_checks(table, role) for role, table in INSTRUMENT_TABLES.items()]
    return [_build_check(RUNS, WHOLE, WHOLE_MEANING, _left_out, severity=dg.AssetCheckSeverity.ERROR), *of_tables]


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
            _unsound_boxes,
        ),
        (HISTOGRAMS, "counts_sum_to_pixels", "Each histogram sums to the plate's pixels.", _unsound_histograms),
        (
            RUNS,
            "weights_are_the_pinned_ones",
            "The weights' digests are those that the specs pin.",
            _foreign_weights(registry),
        ),
    )
    return [_build_check(*check, severity=dg.AssetCheckSeverity.ERROR, is_blocking=True) for check in checks]


def _library_checks(registry: Registry) -> list[Any]:
    """What a person should look at; warnings only."""
    checks = (
        (
            EMBEDDINGS,
            "two_embedding_families",
            "Active embeddings were trained for at least two objectives, so that they can disagree.",
            _too_few_objectives(registry),
        ),
        (
            PLATES,
            "sources_are_unchanged",
            "Each source is the registered file; one whose file changed since is hashed again.",
            _changed_sources,
        ),
        (MODELS, "specs_are_readable", "No spec is broken.", _broken_specs),
        (MODELS, "licences_are_known", "Every active instrument's licence is known.", _unknown_licences(registry)),
    )
    return [_build_check(*check) for check in checks]

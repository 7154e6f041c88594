"""Ledgers of plates: manifest, scalar facts, exact colour counts and failures, from the plates' own JSON files.

A measured file that cannot be read costs its own row, not the ledger: it is named in `groundwork_failures`. A plate
whose manifest or registered digest cannot be read has no row; `left_out.py` names it.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import polars as pl

from atlas_resources.files.digests import sha256_of
from atlas_resources.ledgers.growth.growing import grow
from atlas_resources.ledgers.growth.made_of import MadeOf, signature
from atlas_resources.ledgers.growth.signatures import plate_signatures
from atlas_resources.ledgers.intake import manifest_row
from atlas_resources.plates.contracts import ColorHistograms, GroundworkCost, GroundworkFailure, InputImage
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import (
    COST_NAME,
    FAILURE_NAME,
    HISTOGRAMS_NAME,
    INPUT_IMAGE_NAME,
    MEASURE_VERSION,
    is_present,
    measured_files,
)
from atlas_resources.plates.index.measured import Measured, read_measured, read_stated
from atlas_resources.plates.json_files import DatasetBroken, read_json
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.records.withdrawal import Withdrawal
from atlas_resources.runs.sealed import withdrawn_of
from atlas_resources.tables.groundwork import GROUNDWORK_FAILURES, HISTOGRAMS
from atlas_resources.tables.ledgers import PLATES
from atlas_resources.tables.table import Table
from atlas_resources.withdrawals.in_force import plate_withdrawal


def build_plates(dataset: Dataset) -> pl.LazyFrame:
    """`ledger/plates`: manifest and scalar facts of every registered plate. Reads the plates that changed."""
    return _grow(dataset, PLATES, lambda plate: [_plate_row(plate)])


def build_histograms(dataset: Dataset) -> pl.LazyFrame:
    """`ledger/histograms`: exact counts of every plate whose groundwork is done. Reads the plates that changed."""
    return _grow(dataset, HISTOGRAMS, lambda plate: filter(None, [_histogram_row(plate)]))


def build_groundwork_failures(dataset: Dataset) -> pl.LazyFrame:
    """`ledger/groundwork_failures`: why a plate's groundwork failed, and which measured files cannot be read."""
    return _grow(dataset, GROUNDWORK_FAILURES, _failure_rows)


def wanted_of_plates(dataset: Dataset) -> MadeOf:
    """What these ledgers follow from: identity, source, groundwork and withdrawal of each plate."""
    return MadeOf(signature(MEASURE_VERSION), plate_signatures(dataset))


def _grow(dataset: Dataset, table: Table, rows_of: Callable[[Plate], Iterable[dict[str, Any]]]) -> pl.LazyFrame:
    def make(plate_ids: list[str], old: pl.DataFrame) -> tuple[pl.DataFrame, tuple[str, ...]]:
        return table.frame(row for plate_id in plate_ids for row in rows_of(dataset.plate(plate_id))), ()

    return grow(dataset, table, wanted_of_plates(dataset), make)


def is_current(plate: Plate, measured: InputImage | ColorHistograms) -> bool:
    """Whether measurements are by the present version, of a source that is still the registered file, and count.

    Those of a withdrawn plate do not. Raises DatasetBroken if the log of withdrawals is not whole.
    """
    return is_present(plate, measured) and plate.source_change() is None and _withdrawal(plate) is None


def _withdrawal(plate: Plate) -> Withdrawal | None:
    return plate_withdrawal(plate, withdrawn_of(plate))


def _plate_row(plate: Plate) -> dict[str, Any]:
    row = {"source_sha256": plate.source_sha256(), **manifest_row(plate.manifest())}
    withdrawal = _withdrawal(plate)
    row["withdrawn_by"] = withdrawal and withdrawal.number
    facts, row["input_image_sha256"] = _read(plate.derived_path(INPUT_IMAGE_NAME), InputImage)
    cost, row["groundwork_sha256"] = _read(plate.derived_path(COST_NAME), GroundworkCost)
    if facts is None:
        return row
    row |= facts.model_dump(exclude={"plate_id", "source_sha256"})
    row |= {"measured_source_sha256": facts.source_sha256, "is_current": is_current(plate, facts)}
    if cost and (cost.measure_version, cost.source_sha256) == (facts.measure_version, facts.source_sha256):
        row |= {f"groundwork_{name}": value for name, value in cost.model_dump().items()}
    return row


def _histogram_row(plate: Plate) -> dict[str, Any] | None:
    histograms, digest = _read(plate.derived_path(HISTOGRAMS_NAME), ColorHistograms)
    if histograms is None:
        return None
    row = histograms.model_dump()
    lab, paper = row.pop("lab"), row.pop("paper")
    return {
        **row,
        "lab": lab["counts"],
        **{f"lab_{name}": list(value) for name, value in lab.items() if name != "counts"},
        "paper_threshold": paper.pop("threshold"),
        **paper,
        "is_current": is_current(plate, histograms),
        "file_sha256": digest,
    }


def _failure_rows(plate: Plate) -> Iterator[dict[str, Any]]:
    for path in measured_files(plate):
        digest = sha256_of(path) if path.name == FAILURE_NAME else None  # before reading, as with the other files
        try:
            content = read_json(path, GroundworkFailure) if path.name == FAILURE_NAME else read_stated(path)
        except DatasetBroken as error:
            yield {
                "plate_id": plate.id,
                "source_sha256": plate.source_sha256(),
                "error_type": "DatasetBroken",
                "message": str(error),
                "is_current": _withdrawal(plate) is None,
                "file_sha256": digest or sha256_of(path),
            }
            continue
        if isinstance(content, GroundworkFailure):
            is_current_failure = is_present(plate, content) and _withdrawal(plate) is None
            yield {**content.model_dump(), "is_current": is_current_failure, "file_sha256": digest}


def _read(path: Path, contract: type[Measured]) -> tuple[Measured | None, str | None]:
    """A measured file and its digest; nothing if it is missing or broken. `_failure_rows` names a broken one."""
    if not path.is_file():
        return None, None
    digest = sha256_of(path)  # before reading: a later write then has another digest
    try:
        return read_measured(path, contract), digest
    except DatasetBroken:
        return None, None

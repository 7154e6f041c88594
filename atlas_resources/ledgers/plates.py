"""Ledgers of plates: manifest, scalar facts and exact colour counts, from the plates' own JSON files."""

import polars as pl

from atlas_resources.files.digests import sha256_of
from atlas_resources.ledgers.intake import manifest_row
from atlas_resources.ledgers.parquet import write_ledger
from atlas_resources.plates.contracts import ColorHistograms, InputImage
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import read_json
from atlas_resources.tables.ledgers import HISTOGRAMS, PLATES


def build_plates(dataset: Dataset) -> pl.DataFrame:
    """`ledger/plates`: manifest and scalar facts of every registered plate."""
    rows = []
    for plate_id in dataset.plate_ids():
        plate = dataset.plate(plate_id)
        row = {"source_sha256": plate.source_sha256(), **manifest_row(plate.manifest())}
        path = plate.derived_path("input_image.json")
        if path.is_file():
            row["input_image_sha256"] = sha256_of(path)  # before reading: a later write then has another digest
            facts = read_json(path, InputImage)
            row |= {**facts.model_dump(exclude={"colour_policy"}), "colour_policy": facts.colour_policy.name}
        rows.append(row)
    return write_ledger(dataset, PLATES, PLATES.frame(rows))


def build_histograms(dataset: Dataset) -> pl.DataFrame:
    """`ledger/histograms`: exact counts of every plate whose groundwork is done."""
    rows = []
    for plate_id in dataset.plate_ids():
        path = dataset.plate(plate_id).derived_path("input_color_histograms.json")
        if path.is_file():
            digest = sha256_of(path)  # before reading, as with the plates
            rows.append({**_histogram_row(read_json(path, ColorHistograms)), "file_sha256": digest})
    return write_ledger(dataset, HISTOGRAMS, HISTOGRAMS.frame(rows))


def _histogram_row(histograms: ColorHistograms) -> dict:
    row = histograms.model_dump()
    return row | {
        "lab": row["lab"]["counts"],
        "lab_bins": row["lab"]["bins"],
        "paper_threshold": row["paper"]["threshold"],
        "paper_ratio": row["paper"]["paper_ratio"],
        "paper_lab": row["paper"]["paper_lab"],
        "foreground_lab": row["paper"]["foreground_lab"],
    }

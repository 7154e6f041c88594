"""The demonstration: plates through the whole graph, then a short report and a contact sheet."""

import os
import shutil
import statistics
import sys
import time
from pathlib import Path

import duckdb
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from atlas_assets.demo.contact_sheet import ContactSheetRow, contact_sheet
from atlas_assets.demo.plates import draw_demo_plates
from atlas_assets.in_process import materialize, open_instance
from atlas_resources.catalogue.build import connect
from atlas_resources.instruments.registry import read_registry
from atlas_resources.measures.masks import run_lengths
from atlas_resources.measures.masks.shape import intersection_over_union
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.sealed import MANIFEST_NAME, read_preview

TRUTH_FOLDER = "demo_truth"
SHEET_NAME = "contact_sheet.jpg"
EMBEDDER, SEGMENTER = "efficientnet_lite0", "otsu_luma"


def tour(dataset: Dataset, scans: Path | None, console: Console) -> bool:
    """Draws plates (or uses `scans`), registers them, materialises the graph, and reports.

    Returns whether every scan was registered, every plate succeeded and no check found an error.
    """
    started = time.monotonic()
    if scans is None:
        _draw(dataset, console)
    is_whole = _register(dataset, scans or dataset.staging_dir, console)
    registry = read_registry()
    with open_instance(dataset) as instance:
        for layer in materialize(registry, dataset, instance, console=console):
            is_whole &= layer.is_success
            for failure in layer.failures:
                console.print(failure, style="red", markup=False, soft_wrap=True)
    with connect(dataset) as connection:
        _report(connection, dataset, console)
        scores = _score_segments(connection, dataset)
        sheet_path = dataset.root / SHEET_NAME
        contact_sheet(_sheet_rows(connection, dataset, scores), "Atlas").save(sheet_path, quality=90)
    _print_scores(scores, console)
    console.print(f"\nin {time.monotonic() - started:.0f} s, {dataset.root}:", soft_wrap=True)
    console.print(f"  catalogue      {dataset.catalogue_path}\n  contact sheet  {sheet_path}", soft_wrap=True)
    atlas = _command()
    console.print(
        f'next: `{atlas} ui` opens the Dagster UI; `{atlas} query "SHOW TABLES"` asks the catalogue in SQL',
        soft_wrap=True,
    )
    return is_whole


def _command() -> str:
    """How a person calls `atlas` here: by name if it is on the PATH, else by its path."""
    path = Path(sys.executable).with_name("atlas")
    return "atlas" if shutil.which("atlas") else os.path.relpath(path)


def _draw(dataset: Dataset, console: Console) -> None:
    count = 24
    with Progress(console=console) as progress:
        task = progress.add_task("drawing plates", total=count)
        draw_demo_plates(
            dataset.staging_dir, dataset.root / TRUTH_FOLDER, count, on_plate=lambda plate: progress.advance(task)
        )


def _register(dataset: Dataset, folder: Path, console: Console) -> bool:
    counts = {"registered": 0, "already_registered": 0, "refused": 0}
    with console.status(f"registering the scans of {folder}"):
        for registration in register_scans(dataset, [folder]):
            counts[registration.status] += 1
            if registration.status == "refused":
                console.print(f"refused {registration.path}: {registration.reason}", style="red", soft_wrap=True)
    console.print(", ".join(f"{number} {status.replace('_', ' ')}" for status, number in counts.items()))
    return counts["refused"] == 0


def _print_answer(connection: duckdb.DuckDBPyConnection, question: str, sql: str, console: Console) -> None:
    result = connection.execute(sql)
    table = Table(*[column[0] for column in result.description or []], title=f"{question}\n{sql}", title_justify="left")
    for row in result.fetchall():
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else str(value) for value in row))
    console.print(table)


def _report(connection: duckdb.DuckDBPyConnection, dataset: Dataset, console: Console) -> None:
    """Prints what was made, and the answers to three questions."""
    first = dataset.plate_ids()[0]
    _print_answer(
        connection,
        "What was made?",
        "SELECT instrument, role, count(*) AS plates, count(*) FILTER (status = 'failed') AS failed "
        "FROM runs GROUP BY ALL ORDER BY instrument",
        console,
    )
    _print_answer(connection, f"What is {first} like?", f"FROM nearest('{first}', '{EMBEDDER}', 3)", console)
    _print_answer(connection, f"What has the colours of {first}?", f"FROM histogram_nearest('{first}', 3)", console)
    _print_answer(
        connection,
        "Where does a number come from?",
        "SELECT left(source_sha256, 12) AS source, left(weights_sha256, 12) AS weights, preprocess_tag, "
        f"left(code_git_sha, 8) AS code, run_id FROM why('{first}', '{EMBEDDER}')",
        console,
    )


def _score_segments(connection: duckdb.DuckDBPyConnection, dataset: Dataset) -> dict[str, float]:
    """Intersection over union of the printed segments with the drawn subject, per drawn plate.

    The union of all segments that are mostly on the subject is compared, so merging the subject with something else
    lowers the score.
    """
    rows = connection.execute(
        "SELECT plate_id, height_px, width_px, mask_rle FROM segments "
        "WHERE instrument = ? AND is_current AND class_name = 'printed' ORDER BY plate_id, segment_id",
        [SEGMENTER],
    ).fetchall()
    scores: dict[str, float] = {}
    for plate_id in dict.fromkeys(row[0] for row in rows):
        truth_path = dataset.root / TRUTH_FOLDER / f"{plate_id}.mask.png"
        if not truth_path.is_file():
            continue
        truth = np.asarray(Image.open(truth_path).convert("1"), dtype=bool)
        found = np.zeros_like(truth)
        for _, height_px, width_px, counts in (row for row in rows if row[0] == plate_id):
            mask = run_lengths.decode(counts, height_px, width_px)
            if np.count_nonzero(mask & truth) * 2 > np.count_nonzero(mask):
                found |= mask
        scores[plate_id] = intersection_over_union(found, truth)
    return scores


def _print_scores(scores: dict[str, float], console: Console) -> None:
    if scores:
        worst = min(scores, key=lambda plate_id: scores[plate_id])
        console.print(
            f"\n{SEGMENTER} against the drawn subjects, intersection over union of {len(scores)} plates: "
            f"median {statistics.median(scores.values()):.3f}, worst {scores[worst]:.3f} ({worst})"
        )


def _sheet_rows(
    connection: duckdb.DuckDBPyConnection, dataset: Dataset, scores: dict[str, float]
) -> list[ContactSheetRow]:
    """A card per plate that both instruments have measured."""
    plates = connection.execute(
        "SELECT plate_id, title, dominant_colours FROM plates JOIN histograms USING (plate_id) ORDER BY plate_id"
    ).fetchall()
    segmented = dict(
        connection.execute(
            "SELECT plate_id, run_id FROM runs WHERE instrument = ? AND is_current", [SEGMENTER]
        ).fetchall()
    )
    rows = []
    for plate_id, title, colours in plates:
        plate = dataset.plate(plate_id)
        thumbnail, overlay = plate.thumbnail(), _overlay(plate, segmented.get(plate_id))
        if thumbnail is None or overlay is None:
            continue
        nearest = connection.execute("FROM nearest(?, ?, 3)", [plate_id, EMBEDDER]).fetchall()
        rows.append(
            ContactSheetRow(
                plate_id=plate_id,
                title=title,
                thumbnail=thumbnail,
                overlay=overlay,
                palette=[(colour["srgb_hex"], colour["share"]) for colour in colours],
                neighbours=[
                    (other, dataset.plate(other).thumbnail() or thumbnail, cosine) for other, _, cosine in nearest
                ],
                note=f"{SEGMENTER}: IoU {scores[plate_id]:.3f}" if plate_id in scores else "",
            )
        )
    return rows


def _overlay(plate: Plate, run_id: str | None) -> bytes | None:
    """The picture of the plate's segments that was sealed with the run, if there is one."""
    if run_id is None:
        return None
    return read_preview(plate, read_json(plate.runs_folder / run_id / MANIFEST_NAME, RunManifest))

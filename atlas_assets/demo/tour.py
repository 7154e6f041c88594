"""The demonstration: plates through the whole graph, then a short report and a contact sheet."""

import os
import shutil
import statistics
import sys
import time
from pathlib import Path

import duckdb
from rich.console import Console
from rich.table import Table

from atlas_assets.demo.contact_sheet import ContactSheetRow, contact_sheet
from atlas_assets.demo.judgement import (
    disagreements,
    neighbours_of_all,
    read_kinds,
    score_reading,
    score_segments,
)
from atlas_assets.demo.plates import draw_demo_plates
from atlas_assets.in_process.instance import open_instance
from atlas_assets.in_process.materializing import materialize
from atlas_assets.in_process.progress import TerminalProgress
from atlas_resources.catalogue.build import connect
from atlas_resources.instruments.registry import read_registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.sealed import MANIFEST_NAME, read_preview

TRUTH_FOLDER = "demo_truth"
SHEET_NAME = "contact_sheet.jpg"
EMBEDDERS = ("efficientnet_lite0", "efficientnet_lite2")
SEGMENTERS = ("otsu_luma", "u2netp")
READER = "ppocr_v6_small"
SCALE = 0.5
"""Plates have sides of 1000 to 2000 px, so that the demonstration takes less than two minutes on two cores."""
Neighbours = dict[str, list[tuple[str, float]]]
"""By plate: its nearest plates with their cosines."""


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
        for selection in (None, "@page"):
            for layer in materialize(registry, dataset, instance, selection=selection, console=console):
                is_whole &= layer.is_success
                for failure in layer.failures:
                    console.print(failure, style="red", markup=False, soft_wrap=True)
    with connect(dataset) as connection:
        _report(connection, dataset, console)
        truth_folder = dataset.root / TRUTH_FOLDER
        scores = {segmenter: score_segments(connection, truth_folder, segmenter) for segmenter in SEGMENTERS}
        neighbours = {embedder: neighbours_of_all(connection, embedder, 3) for embedder in EMBEDDERS}
        _print_disagreements(neighbours, read_kinds(truth_folder), console)
        _print_foregrounds(connection, scores, console)
        _print_reading(connection, truth_folder, console)
        sheet_path = dataset.root / SHEET_NAME
        contact_sheet(_sheet_rows(connection, dataset, scores, neighbours), "Atlas").save(sheet_path, quality=90)
    console.print(f"\nin {time.monotonic() - started:.0f} s, {dataset.root}:", soft_wrap=True)
    console.print(f"  catalogue      {dataset.catalogue_path}\n  contact sheet  {sheet_path}", soft_wrap=True)
    console.print(f"  page           {(dataset.page_dir / 'index.html').as_uri()}", soft_wrap=True, highlight=False)
    atlas = _command()
    console.print(
        f"next: open the page; `{atlas} ui` opens the Dagster UI; "
        f'`{atlas} query "SHOW TABLES"` asks the catalogue in SQL',
        soft_wrap=True,
    )
    return is_whole


def _command() -> str:
    """How a person calls `atlas` here: by name if it is on the PATH, else by its path."""
    path = Path(sys.executable).with_name("atlas")
    return "atlas" if shutil.which("atlas") else os.path.relpath(path)


def _draw(dataset: Dataset, console: Console) -> None:
    count = 24
    with TerminalProgress(console) as progress:
        task = progress.add_task("drawing plates", total=count)
        truth_folder = dataset.root / TRUTH_FOLDER
        draw_demo_plates(
            dataset.staging_dir, truth_folder, count, scale=SCALE, on_plate=lambda plate: progress.advance(task)
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
    _print_answer(connection, f"What is {first} like?", f"FROM nearest('{first}', '{EMBEDDERS[0]}', 3)", console)
    _print_answer(connection, f"What has the colours of {first}?", f"FROM histogram_nearest('{first}', 3)", console)
    _print_answer(
        connection,
        "Where does a number come from?",
        "SELECT left(source_sha256, 12) AS source, left(weights_sha256, 12) AS weights, preprocess_tag, "
        f"left(code_git_sha, 8) AS code, run_id FROM why('{first}', '{EMBEDDERS[0]}')",
        console,
    )


def _print_foregrounds(
    connection: duckdb.DuckDBPyConnection, scores: dict[str, dict[str, float]], console: Console
) -> None:
    """Prints how far the segmenters agree on what the subject is and, on drawn plates, how well each fits it."""
    _print_answer(
        connection,
        "Do two instruments see the same subject?",
        "SELECT instrument, foreground_instrument, count(*) AS plates, "
        "median(foreground_covered_ratio) AS median_share_covered FROM segment_sets "
        "WHERE foreground_instrument IS NOT NULL GROUP BY ALL ORDER BY ALL",
        console,
    )
    for segmenter, by_plate in scores.items():
        if by_plate:
            worst = min(by_plate, key=lambda plate_id: by_plate[plate_id])
            console.print(
                f"{segmenter} against the drawn subjects, intersection over union of {len(by_plate)} plates: "
                f"median {statistics.median(by_plate.values()):.3f}, worst {by_plate[worst]:.3f} ({worst})",
                soft_wrap=True,
            )


def _print_reading(connection: duckdb.DuckDBPyConnection, truth_folder: Path, console: Console) -> None:
    """Prints where a word was read, whether titles of the index were and, on drawn plates, how much is wrong."""
    _print_answer(
        connection,
        "Which plates say a word, even if a letter is read wrongly?",
        "SELECT plate_id, title, text, similarity FROM text_search('butterfly', 3)",
        console,
    )
    _print_answer(
        connection,
        "Does the index agree with what is printed on the plates?",
        "SELECT count(*) AS plates, median(similarity) AS median_similarity, "
        "count(*) FILTER (is_other_better) AS conflicts FROM title_conflicts",
        console,
    )
    errors = score_reading(connection, truth_folder, READER)
    if errors is not None:
        console.print(
            f"{READER} against the drawn lettering of {errors.plates} plates: character error rate "
            f"{errors.character_error_rate:.1%}, word error rate {errors.word_error_rate:.1%}, "
            f"{errors.whole_line_count} of {errors.line_count} lines without an error",
            soft_wrap=True,
        )


def _print_disagreements(neighbours: dict[str, Neighbours], kinds: dict[str, str], console: Console) -> None:
    """Prints where the two encoders name different nearest plates and, on drawn plates, which finds the same kind."""
    one, other = EMBEDDERS
    nearest = [{plate: found[0][0] for plate, found in neighbours[embedder].items()} for embedder in EMBEDDERS]
    count, differing = disagreements(nearest[0], nearest[1], kinds)
    console.print(
        f"\n{one} and {other} name the same nearest plate for {count - len(differing)} of {count} plates.",
        soft_wrap=True,
    )
    judged = [plate for plate in differing if None not in plate.is_kind]
    if not judged:
        return
    table = Table("plate", "kind", *EMBEDDERS, title="Where they differ, and whether the nearest is of the drawn kind")
    for plate in judged:
        found = (
            f"{nearest}, {'the same kind' if is_kind else kinds[nearest]}"
            for nearest, is_kind in zip(plate.nearest, plate.is_kind, strict=True)
        )
        table.add_row(plate.plate_id, kinds[plate.plate_id], *found)
    console.print(table)
    for place, embedder in enumerate(EMBEDDERS):
        right = sum(plate.is_kind[place] is True for plate in judged)
        console.print(f"{embedder} is right for {right} of these {len(judged)} plates", soft_wrap=True)


def _sheet_rows(
    connection: duckdb.DuckDBPyConnection,
    dataset: Dataset,
    scores: dict[str, dict[str, float]],
    neighbours: dict[str, Neighbours],
) -> list[ContactSheetRow]:
    """A card per plate that has a thumbnail and that both segmenters have measured."""
    plates = connection.execute(
        "SELECT plate_id, title, dominant_colours FROM plates JOIN histograms USING (plate_id) ORDER BY plate_id"
    ).fetchall()
    runs = connection.execute("SELECT instrument, plate_id, run_id FROM runs WHERE is_current").fetchall()
    run_of = {(instrument, plate_id): run_id for instrument, plate_id, run_id in runs}
    rows = []
    for plate_id, title, colours in plates:
        plate = dataset.plate(plate_id)
        thumbnail = plate.thumbnail()
        seen = [(segmenter, _overlay(plate, run_of.get((segmenter, plate_id)))) for segmenter in SEGMENTERS]
        overlays = [(segmenter, picture) for segmenter, picture in seen if picture]
        if thumbnail is None or len(overlays) < len(SEGMENTERS):
            continue
        fits = [f"{name} {by_plate[plate_id]:.3f}" for name, by_plate in scores.items() if plate_id in by_plate]
        rows.append(
            ContactSheetRow(
                plate_id=plate_id,
                title=title,
                thumbnail=thumbnail,
                overlays=overlays,
                palette=[(colour["srgb_hex"], colour["share"]) for colour in colours],
                neighbours=[
                    (embedder, _pictured(dataset, found.get(plate_id, []))) for embedder, found in neighbours.items()
                ],
                note=f"IoU with the drawn subject: {', '.join(fits)}" if fits else "",
            )
        )
    return rows


def _pictured(dataset: Dataset, nearest: list[tuple[str, float]]) -> list[tuple[str, bytes, float]]:
    """Neighbours that have a thumbnail, each with it and the cosine."""
    seen = [(other, dataset.plate(other).thumbnail(), cosine) for other, cosine in nearest]
    return [(other, picture, cosine) for other, picture, cosine in seen if picture]


def _overlay(plate: Plate, run_id: str | None) -> bytes | None:
    """The picture of the plate's segments that was sealed with the run, if there is one."""
    if run_id is None:
        return None
    return read_preview(plate, read_json(plate.runs_folder / run_id / MANIFEST_NAME, RunManifest))

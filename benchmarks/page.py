"""What writing the page of 10,000 plates takes, without their pictures: seconds and memory.

    python -m benchmarks.page [--plates 10000] [--segments 2] [--labels 100]

The catalogue is in memory, with drawn rows of four encoders, colour, a segmenter with polygons, palettes and vectors of
its segments, a probe and a reader; every plate has the same thumbnail. Each page is written twice: the second time no
file differs. Memory is the most that the process has held, and what it held before, which is mostly the catalogue.
"""

import argparse
import io
import json
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
from PIL import Image

from atlas_resources.catalogue.build import empty_catalogue
from atlas_resources.instruments.registry import read_registry
from atlas_resources.page.folder.files import open_folder
from atlas_resources.page.making import BUILT, write_page
from atlas_resources.page.shown import find_shown
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import LEDGERS

ENCODERS = ("clip_vit_base_patch32", "dinov2_base", "efficientnet_lite0", "efficientnet_lite2")
SEGMENTER, KEPT, PALETTE, POLYGONS = "otsu_luma", "otsu_luma_kept", "otsu_luma_palette", "otsu_luma_polygons"
VECTORS, PROBE, READER = "otsu_luma_efficientnet_lite0", "efficientnet_lite0_imagenet", "ppocr_v6_small"
ROLES = {
    **dict.fromkeys(ENCODERS, "embedding"),
    SEGMENTER: "segmentation",
    KEPT: "pruning",
    PALETTE: "palette",
    POLYGONS: "outline",
    VECTORS: "embedding",
    PROBE: "probe",
    READER: "text",
}
UPSTREAM = {KEPT: SEGMENTER, PALETTE: KEPT, POLYGONS: KEPT, VECTORS: KEPT}
WIDTH_PX, HEIGHT_PX = 4000, 5000
NEIGHBOURS, LINES, DIM, CORNERS = 20, 4, 1280, 300
PALETTE_COLOURS = [{"lab": [50.0, 0.0, 0.0], "srgb_hex": "#777777", "share": 0.2}] * 5
Frames = Iterator[tuple[str, pl.DataFrame]]


def run_of(instrument: str) -> str:
    """The run of an instrument over all plates."""
    return f"run-{instrument}"


def polygon() -> str:
    """An outline of CORNERS corners, GeoJSON."""
    angles = np.linspace(0, 2 * np.pi, CORNERS, endpoint=False)
    points = np.stack([2000 + 900 * np.cos(angles), 2500 + 900 * np.sin(angles)], axis=1)
    points *= 1 + 0.02 * (np.arange(CORNERS) % 2)[:, None]
    ring = [*points.round(1).tolist(), points[0].round(1).tolist()]
    return json.dumps({"type": "MultiPolygon", "coordinates": [[ring]]})


def of_plates(names: np.ndarray) -> Frames:
    """Rows of the ledgers with a row for each plate."""
    count, drawing = len(names), np.random.default_rng(0)
    one = {"plate_id": names.tolist()}
    size = {"width": WIDTH_PX, "height": HEIGHT_PX, "source_sha256": one["plate_id"], "source_image": "scan.tif"}
    yield "plates", pl.DataFrame({**one, "title": names.tolist(), "plate_number": np.arange(count), **size})
    colours = {"paper_srgb_hex": "#f0e8d8", "paper_ratio": 0.8, "is_current": True}
    yield "histograms", pl.DataFrame({**one, **colours, "dominant_colours": [PALETTE_COLOURS] * count})
    yield "plate_agreement", pl.DataFrame({**one, "disagreement": drawing.random(count)})
    for instrument, role in ROLES.items():
        yield "models", pl.DataFrame({"instrument": [instrument], "role": role, "upstream": UPSTREAM.get(instrument)})
        run = {"instrument": instrument, "role": role, "run_id": run_of(instrument), "status": "complete"}
        yield "runs", pl.DataFrame({**one, **run, "is_current": True})


def of_spaces(names: np.ndarray) -> Frames:
    """Drawn neighbours, clusters and coordinates of each space."""
    count, drawing = len(names), np.random.default_rng(1)
    for space in (*ENCODERS, "colour_histogram"):
        yield "spaces", pl.DataFrame({"space": [space], "kind": "embedding" if space in ENCODERS else "colour"})
        near = (np.arange(count)[:, None] + drawing.integers(1, count, (count, NEIGHBOURS))) % count
        rank = np.tile(np.arange(1, NEIGHBOURS + 1), count)
        rows = {
            "space": space,
            "plate_id": names.repeat(NEIGHBOURS).tolist(),
            "neighbour_id": names[near.ravel()].tolist(),
        }
        yield "neighbours", pl.DataFrame({**rows, "rank": rank, "cosine": 1 - rank / 100})
        number = np.arange(count)
        place = {"is_exemplar": number < 10, "cluster": number % 10, "is_outlier": number % 100 == 0}
        factor = {"outlier_factor": 1 + drawing.random(count)}
        yield "plate_spaces", pl.DataFrame({"space": space, "plate_id": names.tolist(), **place, **factor})
        for method in ("pca", "umap"):
            at = {"x": drawing.random(count), "y": drawing.random(count)}
            yield "coordinates", pl.DataFrame({"space": space, "method": method, "plate_id": names.tolist(), **at})


def of_results(names: np.ndarray, segments: int, labels: int) -> Frames:
    """Segments with polygons, palettes and vectors, scores and lines of each plate."""
    drawing, count = np.random.default_rng(2), len(names) * segments
    ids = [f"mask-{number:04d}" for number in range(1, segments + 1)] * len(names)
    each = {"plate_id": names.repeat(segments).tolist(), "segment_id": ids, "mask_sha256": "m", "is_current": True}
    box = {"x_min": 1000, "y_min": 1500, "x_max": 2900, "y_max": 3400, "area_ratio": 0.1}
    size = {"width_px": WIDTH_PX, "height_px": HEIGHT_PX}
    yield "segments", pl.DataFrame({**each, "instrument": SEGMENTER, "run_id": run_of(SEGMENTER)})
    kept = {"instrument": KEPT, "run_id": run_of(KEPT), "segmenter": SEGMENTER, "rank": 1}
    yield "kept_segments", pl.DataFrame({**each, **kept, **box, **size})
    of_segmenter = {"segmenter": SEGMENTER}
    palette = {"instrument": PALETTE, "run_id": run_of(PALETTE), "palette": [PALETTE_COLOURS] * count}
    yield "region_colours", pl.DataFrame({**each, **of_segmenter, **palette})
    outlines = {"instrument": POLYGONS, "run_id": run_of(POLYGONS), "multipolygon": polygon()}
    yield "region_outlines", pl.DataFrame({**each, **of_segmenter, **outlines})
    vectors = drawing.normal(size=(count, DIM)).astype(np.float32)
    about = {"instrument": VECTORS, "run_id": run_of(VECTORS), "scope": "segment", "vector_dim": DIM}
    lengths = np.linalg.norm(vectors, axis=1).astype(np.float64)
    yield (
        "embeddings",
        pl.DataFrame(
            {**{name: each[name] for name in ("plate_id", "segment_id", "is_current")}, **about, "l2_norm": lengths}
            | {"vector": pl.Series(vectors).arr.to_list()}
        ),
    )
    label = [f"label {number}" for number in range(labels)] * len(names)
    scores = {"score": drawing.random(len(label)).astype(np.float32), "label": label, "label_id": label}
    probe = {"instrument": PROBE, "run_id": run_of(PROBE), "is_current": True, "calibration": "uncalibrated"}
    yield "probes", pl.DataFrame({"plate_id": names.repeat(labels).tolist(), **probe, **scores})
    text_ids = [f"line-{number:04d}" for number in range(1, LINES + 1)] * len(names)
    line = {"text": "Turdus migratorius, Linn.", "form": "transcription", "scope": "plate", "score": 0.9}
    reader = {"instrument": READER, "run_id": run_of(READER), "is_current": True, "x_min": 10.0, "x_max": 90.0}
    lines = {"plate_id": names.repeat(LINES).tolist(), "text_id": text_ids, **line, **reader}
    yield "texts", pl.DataFrame({**lines, "y_min": 10.0, "y_max": 20.0})


def filled(names: np.ndarray, segments: int, labels: int) -> duckdb.DuckDBPyConnection:
    """A catalogue in memory with these rows; every other column is null."""
    connection = empty_catalogue(read_registry())
    for frames in (of_plates(names), of_spaces(names), of_results(names, segments, labels)):
        for name, rows in frames:
            schema = LEDGERS[name].schema
            cast = rows.cast({column: schema[column] for column in rows.columns if column != "dominant_colours"})
            connection.register("given", cast.to_arrow())
            connection.execute(f"INSERT INTO {name} BY NAME FROM given")
            connection.unregister("given")
    return connection


def thumbnail() -> bytes:
    """A thumbnail of 240 px, JPEG."""
    noise = np.random.default_rng(4).integers(0, 255, (24, 18, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize((180, 240)).save(file, "JPEG")
    return file.getvalue()


def held_mb() -> float:
    """Memory of this process, MB: the most that it has held."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Writes pages of a tenth of the plates and of all, and prints what they took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plates", type=int, default=10_000)
    parser.add_argument("--segments", type=int, default=2)
    parser.add_argument("--labels", type=int, default=100)
    asked = parser.parse_args()
    picture = thumbnail()
    for count in (asked.plates // 10, asked.plates):
        names = np.array([f"plate-{number:05d}" for number in range(count)], dtype=object)
        with tempfile.TemporaryDirectory(prefix="atlas-page-") as folder:
            dataset = Dataset(Path(folder) / "data")
            for name in names:
                path = dataset.plate(name).derived_path("thumbnail.jpg")
                path.parent.mkdir(parents=True)
                path.write_bytes(picture)
            catalogue = filled(names, asked.segments, asked.labels)
            before = held_mb()
            for time_of in ("first", "second"):
                report(dataset, catalogue, Path(folder) / "page", f"{count} plates, {time_of} time")
            print(f"{count} plates: at most {held_mb():.0f} MB, before {before:.0f} MB")
            catalogue.close()


def report(dataset: Dataset, catalogue: duckdb.DuckDBPyConnection, folder: Path, what: str) -> None:
    """Writes a page and prints what each step took."""
    started, spent_before = time.monotonic(), time.process_time()
    last = started
    seconds: dict[str, float] = {}

    def on_step(step: str, done: int, total: int) -> None:
        nonlocal last
        now = time.monotonic()
        seconds[step] = seconds.get(step, 0.0) + now - last
        last = now

    with open_folder(folder, is_commercial=False) as opened:
        made = write_page(dataset, find_shown(catalogue), opened, title=None, on_step=on_step, built=BUILT)
    steps = ", ".join(f"{step} {spent:.1f}" for step, spent in seconds.items())
    total, processor = time.monotonic() - started, time.process_time() - spent_before
    print(f"{what}: {total:.1f} s, {processor:.1f} s of the processor ({steps})")
    print(f"    {made.written_count} files written, {made.size_bytes / 1e6:.0f} MB")


if __name__ == "__main__":
    main()

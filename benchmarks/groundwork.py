"""The cost of groundwork on one drawn 20 Mpx plate: `python -m benchmarks.groundwork`.

Each measure is given in seconds and as a ratio to two floors timed in the same run: decoding the same picture from JPEG
with Pillow, which is needed anyway, and `Image.histogram()`, the cheapest function that reads every pixel.
"""

import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from atlas_resources.measures.arrays import hold_in_one_block, pixels_of
from atlas_resources.measures.colour.census import ColourCensus, count_colours
from atlas_resources.measures.colour.lab import lab_histogram
from atlas_resources.measures.colour.luma import luma_of_image
from atlas_resources.measures.colour.palette import dominant_colours_with_spread
from atlas_resources.measures.colour.paper import split_paper
from atlas_resources.measures.colour.tones import measure_colours, measure_tones
from atlas_resources.measures.hashes import perceptual_hashes
from atlas_resources.measures.masks import run_lengths
from atlas_resources.measures.masks.shape import intersection_over_union, measure_part, part_of
from atlas_resources.measures.pixels import measure_pixels
from atlas_resources.measures.spatial import edge_density, laplacian_variance
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode
from atlas_resources.plates.intake.registration import register_scans
from benchmarks.figures import ROUNDS, Figure, in_turn

REPEATS = 5
WIDTH, HEIGHT = 4000, 5000
PAPER = (240, 229, 205)
SEED = 7
PLATES = 8

ON_CORES = """
import os, sys, time
os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: int(sys.argv[2])]))
from pathlib import Path
from atlas_assets.roles.works import make_groundwork
from atlas_resources.plates.decode import decode
from atlas_resources.plates.dataset import Dataset
dataset = Dataset(Path(sys.argv[1]))
plate_ids = dataset.plate_ids()
list(make_groundwork(dataset, plate_ids[:2], is_forced=True))
started = time.perf_counter()
assert all(outcome.status == "complete" for outcome in make_groundwork(dataset, plate_ids, is_forced=True))
print(time.perf_counter() - started)
"""
"""Seconds for the groundwork of a dataset on so many cores, imports left out."""

PEAK = """
import sys
from pathlib import Path
from PIL import Image
from atlas_resources.measures.pixels import measure_pixels
from atlas_resources.plates.decode import decode
def held(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))
measure_pixels(Image.new("RGB", (64, 64)))
before = held("VmRSS")
Path("/proc/self/clear_refs").write_text("5")
image = decode(Path(sys.argv[1])).image
measure_pixels(image)
print((held("VmHWM") - before) / (3 * image.width * image.height))
"""
"""The most memory that decoding and measuring took, in decoded plates."""


def draw_plate() -> Image.Image:
    """A plate of mode "RGB", 20 Mpx: grainy paper, soft coloured shapes, ink lines. The same on every call."""
    random = np.random.default_rng(SEED)
    plate = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
    draw = ImageDraw.Draw(plate)
    for _ in range(60):
        x, y, radius = random.integers((600, 800, 60), (3400, 4200, 500)).tolist()
        colour = tuple(random.integers(30, 200, 3).tolist())
        draw.ellipse((x - radius, y - radius // 2, x + radius, y + radius // 2), fill=colour)
    plate = plate.filter(ImageFilter.GaussianBlur(12))
    draw = ImageDraw.Draw(plate)
    for _ in range(400):
        start, step = random.integers(500, 3500, 2), random.integers(-300, 300, 2)
        draw.line((*start.tolist(), *(start + step).tolist()), fill=(45, 38, 34), width=4)
    grain = random.normal(0, 2.5, (HEIGHT, WIDTH, 1)).astype(np.float32)
    return Image.fromarray(np.clip(np.asarray(plate) + grain, 0, 255).astype(np.uint8))


def median_seconds(measure: Callable[[], object]) -> float:
    """Median of REPEATS runs, after a warm-up run."""
    measure()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        measure()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def measures_of(image: Image.Image) -> dict[str, Callable[[], object]]:
    """Each measure by name. Measures of a census take a fresh one, since a census caches."""
    rgb = pixels_of(image)
    levels = luma_of_image(image)
    counted = count_colours(rgb)
    print(f"{len(counted.codes):,} distinct colours in {image.width * image.height / 1e6:.0f} Mpx")

    def census() -> ColourCensus:
        return ColourCensus(counted.codes, counted.counts)

    foreground = levels <= split_paper(counted).threshold
    encoded = run_lengths.encode(foreground)
    return {
        "measure_pixels: all of the below": lambda: measure_pixels(image),
        "  luma": lambda: luma_of_image(image),
        "  laplacian_variance": lambda: laplacian_variance(levels),
        "  edge_density": lambda: edge_density(levels),
        "  perceptual_hashes": lambda: perceptual_hashes(image),
        "  count_colours": lambda: count_colours(rgb),
        "  measure_tones": lambda: measure_tones(census()),
        "  measure_colours": lambda: measure_colours(census()),
        "    Lab of distinct colours": lambda: census().lab,
        "    lab_histogram": lambda: lab_histogram(counted),
        "    dominant_colours_with_spread": lambda: dominant_colours_with_spread(counted),
        "    split_paper": lambda: split_paper(counted),
        "measure_part, of all print": lambda: measure_part(part_of(foreground)),
        "run_lengths.encode": lambda: run_lengths.encode(foreground),
        "run_lengths.decode": lambda: run_lengths.decode(encoded, *foreground.shape),
        "intersection_over_union": lambda: intersection_over_union(foreground, foreground),
    }


def figures(subject: str) -> Iterator[Figure]:
    """What `python -m benchmarks` measures."""
    hold_in_one_block()  # as decoding a plate does
    with tempfile.TemporaryDirectory() as folder:
        path, floor = Path(folder) / "plate.jpg", "decoding the JPEG with Pillow"
        draw_plate().save(path, "JPEG", quality=90)
        image = decode(path).image
        seconds = in_turn({"all": lambda: measure_pixels(image), floor: lambda: Image.open(path).load()})
        why = "the palette's k-means, which does not grow with the picture, takes 0.5 decodes"
        yield Figure(subject, "everything measured", seconds["all"], "s", floor, seconds[floor], goal=2.0, why=why)
        peaks = tuple(float(_printed(PEAK, path)) for _ in range(ROUNDS))
        why = "the picture, the table of colours and the luma; the picture takes four bytes a pixel"
        yield Figure(subject, "peak memory, in decoded plates", peaks, "plates", goal=3.0, why=why)
        dataset = _copies(path, Path(folder))
        one, all_cores = [], []
        for _ in range(ROUNDS):
            one.append(PLATES / float(_printed(ON_CORES, dataset, 1)))
            all_cores.append(PLATES / float(_printed(ON_CORES, dataset, 2)))
        name, beside = "plates a second on two cores", "on one core"
        why = "both cores wait for the same memory, and for Python's lock where NumPy holds it"
        yield Figure(subject, name, tuple(all_cores), "plates/s", beside, tuple(one), "at least", 1.8, why)


def _printed(code: str, *arguments: object) -> str:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def _copies(path: Path, folder: Path) -> Path:
    """A dataset of PLATES plates that differ in a comment of the file alone."""
    scans = folder / "scans"
    scans.mkdir()
    for number in range(PLATES):
        (scans / f"{number}.jpg").write_bytes(path.read_bytes() + str(number).encode())
    dataset = Dataset(folder / "atlas")
    list(register_scans(dataset, [scans]))
    return dataset.root


def main() -> None:
    """Prints the table."""
    hold_in_one_block()  # as decoding a plate does
    file = io.BytesIO()
    draw_plate().save(file, "JPEG", quality=90)
    image = Image.open(file).convert("RGB")
    decode_seconds = median_seconds(lambda: Image.open(file).load())
    histogram_seconds = median_seconds(image.histogram)
    measures = measures_of(image)
    print(f"medians of {REPEATS} on {os.cpu_count()} cores\n")
    print(f"{'':34}{'seconds':>9}{'/ decode':>10}{'/ histogram':>13}")
    floors = {"floor: Pillow decodes the JPEG": decode_seconds, "floor: Image.histogram()": histogram_seconds}
    for name, seconds in (floors | {name: median_seconds(measure) for name, measure in measures.items()}).items():
        print(f"{name:34}{seconds:9.3f}{seconds / decode_seconds:10.2f}{seconds / histogram_seconds:13.1f}")


if __name__ == "__main__":
    main()

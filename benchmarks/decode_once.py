"""Several instruments over the same plates: one pass, one run after another, and the floor of both.

Run `python -m benchmarks.decode_once [PLATES]`. Plates of 20 Mpx are drawn into a temporary folder. Loading models is
not timed. torch has one thread: on a busy machine several wait for each other, and waiting counts as CPU time.
"""

import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from atlas_assets.roles.works import build_work, groundwork_member
from atlas_assets.ui.plots import thumbnail
from atlas_resources.files.read_ahead import THREADS, ahead
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.registry import read_registry
from atlas_resources.measures.pixels import measure_pixels
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode_source
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.runs.execution import InstrumentRun
from atlas_resources.runs.passes.job import Member, PlateEnded
from atlas_resources.runs.passes.together import measure_together
from benchmarks.figures import Figure, in_turn
from benchmarks.groundwork import draw_plate

KEYS = ("efficientnet_lite0", "efficientnet_lite0_imagenet", "efficientnet_lite2", "efficientnet_lite2_imagenet")
ROUNDS = 3


def draw_scans(folder: Path, count: int) -> Path:
    """JPEGs of 20 Mpx that differ in where the picture begins."""
    pixels = np.asarray(draw_plate())
    folder.mkdir()
    for number in range(count):
        Image.fromarray(np.roll(pixels, 97 * number, axis=1)).save(folder / f"{number:03d}.jpg", quality=90)
    return folder


class Bare:
    """An instrument without a run: preprocess, stack, and the model. Its results stay in memory."""

    def __init__(self, instrument: Instrument, model: Any):
        spec = instrument.spec
        if spec.preprocessing is None:
            raise ValueError(f"{spec.key}: expected an instrument that reads pixels")
        self.size = spec.plates_at_once
        self.preprocess = build_preprocess(spec.preprocessing)
        self.measure = model.embed if spec.role == "embedding" else model.score


def floor(loops: Sequence[Bare], dataset: Dataset, *, has_groundwork: bool) -> None:
    """One decode of each plate, and each instrument's bare loop over it, on as many threads as a pass has."""

    def prepare(plate_id: str) -> list[torch.Tensor]:
        decoded = decode_source(dataset.plate(plate_id))
        if has_groundwork:
            measure_pixels(decoded.image, decoded.extremes)
            thumbnail(decoded.image)
        return [loop.preprocess(decoded.image) for loop in loops]

    size = loops[0].size
    prepared = ahead(prepare, dataset.plate_ids(), max(size + THREADS, 2 * THREADS))
    for plates in iter(lambda: list(itertools.islice(prepared, size)), []):
        for loop, inputs in zip(loops, zip(*plates, strict=True), strict=True):
            for start in range(0, len(inputs), loop.size):
                loop.measure(torch.stack(inputs[start : start + loop.size]))


def members_of(
    instruments: Sequence[Instrument], models: Mapping[str, Any], dataset: Dataset, *, has_groundwork: bool
) -> list[Member[Any]]:
    """Runs of the instruments, whose models are loaded, and the groundwork."""
    found: list[Member[Any]] = [groundwork_member(dataset, is_forced=True)] if has_groundwork else []
    for instrument in instruments:
        work = build_work(instrument, lambda model=models[instrument.key]: model)
        found.append(InstrumentRun(dataset, instrument, work, is_forced=True))
    return found


def measure(dataset: Dataset, members: Sequence[Member[Any]]) -> None:
    """A pass over all plates. Raises what ends a member, and for a plate that failed."""
    asked = [(member, dataset.plate_ids()) for member in members]
    for event in measure_together(dataset, asked):
        if isinstance(event, PlateEnded):
            if event.outcome.status != "complete":
                raise RuntimeError(f"{event.key}: {event.outcome.reason}")
        elif event.error is not None:
            raise event.error


def measure_apart(dataset: Dataset, members: Sequence[Member[Any]]) -> None:
    """A pass for each member, one after another."""
    for member in members:
        measure(dataset, [member])


def compare(ways: dict[str, Callable[[], None]], title: str) -> None:
    """Prints the least seconds and CPU seconds of each way over rounds that alternate, and ratios to the first way.

    A median ratio is of the rounds' own ratios: what else the machine does is then much the same for both.
    """
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(ROUNDS + 1):
        for name, way in ways.items():
            started = time.perf_counter(), time.process_time()
            way()
            if number:  # the first round warms up
                wall[name].append(time.perf_counter() - started[0])
                cpu[name].append(time.process_time() - started[1])
    base = next(iter(ways))
    print(f"\n{title}\n{'':28}{'least s':>9}{'CPU s':>8}{'ratio':>8}{'median ratio':>14}")
    for name in ways:
        ratio = statistics.median(one / floor for one, floor in zip(cpu[name], cpu[base], strict=True))
        least = min(cpu[name])
        print(f"{name:28}{min(wall[name]):9.2f}{least:8.2f}{least / min(cpu[base]):8.2f}{ratio:14.2f}", flush=True)


FLOOR = "one decode and bare loops"


def ways_of(folder: Path, count: int, choices: Sequence[tuple[int, bool]]) -> Iterator[dict[str, Callable[[], None]]]:
    """The ways to compare, the floor first, for so many instruments, without or with the groundwork.

    Args:
        folder: an empty one, for the plates.
        count: of plates.
        choices: how many instruments, and whether the groundwork is made too.
    """
    torch.set_num_threads(1)
    registry = read_registry()
    every = [registry.instruments[key] for key in KEYS]
    models = {one.key: load_model(one.spec, one.prompts) for one in every}
    dataset = Dataset(folder / "atlas")
    list(register_scans(dataset, [draw_scans(folder / "scans", count)]))
    for number, has_groundwork in choices:
        instruments = every[:number]
        loops = [Bare(one, models[one.key]) for one in instruments]
        members = partial(members_of, instruments, models, dataset, has_groundwork=has_groundwork)
        yield {
            FLOOR: partial(floor, loops, dataset, has_groundwork=has_groundwork),
            "one pass": lambda members=members: measure(dataset, members()),
            "one run after another": lambda members=members: measure_apart(dataset, members()),
        }


def figures(subject: str) -> Iterator[Figure]:
    """What `python -m benchmarks` measures: four instruments and the groundwork over 6 plates."""
    with tempfile.TemporaryDirectory() as folder:
        for ways in ways_of(Path(folder), 6, [(len(KEYS), True)]):
            seconds = in_turn(ways)
            for name, goal in (("one pass", 1.15), ("one run after another", None)):
                what = f"{len(KEYS)} instruments and groundwork, 6 plates of 20 Mpx: {name}"
                yield Figure(subject, what, seconds[name], "s", FLOOR, seconds[FLOOR], goal=goal)


def main(count: int) -> None:
    """Compares the ways for one and for four instruments, without and with the groundwork."""
    print(f"{count} drawn plates of 20 Mpx, {ROUNDS} rounds on {os.cpu_count()} cores")
    choices = ((1, False), (len(KEYS), False), (len(KEYS), True))
    with tempfile.TemporaryDirectory() as folder:
        for (number, has_groundwork), ways in zip(choices, ways_of(Path(folder), count, choices), strict=True):
            compare(ways, f"{number} instruments{' and the groundwork' if has_groundwork else ''}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)

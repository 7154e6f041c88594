"""Several instruments over the same plates: one pass, one run after another, and the floor of both.

Run `python -m benchmarks.decode_once [PLATES]`. Plates of 20 Mpx are drawn into a temporary folder.
"""

import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from atlas_assets.roles.works import build_work, groundwork_member
from atlas_assets.ui.plots import thumbnail
from atlas_resources.files.read_ahead import THREADS, ahead
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.registry import Registry, read_registry
from atlas_resources.measures.pixels import measure_pixels
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode_source
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.runs.execution import InstrumentRun
from atlas_resources.runs.passes.job import Member, PlateEnded
from atlas_resources.runs.passes.together import measure_together
from benchmarks.groundwork import draw_plate

KEYS = ("efficientnet_lite0", "efficientnet_lite0_imagenet", "efficientnet_lite2", "efficientnet_lite2_imagenet")
ROUNDS = 5


def draw_scans(folder: Path, count: int) -> Path:
    """JPEGs of 20 Mpx that differ in where the picture begins."""
    pixels = np.asarray(draw_plate())
    folder.mkdir()
    for number in range(count):
        Image.fromarray(np.roll(pixels, 97 * number, axis=1)).save(folder / f"{number:03d}.jpg", quality=90)
    return folder


class Bare:
    """An instrument without a run: preprocess, stack, and the model. Its results stay in memory."""

    def __init__(self, instrument: Instrument):
        spec = instrument.spec
        if spec.preprocessing is None:
            raise ValueError(f"{spec.key}: expected an instrument that reads pixels")
        self.size = spec.plates_at_once
        self.preprocess = build_preprocess(spec.preprocessing)
        model: Any = load_model(spec, instrument.prompts)
        self.measure = model.embed if spec.role == "embedding" else model.score


def floor(instruments: Sequence[Instrument], dataset: Dataset, *, has_groundwork: bool) -> None:
    """One decode of each plate, and each instrument's bare loop over it, on as many threads as a pass has."""
    loops = [Bare(instrument) for instrument in instruments]

    def prepare(plate_id: str) -> list[torch.Tensor]:
        decoded = decode_source(dataset.plate(plate_id))
        if has_groundwork:
            measure_pixels(decoded.image, decoded.extremes)
            thumbnail(decoded.image)
        return [loop.preprocess(decoded.image) for loop in loops]

    size = loops[0].size if loops else 1
    prepared = ahead(prepare, dataset.plate_ids(), max(size + THREADS, 2 * THREADS))
    for plates in iter(lambda: list(itertools.islice(prepared, size)), []):
        for loop, inputs in zip(loops, zip(*plates, strict=True), strict=bool(loops)):
            for start in range(0, len(inputs), loop.size):
                loop.measure(torch.stack(inputs[start : start + loop.size]))


def members_of(registry: Registry, dataset: Dataset, keys: Sequence[str], *, has_groundwork: bool) -> list[Member[Any]]:
    """Runs of the instruments with models of their own, and the groundwork."""
    found: list[Member[Any]] = [groundwork_member(dataset, is_forced=True)] if has_groundwork else []
    for key in keys:
        instrument = registry.instruments[key]
        work = build_work(instrument, lambda one=instrument: load_model(one.spec, one.prompts))
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


def compare(ways: dict[str, Callable[[], None]], title: str) -> None:
    """Prints seconds and CPU seconds of each way, medians of rounds that alternate, and ratios to the first.

    A ratio is the median of the rounds' own ratios: what else the machine does is then much the same for both.
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
    print(f"\n{title}\n{'':28}{'wall s':>9}{'ratio':>8}{'CPU s':>9}{'ratio':>8}")
    for name in ways:
        ratios = [
            statistics.median(one / floor for one, floor in zip(times[name], times[base], strict=True))
            for times in (wall, cpu)
        ]
        seconds, cpu_seconds = statistics.median(wall[name]), statistics.median(cpu[name])
        print(f"{name:28}{seconds:9.2f}{ratios[0]:8.2f}{cpu_seconds:9.2f}{ratios[1]:8.2f}")
    print(flush=True)


def main(count: int) -> None:
    """Compares the ways for one and for four instruments, without and with the groundwork."""
    registry = read_registry()
    print(f"{count} drawn plates of 20 Mpx, medians of {ROUNDS} rounds on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        dataset = Dataset(Path(folder) / "atlas")
        list(register_scans(dataset, [draw_scans(Path(folder) / "scans", count)]))
        for keys, has_groundwork in ((KEYS[:1], False), (KEYS, False), (KEYS, True)):
            instruments = [registry.instruments[key] for key in keys]

            def bare(instruments: Any = instruments, has_groundwork: bool = has_groundwork) -> None:
                floor(instruments, dataset, has_groundwork=has_groundwork)

            def together(keys: Any = keys, has_groundwork: bool = has_groundwork) -> None:
                measure(dataset, members_of(registry, dataset, keys, has_groundwork=has_groundwork))

            def apart(keys: Any = keys, has_groundwork: bool = has_groundwork) -> None:
                for member in members_of(registry, dataset, keys, has_groundwork=has_groundwork):
                    measure(dataset, [member])

            ways = {"one decode and bare loops": bare, "one pass": together, "one run after another": apart}
            compare(ways, f"{len(keys)} instruments{' and the groundwork' if has_groundwork else ''}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)

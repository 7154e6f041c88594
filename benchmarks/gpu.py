"""Full-size models with seeded weights on a GPU, through the loaders and the runs that measure plates.

Run `python -m benchmarks.gpu [--rows NAME ...]` on a machine with a CUDA device; `--device cpu --small` tries the same
code anywhere. Each row prints images/s of the model over tensors in memory, its share of the card's measured peak in
the same type, images/s of a sealed run from files, the share of that time in which the model computed, and the most
memory. Of a SAM: images/s of its encoder, and of whole mask generation. A row that could not be measured says why.
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from atlas_assets.demo.plates import draw_demo_plates
from atlas_assets.roles.embedding import EmbeddingWork
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.spec.numeric import Numeric
from atlas_resources.models._numeric_modes import numeric_mode
from atlas_resources.models.devices import DeviceUnavailable
from atlas_resources.models.inputs import stack_inputs
from atlas_resources.models.loading import load_model
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.runs.execution import execute_run
from benchmarks.figures import Figure
from benchmarks.mask_peers import THRESHOLDS, drawn_raster
from benchmarks.seeded import NotSmall, seeded_instrument

NOT_MEASURED = "not measured"
NO_CARD = "this machine has no CUDA device"
GOAL = 0.5


@dataclass(frozen=True)
class Row:
    """A model at a size: the key of its instrument, and the side of its square input if not the declared one."""

    key: str
    side_px: int | None = None


EMBEDDERS = {
    "CLIP L/14": Row("clip_vit_large_patch14"),
    "LAION H/14": Row("clip_vit_huge_patch14_laion2b"),
    "SigLIP so400m/384": Row("siglip_so400m_patch14_384"),
    "DINOv2-L at 224": Row("dinov2_large"),
    "DINOv2-L at 518": Row("dinov2_large", 518),
    "AIMv2-L": Row("aimv2_large_patch14_336"),
}
SEGMENTERS = {"SAM ViT-B": Row("sam_vit_base"), "SAM ViT-L": Row("sam_vit_large"), "SAM ViT-H": Row("sam_vit_huge")}


@dataclass(frozen=True)
class Setting:
    """How much is measured, and where.

    Attributes:
        numeric: type and device.
        is_small: whether networks and counts are those of a test.
        batch_size: images at once; of embedders.
        plates: of the sealed run.
        points_per_side: of mask generation.
        rounds: of which medians are taken.
    """

    numeric: Numeric
    is_small: bool
    batch_size: int
    plates: int
    points_per_side: int
    rounds: int


def settings(device: str, dtype: str, is_small: bool) -> Setting:
    """The usual amounts, or those of a test."""
    numeric = Numeric.model_validate({"device": device, "dtype": dtype})
    if is_small:
        return Setting(numeric, is_small, batch_size=2, plates=3, points_per_side=2, rounds=1)
    return Setting(numeric, is_small, batch_size=64, plates=256, points_per_side=32, rounds=5)


def seconds_of(work: Callable[[], object], setting: Setting) -> float:
    """Median wall seconds of a call after two that do not count. A GPU has finished when each ends."""
    times = []
    for number in range(setting.rounds + 2):
        started = time.perf_counter()
        work()
        if setting.numeric.device == "cuda":
            torch.cuda.synchronize()
        if number >= 2:
            times.append(time.perf_counter() - started)
    return statistics.median(times)


def peak_flops(setting: Setting) -> float:
    """The most operations a second of a large matrix product in the declared type: what the card gives at best here."""
    side = 512 if setting.is_small else 8192
    narrow = getattr(torch, setting.numeric.dtype)
    left, right = (torch.randn(side, side, device=setting.numeric.device).to(narrow) for _ in range(2))
    return 2 * side**3 / seconds_of(lambda: left @ right, setting)


@torch.no_grad()
def flops_of(network: nn.Module, side_px: int) -> int:
    """Operations of matrix products, convolutions and attention for one image, as torch counts them.

    Counted on torch's meta device, without computing: the network is of no other use afterwards.
    """
    network = network.to("meta")
    with FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, side_px, side_px, device="meta"))
    return counter.get_total_flops()


def forget_memory(setting: Setting) -> None:
    """Starts counting a device's memory anew."""
    if setting.numeric.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def memory(setting: Setting) -> str:
    """The most memory that tensors took on the device."""
    if setting.numeric.device == "cpu":
        return NOT_MEASURED
    return f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"


def measure_embedder(row: Row, setting: Setting, dataset: Dataset, folder: Path, peak: float) -> tuple[float, str]:
    """The model over tensors in memory, then a sealed run over plates: the share of the peak, and the cells."""
    instrument, network = seeded_instrument(
        row.key, folder, setting.numeric, is_small=setting.is_small, side_px=row.side_px
    )
    spec = instrument.spec.model_copy(update={"batch_size": setting.batch_size})
    forget_memory(setting)
    model: Any = load_model(spec)
    steps: Any = spec.preprocessing
    side = steps.crop_px or steps.resize.size_px
    pictures = torch.rand(setting.batch_size, 3, side, side, generator=torch.Generator().manual_seed(0))
    batch = stack_inputs(list(pictures))
    images_s = setting.batch_size / seconds_of(lambda: model.embed(batch), setting)
    share = flops_of(network, side) * images_s / peak
    work = EmbeddingWork(spec, lambda: model)
    run_s, computing = sealed_run(Instrument(spec, instrument.identity), work, dataset)
    return share, f"{images_s:.1f} | {share:.0%} | {run_s:.1f} | {computing:.0%} | {memory(setting)}"


def sealed_run(instrument: Instrument, work: EmbeddingWork, dataset: Dataset) -> tuple[float, float]:
    """Images/s from files to sealed vectors, and the share of that time in which the model computed."""
    started = time.perf_counter()
    outcomes = list(execute_run(dataset, instrument, dataset.plate_ids(), work, is_forced=True))
    wall = time.perf_counter() - started
    failed = [outcome.reason for outcome in outcomes if outcome.status != "complete"]
    if failed:
        raise RuntimeError(f"{len(failed)} of {len(outcomes)} plates failed: {failed[0]}")
    sealed: Any = outcomes[0].sealed
    report = json.loads((dataset.root / "reports" / sealed.run_id / "report.json").read_text(encoding="utf-8"))
    return len(outcomes) / wall, report["compute_seconds"] / wall


def measure_segmenter(row: Row, setting: Setting, folder: Path, peak: float) -> tuple[float, str]:
    """The encoder alone, then whole mask generation of one raster: the share of the peak, and the cells."""
    instrument, network = seeded_instrument(row.key, folder, setting.numeric, is_small=setting.is_small)
    asked = {**instrument.spec.parameters, **THRESHOLDS, "points_per_side": setting.points_per_side}
    spec = instrument.spec.model_copy(update={"parameters": asked})
    forget_memory(setting)
    generator: Any = load_model(spec)
    raster = drawn_raster()
    images_s = 1 / seconds_of(partial(_embed_in_mode, generator, setting.numeric, raster), setting)
    share = flops_of(network.image_encoder, generator.model.side_px) * images_s / peak  # type: ignore[arg-type] # a SAM
    masks_s = 1 / seconds_of(lambda: generator.segment(raster), setting)
    return share, f"{images_s:.2f} (encoder) | {share:.0%} | {masks_s:.3f} (all masks) | - | {memory(setting)}"


def _embed_in_mode(generator: Any, numeric: Numeric, raster: np.ndarray) -> None:
    """The encoder of a mask generator, as `segment` calls it."""
    with torch.inference_mode(), numeric_mode(numeric, generator.model.device):
        generator.model.embed(raster)


def measure(name: str, setting: Setting, dataset: Dataset, folder: Path, peak: float) -> tuple[float | None, str]:
    """The share of the peak and the cells of one row.

    None, and `not measured` with the reason, where there is no small form, no device, or too little memory.
    """
    try:
        if name in EMBEDDERS:
            return measure_embedder(EMBEDDERS[name], setting, dataset, folder, peak)
        return measure_segmenter(SEGMENTERS[name], setting, folder, peak)
    except (NotSmall, DeviceUnavailable, torch.OutOfMemoryError) as error:
        return None, not_measured(str(error))


def not_measured(reason: str) -> str:
    """The cells of a row without figures."""
    return f"{NOT_MEASURED}: {reason.splitlines()[0]} | - | - | - | -"


def table(names: list[str], setting: Setting) -> list[str]:
    """The rows of the models, after a line about the machine."""
    head = "| model | images/s | share of the peak | images/s from files | of that the model | memory |"
    lines = [head, "|---|---|---|---|---|---|"]
    if setting.numeric.device == "cuda" and not torch.cuda.is_available():
        return [*lines, *(f"| {name} | {not_measured(NO_CARD)} |" for name in names)]
    card = torch.cuda.get_device_name() if setting.numeric.device == "cuda" else platform.processor() or "CPU"
    peak = peak_flops(setting)
    told = f"{card}, {setting.numeric.dtype}, batches of {setting.batch_size}; a large matrix product"
    lines = [f"{told}: {peak / 1e12:.2f} TFLOP/s. Goal: {GOAL:.0%} of it.", "", *lines]
    for name, _, cells in rows_of(names, setting, peak):
        lines.append(f"| {name} | {cells} |")
        print(lines[-1], file=sys.stderr, flush=True)
    return lines


def rows_of(names: list[str], setting: Setting, peak: float) -> Iterator[tuple[str, float | None, str]]:
    """The name of each model, its share of the peak, and its cells."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        dataset = Dataset(folder / "atlas")
        draw_demo_plates(dataset.staging_dir, folder / "truth", setting.plates, scale=0.25 if setting.is_small else 1.0)
        list(register_scans(dataset, [dataset.staging_dir]))
        for name in names:
            yield name, *measure(name, setting, dataset, folder / name.replace("/", "-"), peak)


def figures(subject: str) -> Iterator[Figure]:
    """What `python -m benchmarks` measures: each model's share of the card's peak in bfloat16."""
    names, what = [*EMBEDDERS, *SEGMENTERS], "share of the card's peak"
    if not torch.cuda.is_available():
        yield from (
            Figure(subject, f"{name}: {what}", (), "of the peak", sense="at least", goal=GOAL, why=NO_CARD)
            for name in names
        )
        return
    setting = settings("cuda", "bfloat16", is_small=False)
    for name, share, cells in rows_of(names, setting, peak_flops(setting)):
        values = () if share is None else (share,)
        yield Figure(
            subject,
            f"{name}: {what}",
            values,
            "of the peak",
            sense="at least",
            goal=GOAL,
            why=cells.replace(" | ", ", "),
        )


def main(arguments: list[str]) -> int:
    """Prints the table; returns the exit status."""
    rows = [*EMBEDDERS, *SEGMENTERS]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--rows", nargs="+", default=rows, choices=rows)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    parser.add_argument("--small", action="store_true", help="small networks and few plates: a test of the code")
    options = parser.parse_args(arguments)
    print("\n".join(table(options.rows, settings(options.device, options.dtype, options.small))))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

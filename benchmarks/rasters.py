"""An instrument added to measured plates: over the sources, and over a working raster that is kept.

Run `python -m benchmarks.rasters [FOLDER ...]`. With folders it prints, for the scans in them, the cosine between the
vectors of the source and of each raster, and nothing else. Plates of 20 Mpx are drawn into a temporary folder. Loading
models is not timed.
"""

import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch

from atlas_assets.cli.models.golden_measurement import cosines
from atlas_assets.demo.plates import draw_demo_plates
from atlas_assets.roles.declared import declared_preprocessing
from atlas_assets.roles.embedding import EmbeddingWork
from atlas_resources.files.read_ahead import THREADS
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.input import Raster
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loading import load_model
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.plates.rasters.working import keep_raster, reduce
from atlas_resources.runs.execution import InstrumentRun
from atlas_resources.runs.passes import shared_source
from benchmarks.decode_once import draw_scans, measure
from benchmarks.figures import Figure, in_turn

ON_RASTER = "efficientnet_lite0_work_1024"
ENCODERS = ("efficientnet_lite0", "efficientnet_lite2")
RASTERS: tuple[Raster, ...] = ("work_1024", "work_2048")
PLATES = 16
DRAWN = 12


def scans_of(folders: Sequence[Path]) -> list[Path]:
    """The image files of folders."""
    names = {".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp"}
    return sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in names)


def on_raster(spec: Spec, raster: Raster) -> Spec:
    """The same instrument, which reads a working raster."""
    steps = declared_preprocessing(spec).model_copy(update={"raster": raster})
    return spec.model_copy(update={"preprocessing": steps})


def compare_vectors(key: str, scans: Sequence[Path]) -> Iterator[tuple[Raster, np.ndarray]]:
    """The cosine of each scan between an instrument's vectors from the source and from each raster, float64 [N]."""
    instrument = read_registry().instruments[key]
    model = load_model(instrument.spec)
    images = [decode(path).image for path in scans]
    work = EmbeddingWork(instrument.spec, lambda: model)
    work.load()
    whole = np.stack([work.embed_picture(image) for image in images])
    for raster in RASTERS:
        smaller = EmbeddingWork(on_raster(instrument.spec, raster), lambda: model)
        smaller.load()
        yield raster, cosines(whole, np.stack([smaller.embed_picture(reduce(one, raster)) for one in images]))


def _run(dataset: Dataset, instrument: Instrument, model: object) -> None:
    work = EmbeddingWork(instrument.spec, lambda: model)
    measure(dataset, [InstrumentRun(dataset, instrument, work, is_forced=True)])


def _count_decodes(dataset: Dataset, instrument: Instrument, model: object) -> int:
    with patch.object(shared_source, "decode_source", wraps=shared_source.decode_source) as decodes:
        _run(dataset, instrument, model)
    return decodes.call_count


def figures(subject: str) -> Iterator[Figure]:
    """What adding an instrument costs, over sources and over kept rasters, and what the raster changes."""
    torch.set_num_threads(1)
    registry = read_registry()
    with tempfile.TemporaryDirectory() as folder:
        dataset = Dataset(Path(folder) / "atlas")
        list(register_scans(dataset, [draw_scans(Path(folder) / "scans", PLATES)]))
        source, raster = (registry.instruments[key] for key in (ENCODERS[0], ON_RASTER))
        model = load_model(source.spec)
        made = in_turn({"made": partial(_make, dataset), "source": partial(_run, dataset, source, model)}, rounds=3)
        yield Figure(
            subject,
            f"the first instrument on a raster: {PLATES} rasters made of 20 Mpx and kept",
            tuple(one / PLATES for one in made["made"]),
            beside="an instrument over the sources, a plate",
            floor=tuple(one / PLATES for one in made["source"]),
            why=f"on 1 thread; a run prepares plates on {THREADS}",
        )
        decodes = _count_decodes(dataset, raster, model)
        yield Figure(
            subject, "the next instrument: sources decoded", (decodes,), "decodes", goal=0, why=f"{PLATES} plates"
        )
        ways = {"raster": partial(_run, dataset, raster, model), "source": partial(_run, dataset, source, model)}
        seconds = in_turn(ways)
        yield Figure(
            subject,
            "the next instrument: over kept rasters, a plate",
            tuple(one / PLATES for one in seconds["raster"]),
            beside="the same over the sources",
            floor=tuple(one / PLATES for one in seconds["source"]),
        )
        drawn = Path(folder) / "drawn"
        draw_demo_plates(drawn, Path(folder) / "truth", DRAWN, scale=1.0, processes=1)
        for key in ENCODERS:
            for name, found in compare_vectors(key, scans_of([drawn])):
                yield Figure(
                    subject,
                    f"`{key}`, cosine to the source's vector from `{name}`",
                    tuple(found.tolist()),
                    "cosine",
                    sense="at least",
                    why=f"{DRAWN} drawn plates; docs/instruments.md has real ones",
                )


def _make(dataset: Dataset) -> None:
    for plate in dataset.plates():
        keep_raster(plate, "work_1024", reduce(shared_source.decode_source(plate).image, "work_1024"))


def main(folders: Sequence[Path]) -> None:
    """Prints the figures; of folders instead a line for each encoder and raster, over their scans."""
    scans = scans_of(folders)
    for figure in () if scans else figures("Working rasters"):
        print(figure)
    for key in ENCODERS if scans else ():
        for raster, found in compare_vectors(key, scans):
            farthest = scans[int(found.argmin())].name
            shown = f"minimum {found.min():.4f} ({farthest}), median {np.median(found):.4f}"
            print(f"{key} {raster}: cosine of {len(scans)} scans: {shown}")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]])

"""Does a segment's vector find its subject on another paper? `python -m benchmarks.regions FOLDER`.

The folder has scans. Each is also reprinted on browned paper, and each reprint is a query for the plate it came from:
by the vector of the whole plate, and by that of its largest kept segment under several crop policies.
"""

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from PIL import Image

from atlas_assets.graph.instruments import build_work
from atlas_resources.files.project import SPECS_FOLDER
from atlas_resources.files.yaml_files import read_yaml
from atlas_resources.instruments.region_plans import METHODS_NAME, REGIONS_FOLDER, Methods, RegionPlan, derive
from atlas_resources.instruments.registry import Registry, read_registry
from atlas_resources.models.loading import load_model
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.runs.execution import execute_run
from atlas_resources.runs.upstream import require_sealed

SEGMENTER, EMBEDDER = "otsu_luma", "efficientnet_lite0"
BROWNED = np.array([226, 196, 150]) / 255  # sRGB of white paper after browning
SURROUNDINGS = ("as_scanned", "paper_tone", "#808080", "#ffffff")
MARK = "-browned"


@dataclass(frozen=True)
class Answer:
    """The result of one kind of query: seconds for all plates, share of plates found first, and median rank."""

    way: str
    seconds: float
    first_ratio: float
    median_rank: float


def _browned(path: Path, folder: Path) -> Path:
    """The scan on browned paper: every channel multiplied by the paper's."""
    pixels = np.asarray(decode(path).image)
    new = folder / f"{path.stem}{MARK}.png"
    Image.fromarray(np.rint(pixels * BROWNED).astype(np.uint8)).save(new)
    return new


def _registry() -> Registry:
    """The project's plan with every crop policy to compare."""
    registry = read_registry()
    plan = read_yaml(SPECS_FOLDER / REGIONS_FOLDER / f"{SEGMENTER}.yaml", RegionPlan)
    methods = read_yaml(SPECS_FOLDER / REGIONS_FOLDER / METHODS_NAME, Methods)
    assert isinstance(plan, RegionPlan)
    assert isinstance(methods, Methods)
    (shown,) = plan.embeddings
    crops = [
        shown.model_copy(update={"name": f"way{index}", "crop": shown.crop.model_copy(update={"surroundings": way})})
        for index, way in enumerate(SURROUNDINGS)
    ]
    plan = plan.model_copy(update={"embeddings": crops})
    derived = derive(plan, registry.specs[SEGMENTER], methods, registry.specs)
    specs = {spec.key: spec for spec in (registry.specs[SEGMENTER], registry.specs[EMBEDDER], *derived)}
    return Registry(registry.folder, specs, frozenset(specs), ())


def _run(dataset: Dataset, registry: Registry, key: str) -> float:
    started = time.perf_counter()
    instrument = registry.instruments[key]
    work = build_work(instrument, lambda: load_model(instrument.spec, instrument.prompts))
    outcomes = list(execute_run(dataset, instrument, dataset.plate_ids(), work))
    failed = [outcome.plate_id for outcome in outcomes if outcome.status == "failed"]
    assert not failed, failed
    return time.perf_counter() - started


def _vectors(dataset: Dataset, registry: Registry, key: str) -> dict[str, np.ndarray]:
    """Unit vectors [N, dim] of each plate: one for the whole, or one per kept segment, largest first."""
    found = {}
    for plate_id in dataset.plate_ids():
        rows = require_sealed(dataset.plate(plate_id), registry.instruments[key]).rows
        if rows.height:
            order = ((pl.col("x_max") - pl.col("x_min")) * (pl.col("y_max") - pl.col("y_min"))).fill_null(0)
            vectors = np.array(rows.sort(order, descending=True)["vector"].to_list())
            found[plate_id] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return found


def _ranks(vectors: dict[str, np.ndarray], twin_of: dict[str, str]) -> list[int]:
    """Rank of the original of each browned plate among all originals, by their most similar vector."""
    originals = [plate_id for plate_id in twin_of.values() if plate_id in vectors]
    ranks = []
    for browned, original in twin_of.items():
        if browned not in vectors or original not in vectors:
            continue
        cosines = {plate_id: float((vectors[plate_id] @ vectors[browned][0]).max()) for plate_id in originals}
        ranks.append(1 + sum(cosine > cosines[original] for cosine in cosines.values()))
    return ranks


def measure(folder: Path) -> list[Answer]:
    """Registers the scans of a folder and their browned reprints, measures them, and queries."""
    scans = sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png"})
    registry = _registry()
    with tempfile.TemporaryDirectory() as made:
        staging = Path(made) / "browned"
        staging.mkdir()
        dataset = Dataset(Path(made) / "atlas")
        list(register_scans(dataset, [*scans, *(_browned(path, staging) for path in scans)]))
        by_stem = {dataset.plate(plate_id).source_path().stem: plate_id for plate_id in dataset.plate_ids()}
        twin_of = {plate_id: by_stem[stem.removesuffix(MARK)] for stem, plate_id in by_stem.items() if MARK in stem}
        seconds = {key: _run(dataset, registry, key) for key in (SEGMENTER, EMBEDDER, f"{SEGMENTER}_kept")}
        answers = []
        for index, way in enumerate(("whole plate", *SURROUNDINGS)):
            key = EMBEDDER if index == 0 else f"{SEGMENTER}_way{index - 1}"
            spent = seconds[key] if index == 0 else _run(dataset, registry, key)
            ranks = _ranks(_vectors(dataset, registry, key), twin_of)
            answers.append(Answer(way, spent, float(np.mean(np.array(ranks) == 1)), float(np.median(ranks))))
        return answers


def main() -> None:
    """Prints a line per kind of query."""
    print("| asked by | seconds | its own plate first | median rank |\n|---|---|---|---|")
    for answer in measure(Path(sys.argv[1])):
        print(f"| {answer.way} | {answer.seconds:.1f} | {answer.first_ratio:.2f} | {answer.median_rank:g} |")


if __name__ == "__main__":
    main()

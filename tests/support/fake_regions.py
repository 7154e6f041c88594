"""Instruments derived from the fake segmenter: the project's own methods, and simple plans."""

from pathlib import Path

from atlas_resources.files.project import SPECS_FOLDER
from atlas_resources.files.yaml_files import read_yaml
from atlas_resources.instruments.region_plans import METHODS_NAME, REGIONS_FOLDER, Methods, RegionPlan, derive
from atlas_resources.instruments.registry import Registry
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec

KEPT, PALETTE, POLYGONS, VECTORS = (f"{SEGMENTER}_{part}" for part in ("kept", "palette", "polygons", EMBEDDER))
KEYS = {key: f"regions/{SEGMENTER}/{key.removeprefix(f'{SEGMENTER}_')}" for key in (KEPT, PALETTE, POLYGONS, VECTORS)}
TIGHT_BOX = {"padding_ratio": 0, "shape": "box", "surroundings": "as_scanned"}


def project_methods() -> Methods:
    methods = read_yaml(SPECS_FOLDER / REGIONS_FOLDER / METHODS_NAME, Methods)
    assert isinstance(methods, Methods)
    return methods


def region_plan(segmenter: str) -> RegionPlan:
    """The project's own plan for a segmenter."""
    read = read_yaml(SPECS_FOLDER / REGIONS_FOLDER / f"{segmenter}.yaml", RegionPlan)
    assert isinstance(read, RegionPlan)
    return read


def plan(kept: dict | None = None, crop: dict | None = None) -> RegionPlan:
    return RegionPlan.model_validate(
        {
            "kept": {"drop_class": "paper"} if kept is None else kept,
            "palette": {"most_colours": 3},
            "polygons": {"tolerance_ratio": 0.003, "min_ring_area_ratio": 0.00005, "min_reprojected_iou": 0.9},
            "embeddings": [{"embedder": EMBEDDER, "crop": crop or TIGHT_BOX}],
        }
    )


def region_registry(given: RegionPlan | None = None, **changed: float) -> Registry:
    """The fake segmenter and embedder, and all that is derived from them. `changed` are the segmenter's parameters."""
    segmenter, embedder = fake_spec(SEGMENTER, **changed), fake_spec(EMBEDDER)
    derived = derive(given or plan(), segmenter, project_methods(), {EMBEDDER: embedder})
    return fake_registry(segmenter, embedder, *derived)


def write_plan(folder: Path, segmenter: str, text: str) -> Path:
    path = folder / REGIONS_FOLDER / f"{segmenter}.yaml"
    path.write_text(text, encoding="utf-8")
    return path

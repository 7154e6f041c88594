"""Datasets that earlier releases wrote, kept as archives in `tests/data/`, and what of them must never change."""

import hashlib
import tarfile
from pathlib import Path

from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.plates.dataset import Dataset

ARCHIVES = PROJECT_ROOT / "tests" / "data"
RELEASES = ("first_release", "version_1")
KEPT = ("manifest.json", "manifests/*", "source.sha256", "source/*", "runs/*/*")
"""Files of a plate that nothing writes to again. What is in `derived/` is measured again by a later version."""


def unpack(release: str, folder: Path) -> Dataset:
    """The dataset that a release wrote, in an empty folder."""
    with tarfile.open(ARCHIVES / release / "dataset.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return Dataset(folder)


def kept_files(dataset: Dataset) -> dict[str, str]:
    """The sha256 of every file that must stay as it is, by its path in the dataset."""
    paths = [path for pattern in KEPT for path in dataset.plates_dir.glob(f"*/{pattern}")]
    paths += dataset.reports_dir.glob("*/*.json")
    return {str(path.relative_to(dataset.root)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def json_files(dataset: Dataset) -> list[tuple[Path, str]]:
    """Every JSON file of the dataset but the schemas, with the name of its contract."""
    paths = [path for path in dataset.root.rglob("*.json") if path.parent != dataset.schemas_dir]
    return [(path, "manifest" if path.parent.name == "manifests" else path.stem) for path in sorted(paths)]

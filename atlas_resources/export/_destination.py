"""Where an export may be written."""

from pathlib import Path

from atlas_resources.plates.dataset import Dataset


def require_outside(dataset: Dataset, folder: Path) -> None:
    """Raises ValueError for a folder inside the dataset, whose files an export might overwrite."""
    if folder.resolve().is_relative_to(dataset.root.resolve()):
        raise ValueError(f"{folder}: expected a folder outside the dataset {dataset.root}, found one in it.")

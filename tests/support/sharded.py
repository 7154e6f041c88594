"""Projects whose settings declare shards of a few plates."""

import shutil
from pathlib import Path

import pytest

from atlas_resources.files.project import PROJECT_VARIABLE, SETTINGS_FOLDER

SIZE = 3
"""Plates of a shard."""


def declare(patch: pytest.MonkeyPatch, folder: Path, partitions: str, size: int = SIZE) -> Path:
    """Makes a project in a folder, or changes it, which declares what a partition is. The environment names it."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(SETTINGS_FOLDER / "automation.yaml", folder)
    (folder / "partitions.yaml").write_text(f"partitions: {partitions}\nplates_per_shard: {size}\n", encoding="utf-8")
    patch.setenv(PROJECT_VARIABLE, str(folder))
    return folder

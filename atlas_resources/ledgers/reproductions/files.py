"""The files of `reproductions/`: which there are, and which cannot be read."""

import re
from dataclasses import dataclass
from pathlib import Path

from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken, read_json
from atlas_resources.plates.records.reproduction import Reproduction
from atlas_resources.plates.run_contracts import RUN_ID_PATTERN

FILE_NAME = re.compile(r"\d{8}-\d{6}-\d{6}Z\.json")


@dataclass(frozen=True)
class ReproductionFile:
    """A file that was read: its path relative to the dataset's root, and its content."""

    path: str
    content: Reproduction


def list_reproductions(dataset: Dataset) -> list[Path]:
    """The file of every repetition, by run and time. Reads none."""
    if not dataset.reproductions_dir.is_dir():
        return []
    files = dataset.reproductions_dir.glob("*/*.json")
    return sorted(
        path for path in files if FILE_NAME.fullmatch(path.name) and re.fullmatch(RUN_ID_PATTERN, path.parent.name)
    )


def path_in(dataset: Dataset, path: Path) -> str:
    """A file's path relative to the dataset's root, as the ledger has it."""
    return path.relative_to(dataset.root).as_posix()


def read_reproductions(dataset: Dataset, paths: list[Path]) -> tuple[list[ReproductionFile], list[DatasetBroken]]:
    """The files that can be read, and what is wrong with each of the others."""
    files, broken = [], []
    for path in paths:
        try:
            content = read_json(path, Reproduction)
            if content.run_id != path.parent.name:
                raise DatasetBroken(
                    path, f"run_id: expected {path.parent.name!r}, the name of its folder, found {content.run_id!r}"
                )
            files.append(ReproductionFile(path_in(dataset, path), content))
        except DatasetBroken as error:
            broken.append(error)
    return files, broken

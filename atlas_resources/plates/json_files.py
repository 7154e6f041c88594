"""Reading the JSON files of a dataset, with errors that say how to fix a file that is missing or broken."""

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)

# How to fix a file that is missing or broken, by its name; every other file belongs to a sealed run.
FIXES = {
    "manifest.json": "restore it from a backup, or move the plate's folder away and register the scan again:"
    " atlas plates add FILE",
    "source.sha256": "make sure that the source is the registered one, then, in the plate's folder:"
    " sha256sum source/* > source.sha256",
    "input_image.json": "delete it and materialise plate/input_image for this plate",
    "input_color_histograms.json": "delete it and materialise plate/input_color_histograms for this plate",
}
RUN_FIX = "a sealed run is never edited: delete its folder and materialise the instrument for the plate again"


class DatasetBroken(ValueError):
    """A file of the dataset is missing, or is not what its schema says."""


def read_json(path: Path, model: type[Model]) -> Model:
    """Reads a JSON file as its schema. Raises DatasetBroken: file, fields, expected, found, and how to fix it."""
    data = read_whole(path)
    try:
        return model.model_validate_json(data, strict=True)
    except ValidationError as error:
        wrongs = [
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}, found {str(e['input'])[:80]!r}"
            for e in error.errors()
        ]
        more = f" (and {len(wrongs) - 3} more)" if len(wrongs) > 3 else ""
        raise DatasetBroken(
            f"{path}: is no {model.__name__}: {'; '.join(wrongs[:3])}{more}; {fix_for(path)}"
        ) from error


def read_whole(path: Path) -> bytes:
    """A file's bytes. Raises DatasetBroken, with the fix, for a file that is missing or unreadable."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetBroken(f"{path}: cannot be read: {error.strerror}; {fix_for(path)}") from error


def fix_for(path: Path) -> str:
    """How to fix a file of the dataset that is missing or broken."""
    return f"to fix it: {FIXES.get(path.name, RUN_FIX)}"

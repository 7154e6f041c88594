"""Where everything of a dataset lies, and reading and writing its JSON files whole or not at all.

What the files hold is in `contracts`; how scans come in is in `registration`; sealed runs are in `runs`.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from atlas_resources.files.durable import write_bytes_atomically
from atlas_resources.plates.contracts import CONTRACTS, PLATE_ID_PATTERN, PlateManifest, json_schema

ROOT_VARIABLE = "ATLAS_HOME"
DEFAULT_ROOT = Path("data/atlas")

Model = TypeVar("Model", bound=BaseModel)

# One line as sha256sum writes and checks it, run in the plate's folder.
SHA256_LINE = re.compile(r"([0-9a-f]{64})  source/([^/\n]+)\n")

# What mends a file that is missing or broken, by its name; `reports/` and `runs/` hold the others.
MENDS = {
    "manifest.json": "restore it from a backup, or move the plate's folder away and register the scan again:"
    " atlas plates add FILE",
    "source.sha256": "make sure that the source is the registered one, then, in the plate's folder:"
    " sha256sum source/* > source.sha256",
    "input_image.json": "delete it and materialise plate/input_image for this plate",
    "input_color_histograms.json": "delete it and materialise plate/input_color_histograms for this plate",
}
RUN_MEND = "a sealed run is never edited: delete its folder and materialise the instrument for the plate again"


class PlateIdRefused(ValueError):
    """A plate id that is not a slug, and so might name a path outside the dataset."""


class PlateUnknown(LookupError):
    """A plate that is not registered."""


class DatasetBroken(ValueError):
    """A file of the dataset that is missing or is not what its contract says."""


def dataset_root() -> Path:
    """The dataset root: ATLAS_HOME if set and not empty, else `data/atlas` under the working directory. Absolute."""
    return Path(os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT).expanduser().absolute()


@dataclass(frozen=True)
class Dataset:
    """A dataset by its root. Holds no state: every answer is read from disk."""

    root: Path

    @property
    def staging_dir(self) -> Path:
        """Where scans are put to be registered."""
        return self.root / "plates"

    @property
    def plates_dir(self) -> Path:
        """One folder for each plate; names that start with a dot are registrations under way."""
        return self.root / "plates_structured"

    @property
    def reports_dir(self) -> Path:
        """One folder for each run as a whole."""
        return self.root / "reports"

    @property
    def locks_dir(self) -> Path:
        """Empty files that running processes hold kernel locks on; safe to delete when nothing runs."""
        return self.root / ".locks"

    @property
    def ledger_dir(self) -> Path:
        """Derived Parquet tables."""
        return self.root / "ledger"

    @property
    def schemas_dir(self) -> Path:
        """JSON Schemas of the dataset's JSON files."""
        return self.root / "schemas"

    @property
    def catalogue_path(self) -> Path:
        """The DuckDB file."""
        return self.root / "atlas.duckdb"

    def plate_dir(self, plate_id: str) -> Path:
        """Folder of a plate, registered or not. Raises PlateIdRefused for an id that is not a slug."""
        require_plate_id(plate_id)
        return self.plates_dir / plate_id

    def derived_path(self, plate_id: str, name: str) -> Path:
        """A file that follows from the source alone."""
        return self.plate_dir(plate_id) / "derived" / name

    def thumbnail(self, plate_id: str) -> bytes | None:
        """The plate's thumbnail (`derived/thumbnail.jpg`) as JPEG bytes; None before groundwork has made it."""
        path = self.derived_path(plate_id, "thumbnail.jpg")
        return path.read_bytes() if path.is_file() else None

    def runs_dir(self, plate_id: str) -> Path:
        """Sealed runs of a plate."""
        return self.plate_dir(plate_id) / "runs"

    def ensure(self) -> None:
        """Create the root with its folders, and bring `schemas/` up to date. What is right already is not written."""
        for folder in (self.staging_dir, self.plates_dir, self.reports_dir, self.ledger_dir, self.schemas_dir):
            folder.mkdir(parents=True, exist_ok=True)
        for name in CONTRACTS:
            path = self.schemas_dir / f"{name}.schema.json"
            schema = (json.dumps(json_schema(name), indent=2, ensure_ascii=False) + "\n").encode()
            if not path.is_file() or path.read_bytes() != schema:
                write_bytes_atomically(path, schema)

    def plate_ids(self) -> list[str]:
        """Ids of the registered plates in order of registration (created_at, then id).

        A plate whose manifest is unreadable is listed last: it fails by name where it is used, and alone.
        """
        if not self.plates_dir.is_dir():
            return []
        ids = [name for name in os.listdir(self.plates_dir) if re.fullmatch(PLATE_ID_PATTERN, name)]
        return sorted((i for i in ids if self.manifest_path(i).is_file()), key=lambda i: (self._created_at(i), i))

    def manifest_path(self, plate_id: str) -> Path:
        """The file that makes a folder a plate."""
        return self.plate_dir(plate_id) / "manifest.json"

    def manifest(self, plate_id: str) -> PlateManifest:
        """Identity of a plate. Raises PlateIdRefused, PlateUnknown or DatasetBroken."""
        path = self.manifest_path(plate_id)
        if not path.is_file():
            raise PlateUnknown(
                f"{plate_id}: no such plate in {self.plates_dir}; `atlas plates list` shows those there are"
            )
        manifest = self.read_json(path, PlateManifest)
        if manifest.plate_id != plate_id:
            raise DatasetBroken(
                f"{path}: plate_id: expected {plate_id!r}, as its folder, found {manifest.plate_id!r}; {mend_of(path)}"
            )
        if Path(manifest.source_image).name != manifest.source_image:
            raise DatasetBroken(
                f"{path}: source_image: expected a file name, found {manifest.source_image!r}; {mend_of(path)}"
            )
        return manifest

    def source_path(self, plate_id: str) -> Path:
        """The plate's one immutable image file."""
        return self.plate_dir(plate_id) / "source" / self.manifest(plate_id).source_image

    def source_sha256(self, plate_id: str) -> str:
        """sha256 (64 hex digits) of the source as registered, from `source.sha256`. The source itself is not read."""
        path = self.plate_dir(plate_id) / "source.sha256"
        text = read_whole(path).decode("utf-8", errors="replace")
        line = SHA256_LINE.fullmatch(text)
        if line is None:
            raise DatasetBroken(
                f"{path}: expected one line `<64 hex digits>  source/<file>`, found {text[:80]!r}; {mend_of(path)}"
            )
        return line[1]

    def read_json(self, path: Path, model: type[Model]) -> Model:
        """`read_json`, as a method."""
        return read_json(path, model)

    def _created_at(self, plate_id: str) -> str:
        """Time of registration as a string that sorts (ISO 8601, UTC); where it is missing, one that sorts last."""
        try:
            return str(json.loads(self.manifest_path(plate_id).read_bytes())["created_at"])
        except (OSError, ValueError, LookupError, TypeError):
            return "~"


def require_plate_id(plate_id: str) -> None:
    """Raise PlateIdRefused unless the id is a slug, which can hold no path separator and is no dot folder."""
    if not isinstance(plate_id, str) or re.fullmatch(PLATE_ID_PATTERN, plate_id) is None:
        raise PlateIdRefused(f"plate id {plate_id!r}: expected a slug, {PLATE_ID_PATTERN} (such as plate-001)")


def read_json(path: Path, model: type[Model]) -> Model:
    """Read a JSON file as its contract. Raises DatasetBroken: file, fields, expected, found, mend."""
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
            f"{path}: is no {model.__name__}: {'; '.join(wrongs[:3])}{more}; {mend_of(path)}"
        ) from error


def read_whole(path: Path) -> bytes:
    """A file's bytes. Raises DatasetBroken, with the mend, for a file that is missing or unreadable."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetBroken(f"{path}: cannot be read: {error.strerror}; {mend_of(path)}") from error


def mend_of(path: Path) -> str:
    """What to do about a file of the dataset that is missing or broken."""
    return f"to mend it: {MENDS.get(path.name, RUN_MEND)}"

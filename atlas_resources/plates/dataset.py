"""The folders of a dataset, and which plates are registered in it."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from atlas_resources.files.durable import make_folder, write_bytes_atomically
from atlas_resources.plates.index.facts import Identity, read_identities
from atlas_resources.plates.json_files import CONTRACTS, schema_bytes
from atlas_resources.plates.plate import Plate, require_plate_id

ROOT_VARIABLE = "ATLAS_HOME"
DEFAULT_ROOT = Path("data/atlas")


def dataset_root() -> Path:
    """The dataset root: ATLAS_HOME if set and not empty, else `data/atlas` under the working directory. Absolute."""
    return Path(os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT).expanduser().absolute()


@dataclass(frozen=True)
class Dataset:
    """A dataset by its root. Holds no state: every answer is that of the files on disk as they are now."""

    root: Path

    @property
    def staging_dir(self) -> Path:
        """Where scans are put to be registered."""
        return self.root / "plates"

    @property
    def plates_dir(self) -> Path:
        """One folder for each plate; names that start with a dot are registrations in progress."""
        return self.root / "plates_structured"

    @property
    def reports_dir(self) -> Path:
        """One folder for each run as a whole."""
        return self.root / "reports"

    @property
    def snapshots_dir(self) -> Path:
        """Named states of the library."""
        return self.root / "snapshots"

    @property
    def reproductions_dir(self) -> Path:
        """One folder for each run that was repeated, with a file for each repetition."""
        return self.root / "reproductions"

    @property
    def benchmarks_dir(self) -> Path:
        """One folder for each instrument that was timed, with a file for each benchmark."""
        return self.root / "benchmarks"

    @property
    def comparisons_dir(self) -> Path:
        """One folder for each pair of encoders, with a page for each comparison and its digest."""
        return self.root / "comparisons"

    @property
    def locks_dir(self) -> Path:
        """Empty files that running processes hold kernel locks on; safe to delete when nothing runs."""
        return self.root / ".locks"

    @property
    def rasters_dir(self) -> Path:
        """Smaller copies of plates that instruments read instead of the sources; safe to delete at any time."""
        return self.root / "rasters"

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

    @property
    def page_dir(self) -> Path:
        """The page: files that are made from the catalogue, and can be made again."""
        return self.root / "page"

    def plate(self, plate_id: str) -> Plate:
        """A plate by its id, registered or not. Raises PlateIdRefused for an id that is not a slug."""
        require_plate_id(plate_id)
        return Plate(plate_id, self.plates_dir / plate_id, self.locks_dir / plate_id, self.rasters_dir)

    def plates(self) -> list[Plate]:
        """The registered plates in order of registration (created_at, then id).

        A plate whose manifest is unreadable is listed last. It fails by name when it is used; the others do not.
        """
        return [self.plate(plate_id) for plate_id in self.identities()]

    def identities(self) -> dict[str, Identity]:
        """What the manifest and digest of each registered plate state, by id, in the same order."""
        return read_identities(self.root, self.plates_dir, self.plate)

    def plate_ids(self) -> list[str]:
        """Ids of the registered plates, in the order of `plates`."""
        return list(self.identities())

    def schemas(self) -> Iterator[tuple[Path, bytes]]:
        """The file of each JSON file's schema, and the content that this release writes."""
        for name in CONTRACTS:
            yield self.schemas_dir / f"{name}.schema.json", schema_bytes(name)

    def make_folders(self) -> None:
        """Creates the root and its folders where they are missing."""
        for folder in (self.staging_dir, self.plates_dir, self.reports_dir, self.ledger_dir):
            make_folder(folder)

    def ensure(self) -> None:
        """Creates the folders, and updates `schemas/`. Writes only what is missing or out of date."""
        self.make_folders()
        make_folder(self.schemas_dir)
        for path, schema in self.schemas():
            if not path.is_file() or path.read_bytes() != schema:
                write_bytes_atomically(path, schema)

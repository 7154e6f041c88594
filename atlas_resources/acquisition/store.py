"""The hidden folder `plates/.pull`: parts and finished files of scans that are not registered yet, by their address."""

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import Field

from atlas_resources.acquisition.wanted import WantedScan
from atlas_resources.files.contract import FileContract, Sha256
from atlas_resources.files.durable import make_folder, write_json_atomically
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken, read_json

FOLDER = ".pull"
"""In the staging folder. Hidden, so that nothing in it is taken for a scan of a person."""


class PullBusy(RuntimeError):
    """Another pull works on the same dataset."""


class PullState(FileContract):
    """`pull.json`: what is known of a download. Without `sha256` it is not complete, or not checked yet."""

    url: str
    etag: str | None = Field(description="ETag that the server sent.")
    last_modified: str | None = Field(description="Last-Modified that the server sent.")
    size_bytes: int | None = Field(description="Size of the whole file, as the server states it.")
    retrieved_at: datetime | None = Field(default=None, description="UTC time at which the last byte arrived.")
    sha256: Sha256 | None = Field(default=None, description="Digest of the whole file.")

    @property
    def validator(self) -> str | None:
        """What tells that the file is still the same (RFC 9110, 13.1.5): a strong ETag, else Last-Modified."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified


@dataclass(frozen=True)
class Item:
    """The files of one address."""

    folder: Path
    name: str

    @property
    def part(self) -> Path:
        """What has arrived so far."""
        return self.folder / "part"

    @property
    def finished(self) -> Path:
        """The whole file, checked. It is registered from here, then removed."""
        return self.folder / "scan" / self.name

    @property
    def state_path(self) -> Path:
        """The file of `state`."""
        return self.folder / "pull.json"

    def state(self) -> PullState | None:
        """What is known of the download; None if nothing is, or if the file is broken: then it begins anew."""
        try:
            return read_json(self.state_path, PullState)
        except DatasetBroken:
            return None

    def write_state(self, state: PullState) -> None:
        """Keeps what is known of the download."""
        write_json_atomically(self.state_path, state)

    def part_bytes(self) -> int:
        """How much has arrived so far."""
        return self.part.stat().st_size if self.part.exists() else 0

    def drop_file(self) -> None:
        """Removes the file or its part. The state stays, so that the address is not asked again."""
        self.part.unlink(missing_ok=True)
        shutil.rmtree(self.folder / "scan", ignore_errors=True)

    def drop(self) -> None:
        """Removes everything of the address."""
        shutil.rmtree(self.folder, ignore_errors=True)


def pull_folder(dataset: Dataset) -> Path:
    """The hidden folder of all downloads."""
    return dataset.staging_dir / FOLDER


def item_of(dataset: Dataset, wanted: WantedScan) -> Item:
    """Where the files of a scan are until it is registered. Nothing is written."""
    return Item(pull_folder(dataset) / wanted.key, wanted.name)


@contextmanager
def only_pull(dataset: Dataset) -> Iterator[None]:
    """Keeps other pulls from the dataset in the block. Raises PullBusy if there is one."""
    folder = pull_folder(dataset)
    make_folder(folder)
    with (folder / "lock").open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise PullBusy(f"another atlas plates pull works on {dataset.root}. Fix: wait until it has ended") from None
        yield

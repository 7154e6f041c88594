"""Very many registered plates with groundwork and nothing sealed, made by replacing texts in the files of one."""

import hashlib
import os
from collections.abc import Iterator
from datetime import timedelta
from functools import reduce
from pathlib import Path

from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.plate import Plate
from benchmarks.made_plates import MadePlates, plate_id_of

BLANK = b"0" * 64
"""In place of a JSON file's digest of itself while that is computed."""


class RegisteredPlates:
    """A library that grows by copies of its first made plate; one that is in the folder already grows on.

    Every copy has a digest, hashes and a time of its own. It takes a quarter of the time of `MadePlates`.
    """

    def __init__(self, folder: Path, registry: Registry):
        made = MadePlates(folder, registry, ())
        if made.count == 0:
            made.add(1)
            for scan in made.dataset.staging_dir.iterdir():  # as if it had been taken away: the copies are of none
                scan.unlink()
        self.dataset, self.count = made.dataset, made.count
        self._template = _Template(made.dataset, made.dataset.plate(plate_id_of(1)))

    def add(self, count: int, measured: int | None = None) -> None:
        """Adds plates. Nothing is flushed to disk.

        Args:
            count: how many.
            measured: plates of the library with a higher number have no groundwork; by default all have.
        """
        for number in range(self.count + 1, self.count + count + 1):
            self._template.copy(number, is_measured=measured is None or number <= measured)
        self.count += count


class _Template:
    def __init__(self, dataset: Dataset, plate: Plate):
        self._plates_dir, self._id = str(dataset.plates_dir), plate.id.encode()
        self._manifest = plate.manifest()
        self._sha256 = plate.source_sha256()
        names = ("manifest.json", *(f"derived/{path.name}" for path in (plate.folder / "derived").glob("*.json")))
        self._files = {name: _blanked((plate.folder / name).read_bytes()) for name in names}
        self._source = f"source/{self._manifest.source_image}"

    def copy(self, number: int, *, is_measured: bool) -> None:
        folder = f"{self._plates_dir}/{plate_id_of(number)}"
        for name in ("", "/source", "/derived", "/runs"):
            os.mkdir(folder + name)
        content = number.to_bytes(8, "big")
        sha256 = hashlib.sha256(content).hexdigest()
        _write(f"{folder}/{self._source}", content)
        _write(f"{folder}/source.sha256", f"{sha256}  {self._source}\n".encode())
        changes = list(self._changes(number, sha256))
        for name, template in self._files.items() if is_measured else [("manifest.json", self._files["manifest.json"])]:
            data = reduce(lambda text, change: text.replace(*change), changes, template)
            _write(f"{folder}/{name}", data.replace(BLANK, hashlib.sha256(data).hexdigest().encode(), 1))

    def _changes(self, number: int, sha256: str) -> Iterator[tuple[bytes, bytes]]:
        created_at = self._manifest.created_at
        texts = {
            self._sha256: sha256,
            **{f'hash": "{self._sha256[at : at + 16]}"': f'hash": "{sha256[at : at + 16]}"' for at in range(3)},
            _time(created_at): _time(created_at + timedelta(seconds=number)),
            '"plate_number": 1,': f'"plate_number": {number},',
            '"title": "Plate 1"': f'"title": "Plate {number}"',
            '"slug": "plate-1"': f'"slug": "plate-{number}"',
        }
        yield self._id, plate_id_of(number).encode()
        yield from ((old.encode(), new.encode()) for old, new in texts.items())


def _time(moment: object) -> str:
    return str(moment).replace(" ", "T").replace("+00:00", "Z")


def _blanked(data: bytes) -> bytes:
    start = data.index(b'"content_sha256": "') + len(b'"content_sha256": "')
    return data[:start] + BLANK + data[start + 64 :]


def _write(path: str, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    os.write(descriptor, data)
    os.close(descriptor)

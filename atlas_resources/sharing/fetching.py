"""Fetching the files of a plate from a store, each compared with the digest that is stated of it."""

import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from atlas_resources.files.durable import LEFTOVER_SECONDS, make_folder, sync_folder, write_bytes_atomically
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.plate import Plate
from atlas_resources.sharing.layout import PLATE_KEY, plate_key
from atlas_resources.store.protocol import KeyMissing, Store

FOLDER = ".fetching"
LAST = "manifest.json"
"""Without it a folder is no plate."""


class FetchedWrong(ValueError):
    """What was fetched is not what its digest states, or is missing in the store. Nothing of it is kept."""

    @classmethod
    def of(cls, store: Store, key: str, expected: str, found: str) -> "FetchedWrong":
        """A file with other bytes than those that were sealed or registered."""
        return cls(
            f"{store.address}/{key}: expected sha256 {expected}, found {found}. Fix: put the right file there from a "
            "copy; `atlas store verify --deep` names every such file"
        )


@contextmanager
def fetching_folder(dataset: Dataset) -> Iterator[Path]:
    """A new hidden folder on the dataset's disk, removed at the end of the block unless it was moved away."""
    place = dataset.root / FOLDER
    make_folder(place)
    for left in place.iterdir():
        if time.time() - left.stat().st_mtime > LEFTOVER_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
    folder = place / secrets.token_hex(8)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fetch_plate(store: Store, plate: Plate) -> int:
    """Fetches what the store has of a plate and this machine has not, except sources and runs; returns how many files.

    `manifest.json` comes last. Facts that were derived from the source are fetched only if there are none: they follow
    from it, and each states the version that measured it.

    Raises:
        StoreUnreachable: the store does not answer.
    """
    keys = [listed.key for listed in store.list(plate_key(plate.id))]
    if not plate.manifest_path.is_file() and plate_key(plate.id, LAST) not in keys:  # the list may be late
        keys += [plate_key(plate.id, name) for name in ("source.sha256", LAST)]
    fetched = 0
    for key in sorted(keys, key=lambda key: key.endswith(f"/{LAST}")):
        found = PLATE_KEY.fullmatch(key)
        path = plate.folder / found[2] if found else None
        if path is None or found is None or found[2].startswith("source/") or path.is_file():
            continue
        try:
            content = store.read(key).content
        except KeyMissing:
            if found[2] == "source.sha256":
                return 0  # no such plate
            continue
        write_bytes_atomically(path, content)
        fetched += 1
    return fetched


def fetch_source(dataset: Dataset, store: Store, plate: Plate) -> bool:
    """Fetches the plate's source unless it is there, and compares it with its registered digest.

    Returns:
        Whether it was fetched.

    Raises:
        FetchedWrong: the store has another file.
        PlateUnknown, DatasetBroken: the plate's own files are not there, or cannot be read.
    """
    path = plate.source_path()
    if path.is_file():
        return False
    key = plate_key(plate.id, path.relative_to(plate.folder).as_posix())
    with fetching_folder(dataset) as folder:
        fetched = folder / "source"
        try:
            found = store.read_to(key, fetched)
        except KeyMissing as error:
            raise FetchedWrong(f"{error}. Fix: `atlas store push` on the machine that registered {plate.id}") from error
        if found != plate.source_sha256():
            raise FetchedWrong.of(store, key, plate.source_sha256(), found)
        fetched.chmod(0o444)
        make_folder(path.parent)
        fetched.rename(path)
        sync_folder(path.parent)
    return True

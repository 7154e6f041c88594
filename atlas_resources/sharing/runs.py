"""Sealed runs in a store: publishing one, of which a plate has at most one that nobody has seen, and fetching them.

A complete run counts once its manifest is under its number in `sealed/`. That write decides between two workers that
measured the same plate, as after a lease that ended early: the second finds the first one's run and drops its own.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path

from atlas_resources.files.durable import make_folder, sync_folder, write_synced
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import parse_json
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.sharing.fetching import FetchedWrong, fetching_folder
from atlas_resources.sharing.layout import RUN_MANIFEST, plate_key, sealed_key, sealed_key_of, sealed_prefix
from atlas_resources.store.protocol import AlreadyWritten, KeyMissing, Store


def read_sealed(store: Store, fingerprint: str, plate_id: str, source_sha256: str) -> list[bytes]:
    """The manifests of a plate's complete runs by an instrument's version on one source, by number. Never late."""
    found: list[bytes] = []
    while True:
        try:
            found.append(store.read(sealed_key(fingerprint, plate_id, source_sha256, len(found) + 1)).content)
        except KeyMissing:
            return found


def publish_run(store: Store, folder: Path, manifest: RunManifest, seen: int | None) -> bytes | None:
    """Publishes a run whose files are in a folder: its files, then its manifest.

    Args:
        store: the store.
        folder: has the run's files and its manifest.
        manifest: the same manifest.
        seen: how many complete runs of the plate the worker had seen before it measured. None for what must be kept
            whatever others have sealed, as the run of another machine that is pushed later.

    Returns:
        None, or the manifest of the run that another worker has sealed meanwhile: this one was not published.
    """
    content = (folder / RUN_MANIFEST).read_bytes()
    for output in manifest.outputs:
        store.write_once(plate_key(manifest.plate_id, output.path), folder / Path(output.path).name)
    if manifest.status == "complete":
        other = _take_number(store, manifest, content, seen)
        if other is not None:
            return other
    store.write_once(plate_key(manifest.plate_id, f"runs/{manifest.run_id}/{RUN_MANIFEST}"), content)
    return None


def _take_number(store: Store, manifest: RunManifest, content: bytes, seen: int | None) -> bytes | None:
    number = (seen or 0) + 1
    while True:
        try:
            store.write_once(sealed_key_of(manifest, number), content)
            return None
        except AlreadyWritten:
            if seen is not None:
                return store.read(sealed_key_of(manifest, number)).content
            number += 1


def list_sealed(store: Store, fingerprint: str) -> Iterator[tuple[str, str]]:
    """The key and the plate of each complete run of an instrument's version. It may be late."""
    prefix = sealed_prefix(fingerprint)
    for listed in store.list(prefix):
        yield listed.key, listed.key.removeprefix(prefix).split("/")[0]


def parse_manifest(store: Store, key: str, content: bytes) -> RunManifest:
    """The manifest in a key. Raises DatasetBroken."""
    return parse_json(Path(store.address, key), content, RunManifest)


def fetch_run(dataset: Dataset, store: Store, plate: Plate, content: bytes) -> RunManifest:
    """Fetches a run by the bytes of its manifest, compares each file with it, and shows the whole folder or nothing.

    Raises:
        FetchedWrong: a file in the store is not the one that was sealed.
        DatasetBroken: the manifest is not one.
    """
    manifest = parse_manifest(store, plate_key(plate.id, RUN_MANIFEST), content)
    place = plate.runs_folder / manifest.run_id
    if place.is_dir():
        return manifest
    with fetching_folder(dataset) as folder:
        for output in manifest.outputs:
            key = plate_key(plate.id, output.path)
            try:
                found = store.read_to(key, folder / Path(output.path).name)
            except KeyMissing as error:
                raise FetchedWrong(f"{error}, and its run's manifest states it") from error
            if found != output.sha256:
                raise FetchedWrong.of(store, key, output.sha256, found)
        write_synced(folder / RUN_MANIFEST, content)
        sync_folder(folder)
        make_folder(plate.runs_folder)
        try:
            folder.rename(place)
        except OSError:
            if not place.is_dir():  # another process of this machine fetched it meanwhile
                raise
            shutil.rmtree(folder, ignore_errors=True)
    sync_folder(plate.runs_folder)
    return manifest

"""What a worker does with a store while it measures: fetches what it needs, claims, publishes what it seals.

Without ATLAS_STORE there is none of this: `shared` returns None, and the dataset's folder is the truth.
"""

import os
import secrets
import socket
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from atlas_resources.files.durable import make_folder
from atlas_resources.files.read_ahead import ahead
from atlas_resources.instruments.instrument import InstrumentIdentity
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.plate import Plate, PlateIdRefused
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.sharing.fetching import fetch_plate, fetch_source
from atlas_resources.sharing.layout import claim_key, plate_key
from atlas_resources.sharing.runs import fetch_run, list_sealed, parse_manifest, publish_run, read_sealed
from atlas_resources.store.address import named_store
from atlas_resources.store.leases import Lease, Leases
from atlas_resources.store.protocol import AlreadyWritten, Changed, KeyMissing, Store

THREADS = 8
"""Requests at once, while a run begins."""


class SealedByAnother(Exception):
    """Another worker sealed the plate meanwhile, and this one's result was dropped.

    Attributes:
        sealed: what the other sealed.
    """

    def __init__(self, sealed: RunManifest):
        super().__init__("another worker sealed the plate meanwhile")
        self.sealed: Any = sealed  # passes are of any kind of result


class Shared:
    """A dataset's local folder and the store whose copy it is.

    Attributes:
        store: the store.
    """

    def __init__(self, dataset: Dataset, store: Store, leases: Leases | None = None):
        """Nothing is asked of the store yet.

        Args:
            dataset: the local folder.
            store: the store.
            leases: how plates are claimed; by default in the store, by this process.
        """
        self.store = store
        self._dataset = dataset
        self._leases = leases or Leases(store, f"{socket.gethostname()}, process {os.getpid()}")
        self._seen: dict[tuple[str, str], int] = {}

    def begin(self, plate_ids: Sequence[str], reads: Iterable[InstrumentIdentity]) -> None:
        """Fetches what a run needs to begin: its plates, and what instruments have sealed of them.

        Args:
            plate_ids: the plates.
            reads: the instrument that runs, and those whose results it reads.
        """
        self.fetch_plates(plate_ids)
        for identity in reads:
            self.fetch_results(identity, plate_ids)

    def fetch_plates(self, plate_ids: Iterable[str]) -> None:
        """Fetches what is missing here of plates, without their sources and runs."""
        wanted = [self._dataset.plate(plate_id) for plate_id in plate_ids if _is_id(self._dataset, plate_id)]
        for _ in ahead(lambda plate: fetch_plate(self.store, plate), wanted, 2 * THREADS, threads=THREADS):
            pass

    def fetch_results(self, identity: InstrumentIdentity, plate_ids: Iterable[str]) -> None:
        """Fetches the complete runs of an instrument's version that the store lists and this machine has not."""
        wanted = set(plate_ids)
        keys = [key for key, plate_id in list_sealed(self.store, identity.fingerprint) if plate_id in wanted]
        for _ in ahead(self._fetch_listed, keys, 2 * THREADS, threads=THREADS):
            pass

    def fetch_done(self, plate: Plate, identity: InstrumentIdentity) -> None:
        """Fetches every complete run of a plate by an instrument's version on its present source.

        It lists nothing, so it is never late. How many there are is what `publish` compares with.
        """
        found = read_sealed(self.store, identity.fingerprint, plate.id, plate.source_sha256())
        for content in found:
            fetch_run(self._dataset, self.store, plate, content)
        self._seen[plate.id, identity.fingerprint] = len(found)

    def fetch_source(self, plate: Plate) -> None:
        """Fetches the plate's source, unless it is there."""
        fetch_source(self._dataset, self.store, plate)

    def claim(self, plate: Plate, key: str) -> Lease | None:
        """Takes the lease on a plate for an instrument; None if another worker has it."""
        return self._leases.take(claim_key(plate.id, key))

    def publish(self, plate: Plate, folder: Path, manifest: RunManifest) -> RunManifest | None:
        """Publishes a run that was written to a folder. Returns the other run, if another worker was first, fetched."""
        fingerprint = manifest.instrument.fingerprint
        seen = self._seen.pop((plate.id, fingerprint), None)
        if seen is None and manifest.status == "complete":  # a plate that is measured again whatever is done
            seen = len(read_sealed(self.store, fingerprint, plate.id, manifest.source_sha256))
        content = publish_run(self.store, folder, manifest, seen or 0)
        return fetch_run(self._dataset, self.store, plate, content) if content else None

    def publish_derived(self, plate: Plate, names: Sequence[str]) -> None:
        """Publishes the facts derived from a plate's source; those of the last worker that measured it stay."""
        for name in names:
            path = plate.derived_path(name)
            if path.is_file():
                self._write_latest(plate_key(plate.id, f"derived/{name}"), path.read_bytes())

    def publish_report(self, path: Path) -> None:
        """Publishes a file of `reports/`."""
        self._write_latest(path.relative_to(self._dataset.root).as_posix(), path.read_bytes())

    def reserve_run_id(self, run_id: str) -> bool:
        """Whether this worker is the first that asks for a run id."""
        try:
            return self.store.write_once(f"reserved/{run_id}", secrets.token_bytes(16))
        except AlreadyWritten:
            return False

    def _fetch_listed(self, key: str) -> None:
        content = self.store.read(key).content
        plate = self._dataset.plate(parse_manifest(self.store, key, content).plate_id)
        if plate.manifest_path.is_file():
            fetch_run(self._dataset, self.store, plate, content)

    def _write_latest(self, key: str, content: bytes) -> None:
        while True:
            try:
                found = self.store.read(key)
            except KeyMissing:
                found = None
            if found is not None and found.content == content:
                return
            try:
                self.store.replace(key, content, found.tag if found else None)
                return
            except Changed:
                continue


def shared_of(plate: Plate) -> Shared | None:
    """The store of the plate's dataset."""
    return shared(Dataset(plate.folder.parents[1]))


def shared(dataset: Dataset) -> Shared | None:
    """The dataset's store, if ATLAS_STORE names one. Raises StoreRefused."""
    store = named_store()
    return _shared(dataset, store) if store else None


@lru_cache(maxsize=8)
def _shared(dataset: Dataset, store: Store) -> Shared:
    make_folder(dataset.root)
    return Shared(dataset, store)


def _is_id(dataset: Dataset, plate_id: str) -> bool:
    try:
        dataset.plate(plate_id)
    except PlateIdRefused:
        return False
    return True

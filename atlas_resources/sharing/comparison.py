"""What a store and a folder have, who holds which plate, and whether a store has what its manifests state."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from atlas_resources.files.contract import FileDigest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.plate import SHA256_LINE
from atlas_resources.sharing.layout import PLATES, RUN_MANIFEST, plate_key
from atlas_resources.sharing.runs import parse_manifest
from atlas_resources.sharing.transfer import stored_plates
from atlas_resources.store.leases import LeaseRecord
from atlas_resources.store.protocol import KeyMissing, Store


@dataclass(frozen=True)
class Comparison:
    """Numbers of plates and sealed runs: in the store, and only on one side."""

    plates: int
    runs: int
    plates_to_push: int
    runs_to_push: int
    plates_to_pull: int
    runs_to_pull: int


def compare(dataset: Dataset, store: Store) -> Comparison:
    """What a store and a folder have, by their lists. Reads no file. Raises StoreUnreachable."""
    there = {plate_id: set(runs) for plate_id, runs in stored_plates(store).items()}
    here = {}
    for plate_id in dataset.plate_ids():
        folder = dataset.plate(plate_id).runs_folder
        here[plate_id] = {path.parent.name for path in folder.glob(f"run-*/{RUN_MANIFEST}")}
    there_runs = {(plate_id, run) for plate_id, runs in there.items() for run in runs}
    here_runs = {(plate_id, run) for plate_id, runs in here.items() for run in runs}
    return Comparison(
        plates=len(there),
        runs=len(there_runs),
        plates_to_push=len(here.keys() - there.keys()),
        runs_to_push=len(here_runs - there_runs),
        plates_to_pull=len(there.keys() - here.keys()),
        runs_to_pull=len(there_runs - here_runs),
    )


def read_claims(store: Store) -> Iterator[tuple[str, LeaseRecord]]:
    """The leases that were not given back, by key. Raises StoreUnreachable."""
    for listed in store.list("claims/"):
        with suppress(ValidationError):  # what is no lease holds nobody off
            record = LeaseRecord.model_validate_json(store.read(listed.key).content)
            if record.expires_at > 0:
                yield listed.key, record


def verify_store(
    store: Store, *, is_deep: bool = False, on_plate: Callable[[str], None] = lambda plate_id: None
) -> Iterator[str | None]:
    """Compares what manifests state with what a store has: None for each file that is as stated, else one line.

    Args:
        store: the store.
        is_deep: whether to read and hash every file; by default sizes are compared, by one list.
        on_plate: called with each plate's id once it is verified.

    Raises:
        StoreUnreachable: the store does not answer.
    """
    sizes = {listed.key: listed.size_bytes for listed in store.list(f"{PLATES}/")}
    for plate_id, run_ids in stored_plates(store).items():
        yield from _verify_source(store, plate_id, sizes, is_deep)
        for run_id in run_ids:
            key = plate_key(plate_id, f"runs/{run_id}/{RUN_MANIFEST}")
            try:
                manifest = parse_manifest(store, key, store.read(key).content)
            except DatasetBroken as error:
                yield str(error)
                continue
            yield None
            for output in manifest.outputs:
                stated = output.model_copy(update={"path": plate_key(plate_id, output.path)})
                yield _difference(store, stated, sizes, is_deep)
        on_plate(plate_id)


def _verify_source(store: Store, plate_id: str, sizes: dict[str, int], is_deep: bool) -> Iterator[str | None]:
    key = plate_key(plate_id, "source.sha256")
    try:
        line = SHA256_LINE.fullmatch(store.read(key).content.decode("utf-8", errors="replace"))
    except KeyMissing as error:
        yield f"{error}. Fix: `atlas store push` on a machine that has the plate"
        return
    if line is None:
        yield f"{store.address}/{key}: expected one line `<64 hex digits>  source/<file>`"
        return
    source = plate_key(plate_id, f"source/{line[2]}")
    stated = FileDigest(path=source, sha256=line[1], size_bytes=sizes.get(source, 0))  # only the digest is stated
    yield _difference(store, stated, sizes, is_deep)


def _difference(store: Store, stated: FileDigest, sizes: dict[str, int], is_deep: bool) -> str | None:
    key, fix = stated.path, "Fix: put the right file there from a copy, or `atlas store push` where it is"
    if key not in sizes:
        return f"missing: {store.address}/{key}. {fix}"
    if sizes[key] != stated.size_bytes:
        return f"altered: {store.address}/{key}: expected {stated.size_bytes} bytes, found {sizes[key]}. {fix}"
    if is_deep and (found := _sha256_of(store, key)) != stated.sha256:
        return f"altered: {store.address}/{key}: expected sha256 {stated.sha256}, found {found}. {fix}"
    return None


def _sha256_of(store: Store, key: str) -> str:
    with tempfile.TemporaryDirectory(prefix="atlas-") as folder:
        return store.read_to(key, Path(folder) / "file")

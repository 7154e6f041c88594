"""Creating a snapshot: once, whole or not at all, by one process at a time."""

import hashlib
import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from atlas_resources.files.contract import file_bytes
from atlas_resources.files.digests import sha256_of
from atlas_resources.files.durable import make_folder, sweep_leftovers, write_bytes_atomically
from atlas_resources.files.locking import locked
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import MEASURE_VERSION
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.records.snapshot import PreviousSnapshot, Snapshot, SnapshotInstrument, SnapshotPlate
from atlas_resources.runs.provenance import code_version
from atlas_resources.snapshots.current import PlateLeaves, current_runs
from atlas_resources.snapshots.files import LISTING, SIGNATURE, read_snapshots, snapshot_path
from atlas_resources.snapshots.signing import public_hex
from atlas_resources.snapshots.tree import PLATES, Tree, read_tree

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class SnapshotExists(FileExistsError):
    """There is a snapshot of the name. It is never overwritten."""


def create_snapshot(
    dataset: Dataset,
    registry: Registry,
    name: str,
    note: str = "",
    *,
    key: "Ed25519PrivateKey | None" = None,
    fault_count: int = 0,
) -> Snapshot:
    """Creates a snapshot of the library as it is on disk. Hashes the leaves of the tree and copies nothing.

    Args:
        dataset: the dataset.
        registry: the instruments, which say which runs are current.
        name: a slug.
        note: a remark.
        key: the private key that signs it.
        fault_count: faults that were found and accepted.

    Raises:
        SnapshotNameRefused: the name is no slug.
        SnapshotExists: the name is taken.
        DatasetBroken: an earlier snapshot cannot be read, so that the chain cannot be continued.
        OSError: a file cannot be read or written.
    """
    path = snapshot_path(dataset, name)
    make_folder(dataset.snapshots_dir)
    make_folder(dataset.locks_dir)
    with locked(dataset.locks_dir / ".snapshots"):
        if os.path.lexists(path):
            raise SnapshotExists(f"{path} exists, and a snapshot is never overwritten. Fix: choose another name")
        sweep_leftovers(dataset.snapshots_dir)
        tree = read_tree(dataset)
        listing = os.fsencode(tree.listing())
        snapshot = Snapshot(
            name=name,
            note=note,
            created_at=datetime.now(UTC),
            root_sha256=tree.root_sha256,
            listing_sha256=hashlib.sha256(listing).hexdigest(),
            previous=_previous(dataset),
            signed_by=public_hex(key.public_key()) if key else None,
            fault_count=fault_count,
            code=code_version(),
            measure_version=MEASURE_VERSION,
            instruments=_instruments(registry),
            plates=_plates(dataset, registry, tree),
        )
        _write(dataset, snapshot, listing, key)
    return snapshot


def _write(dataset: Dataset, snapshot: Snapshot, listing: bytes, key: "Ed25519PrivateKey | None") -> None:
    """Writes the listing and the signature, then the JSON file, which makes the snapshot.

    A process that is killed before leaves no snapshot, and the name is free.
    """
    content = file_bytes(snapshot)
    write_bytes_atomically(snapshot_path(dataset, snapshot.name, LISTING), listing)
    signature = snapshot_path(dataset, snapshot.name, SIGNATURE)
    if key:
        write_bytes_atomically(signature, key.sign(content))
    else:
        signature.unlink(missing_ok=True)  # of a process that was killed
    write_bytes_atomically(snapshot_path(dataset, snapshot.name), content)


def _previous(dataset: Dataset) -> PreviousSnapshot | None:
    earlier = read_snapshots(dataset)
    if not earlier:
        return None
    name = earlier[-1].name
    return PreviousSnapshot(name=name, sha256=sha256_of(snapshot_path(dataset, name)))


def _instruments(registry: Registry) -> list[SnapshotInstrument]:
    return [
        SnapshotInstrument(identity=instrument.identity, spec=instrument.spec.model_dump(mode="json"))
        for instrument in registry.instruments.values()
    ]


def _plates(dataset: Dataset, registry: Registry, tree: Tree) -> list[SnapshotPlate]:
    """The plates of a tree. What was sealed since the tree was read is not among their runs."""
    of_leaves = PlateLeaves(tree.leaves)
    plate_ids = [node.removeprefix(PLATES) for node in tree.nodes if node.startswith(PLATES)]
    identities = [instrument.identity for instrument in registry.instruments.values()]
    runs = current_runs(dataset, identities, of_leaves.run_names, plate_ids)
    return [
        SnapshotPlate(
            plate_id=plate_id,
            node_sha256=tree.nodes[f"{PLATES}{plate_id}"],
            source_sha256=_source_sha256(dataset.plate(plate_id)),
            manifest_version=of_leaves.manifest_versions[plate_id],
            runs=runs[plate_id],
        )
        for plate_id in plate_ids
    ]


def _source_sha256(plate: Plate) -> str | None:
    try:
        return plate.source_sha256()
    except DatasetBroken:  # verification names it, and creating in spite of faults is recorded
        return None

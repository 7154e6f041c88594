"""The files of `snapshots/`: which snapshots there are, and reading one. `creating` writes them."""

import difflib
import hashlib
import os
import re
from pathlib import Path

from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken, read_json, read_whole
from atlas_resources.plates.records.snapshot import SNAPSHOT_NAME_PATTERN, Snapshot
from atlas_resources.snapshots.tree import Tree, read_lines, tree_of

JSON, LISTING, SIGNATURE = ".json", ".sha256", ".sig"
NOW = "now"
"""What a comparison calls the library as it is, so that no snapshot has the name."""


class SnapshotUnknown(LookupError):
    """There is no snapshot of the name."""


class SnapshotNameRefused(ValueError):
    """A name that is no slug, or that means something else."""


def require_name(name: str) -> None:
    """Raises SnapshotNameRefused unless the name is a slug, and not `now`."""
    if re.fullmatch(SNAPSHOT_NAME_PATTERN, name) is None or name == NOW:
        expected = f"a name of a-z, 0-9, `.`, `_` and `-`, at most 64, other than `{NOW}`"
        raise SnapshotNameRefused(f"snapshot name {name!r}: expected {expected}")


def snapshot_path(dataset: Dataset, name: str, suffix: str = JSON) -> Path:
    """A file of a snapshot. Raises SnapshotNameRefused."""
    require_name(name)
    return dataset.snapshots_dir / f"{name}{suffix}"


def snapshot_names(dataset: Dataset) -> list[str]:
    """The names of all snapshots, sorted. Lists one folder and reads no file."""
    names = os.listdir(dataset.snapshots_dir) if dataset.snapshots_dir.is_dir() else []
    stems = [name.removesuffix(JSON) for name in names if name.endswith(JSON)]
    return sorted(stem for stem in stems if re.fullmatch(SNAPSHOT_NAME_PATTERN, stem))


def read_snapshot(dataset: Dataset, name: str) -> Snapshot:
    """A snapshot by its name.

    Raises:
        SnapshotUnknown: there is none; the message names the nearest names.
        DatasetBroken: its file was changed or is of another name.
    """
    known = snapshot_names(dataset)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3)
        hint = f" Did you mean {', '.join(near)}?" if near else ""
        count = f"{len(known)} snapshots exist" if known else "none exists yet"
        raise SnapshotUnknown(f"no snapshot {name!r}.{hint} {count}: atlas snapshot list")
    path = snapshot_path(dataset, name)
    snapshot = read_json(path, Snapshot)
    if snapshot.name != name:
        raise DatasetBroken(path, f"name: expected {name!r}, the name of its file, found {snapshot.name!r}")
    return snapshot


def read_snapshots(dataset: Dataset) -> list[Snapshot]:
    """All snapshots, the oldest first. Raises DatasetBroken."""
    snapshots = [read_snapshot(dataset, name) for name in snapshot_names(dataset)]
    return sorted(snapshots, key=lambda snapshot: (snapshot.created_at, snapshot.name))


def read_snapshot_tree(dataset: Dataset, snapshot: Snapshot) -> Tree:
    """The tree of a snapshot, from its listing.

    Raises:
        DatasetBroken: the listing is missing or was changed, or its root is not that of the snapshot.
    """
    path = snapshot_path(dataset, snapshot.name, LISTING)
    data = read_whole(path)
    found = hashlib.sha256(data).hexdigest()
    if found != snapshot.listing_sha256:
        problem = f"changed since it was written: expected sha256 {snapshot.listing_sha256}, found {found}"
        raise DatasetBroken(path, problem, kind="altered")
    try:
        tree = tree_of(read_lines(os.fsdecode(data)))
    except ValueError as error:
        raise DatasetBroken(path, str(error)) from error
    if tree.root_sha256 != snapshot.root_sha256:
        raise DatasetBroken(path, f"expected the root {snapshot.root_sha256}, found {tree.root_sha256}")
    return tree

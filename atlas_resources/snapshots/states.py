"""A state of a library that can be compared with another: a snapshot, or a dataset as it is now."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from atlas_resources.instruments.instrument import InstrumentIdentity
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.snapshots.current import PlateLeaves, Runs, current_runs
from atlas_resources.snapshots.files import NOW, read_snapshot, read_snapshot_tree
from atlas_resources.snapshots.tree import Tree, read_tree


@dataclass(frozen=True)
class State:
    """A state of a library.

    Attributes:
        name: what it is called in a comparison.
        tree: its digests.
        instruments: identity of each admitted instrument, by key.
        runs_of: gives the current runs of the plates asked for.
    """

    name: str
    tree: Tree
    instruments: Mapping[str, InstrumentIdentity]
    runs_of: Callable[[Iterable[str]], dict[str, Runs]]


def read_state(dataset: Dataset, registry: Registry, which: str) -> State:
    """A state by what a person calls it.

    Args:
        dataset: the dataset in which snapshots are looked up.
        registry: the instruments, which say what is current now.
        which: the name of a snapshot; `now`; or the path of a dataset, which is read as it is now.

    Raises:
        SnapshotUnknown: it is none of them.
        DatasetBroken: the snapshot was changed.
        OSError: a file cannot be read.
    """
    if which == NOW:
        return present_state(dataset, registry, NOW)
    folder = Path(which).expanduser()
    if (folder / "plates_structured").is_dir():
        return present_state(Dataset(folder.absolute()), registry, which)
    return snapshot_state(dataset, which)


def snapshot_state(dataset: Dataset, name: str) -> State:
    """The state that a snapshot has kept. Raises SnapshotUnknown or DatasetBroken."""
    snapshot = read_snapshot(dataset, name)
    runs = {plate.plate_id: plate.runs for plate in snapshot.plates}
    instruments = {one.identity.key: one.identity for one in snapshot.instruments}
    tree = read_snapshot_tree(dataset, snapshot)
    return State(name, tree, instruments, lambda plate_ids: {one: runs[one] for one in plate_ids if one in runs})


def present_state(dataset: Dataset, registry: Registry, name: str) -> State:
    """A dataset as it is now. Current runs are read of the plates asked for alone. Raises OSError."""
    tree = read_tree(dataset)
    of_leaves = PlateLeaves(tree.leaves)
    instruments = {key: instrument.identity for key, instrument in registry.instruments.items()}

    def runs_of(plate_ids: Iterable[str]) -> dict[str, Runs]:
        asked = [plate_id for plate_id in plate_ids if plate_id in of_leaves.manifest_versions]
        return current_runs(dataset, instruments.values(), of_leaves.run_names, asked)

    return State(name, tree, instruments, runs_of)

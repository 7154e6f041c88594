"""What differs between two states of a library. Nodes are compared first; only plates that differ are looked into."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from atlas_resources.snapshots.current import Runs
from atlas_resources.snapshots.states import State
from atlas_resources.snapshots.tree import PLATES, differing


@dataclass(frozen=True)
class RunChange:
    """The current run of an instrument on a plate, in both states; None where there is none."""

    instrument: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class PlateChange:
    """A plate that both states have, and in which something differs.

    Attributes:
        plate_id: the plate.
        added, removed, changed: files, by their paths relative to the plate's folder, or to the dataset's root for
            files of records.
        runs: where the current run differs.
    """

    plate_id: str
    added: tuple[str, ...]
    removed: tuple[str, ...]
    changed: tuple[str, ...]
    runs: tuple[RunChange, ...]


@dataclass(frozen=True)
class InstrumentChange:
    """An instrument that only one state has, or whose fingerprint differs; None where a state does not have it."""

    key: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Differences:
    """What differs between two states.

    Attributes:
        before, after: what the states are called.
        root_before, root_after: their digests.
        plates_added, plates_removed: plates that only one has.
        plates_changed: plates that both have.
        instruments: instruments that differ.
        records: files of records that were added, removed or changed, by their paths.
    """

    before: str
    after: str
    root_before: str
    root_after: str
    plates_added: tuple[str, ...]
    plates_removed: tuple[str, ...]
    plates_changed: tuple[PlateChange, ...]
    instruments: tuple[InstrumentChange, ...]
    records: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        """Whether the states are the same."""
        return self.root_before == self.root_after and not (self.plates_changed or self.instruments)

    def as_json(self) -> dict[str, Any]:
        """The attributes by name, for a program."""
        return {"is_empty": self.is_empty, **asdict(self)}


def compare(before: State, after: State) -> Differences:
    """What differs between two states.

    Where the instruments differ, the current runs of every plate are compared; else those of plates whose nodes differ.
    """
    nodes = differing(before.tree.nodes, after.tree.nodes)
    in_both = before.tree.nodes.keys() & after.tree.nodes.keys()
    instruments = tuple(_instruments(before, after))
    candidates = sorted(in_both) if instruments else [node for node in nodes if node in in_both]
    plate_ids = [node.removeprefix(PLATES) for node in candidates if node.startswith(PLATES)]
    runs_before, runs_after = before.runs_of(plate_ids), after.runs_of(plate_ids)
    files_before, files_after = _files(before, set(nodes)), _files(after, set(nodes))
    changes = [
        _plate(
            plate_id,
            (files_before.get(f"{PLATES}{plate_id}", {}), files_after.get(f"{PLATES}{plate_id}", {})),
            (runs_before.get(plate_id, {}), runs_after.get(plate_id, {})),
        )
        for plate_id in plate_ids
    ]
    of_plates = [node.removeprefix(PLATES) for node in nodes if node.startswith(PLATES)]
    records = [node for node in nodes if not node.startswith(PLATES)]
    return Differences(
        before.name,
        after.name,
        before.tree.root_sha256,
        after.tree.root_sha256,
        tuple(plate_id for plate_id in of_plates if f"{PLATES}{plate_id}" not in before.tree.nodes),
        tuple(plate_id for plate_id in of_plates if f"{PLATES}{plate_id}" not in after.tree.nodes),
        tuple(one for one in changes if one.added or one.removed or one.changed or one.runs),
        instruments,
        tuple(
            f"{node}/{path}"
            for node in records
            for path in differing(files_before.get(node, {}), files_after.get(node, {}))
        ),
    )


def _instruments(before: State, after: State) -> list[InstrumentChange]:
    fingerprints = [
        {key: identity.fingerprint for key, identity in state.instruments.items()} for state in (before, after)
    ]
    return [InstrumentChange(key, *(side.get(key) for side in fingerprints)) for key in differing(*fingerprints)]


def _files(state: State, nodes: set[str]) -> dict[str, dict[str, str]]:
    """The leaves of some nodes, by their paths in the node."""
    found: dict[str, dict[str, str]] = {}
    for path, digest in state.tree.leaves.items():
        depth = 2 if path.startswith(PLATES) else 1
        parts = path.split("/", depth)
        if (node := "/".join(parts[:depth])) in nodes:
            found.setdefault(node, {})[parts[depth]] = digest
    return found


def _plate(plate_id: str, files: tuple[Mapping[str, str], Mapping[str, str]], runs: tuple[Runs, Runs]) -> PlateChange:
    """What differs in a plate. Args: the plate, its files and its current runs, before and after."""
    before, after = files
    names = list(differing(before, after))
    return PlateChange(
        plate_id,
        added=tuple(name for name in names if name not in before),
        removed=tuple(name for name in names if name not in after),
        changed=tuple(name for name in names if name in before and name in after),
        runs=tuple(RunChange(key, runs[0].get(key), runs[1].get(key)) for key in differing(*runs)),
    )

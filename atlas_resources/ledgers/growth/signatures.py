"""What decides the rows of each plate in the ledgers of plates and of sealed runs, from one look at their files."""

from collections.abc import Mapping

from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import MEASURED_NAMES
from atlas_resources.plates.index.facts import read_digests, read_source_changes
from atlas_resources.plates.index.memory import Found, once
from atlas_resources.runs.faults import list_all_runs
from atlas_resources.withdrawals.in_force import read_withdrawn


def measured_digests(dataset: Dataset) -> Found:
    """The digests of each plate's files of the groundwork."""
    return read_digests(dataset.root, dataset.plates_dir, dataset.identities(), MEASURED_NAMES)


def source_changes(dataset: Dataset) -> Found:
    """How the source of each plate differs from the registered file; see `read_source_changes`."""
    return read_source_changes(dataset.root, dataset.plates_dir, dataset.identities(), dataset.plate)


def plate_signatures(dataset: Dataset) -> Mapping[str, str]:
    """Of each plate whose identity can be read: of its manifest, its source, its groundwork and its withdrawal.

    Raises:
        DatasetBroken: the log of withdrawals is not whole.
    """
    return once(dataset.root, "signatures of plates", lambda: _plate_signatures(dataset))


def _plate_signatures(dataset: Dataset) -> dict[str, str]:
    identities = {one: found for one, found in dataset.identities().items() if found.fault is None}
    sources, measured = source_changes(dataset).digests, measured_digests(dataset).digests
    signatures = {one: f"{found.digest}{sources[one]}{measured[one]}" for one, found in identities.items()}
    withdrawn = read_withdrawn(dataset.root)
    if withdrawn.entries:
        for one, found in identities.items():
            if entry := withdrawn.of_plate(one, found.source_sha256):
                signatures[one] += f" {entry.number}"
    return signatures


def run_signatures(dataset: Dataset) -> Mapping[str, str]:
    """Of each registered plate: of its identity and the names of its run folders."""

    def answer() -> dict[str, str]:
        identities = dataset.identities()
        runs = list_all_runs(dataset, identities).digests
        return {one: f"{found.digest}{runs[one]}" for one, found in identities.items()}

    return once(dataset.root, "signatures of runs", answer)

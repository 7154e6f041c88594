"""Which sealed runs are whole. A run that is not is a fault, which costs its plate's result and nothing else."""

import os
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, TypeVar

from atlas_resources.files.hosts.freshness import is_network, refresh
from atlas_resources.files.read_ahead import THREADS, ahead
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index.facts import Identity
from atlas_resources.plates.index.memory import content_digest, memory_of, once
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import RUN_ID_PATTERN, Metrics, RunManifest
from atlas_resources.runs.sealed import read_manifest, read_metrics, read_output, result_file

Read = TypeVar("Read")
RunKey = tuple[str, str]  # (run_id, plate_id)


@dataclass(frozen=True)
class SealedFault:
    """A file or folder of a plate that is not as it was sealed.

    Attributes:
        plate_id: the plate.
        path: the file or folder.
        problem: what was expected and what was found.
        fix: how to repair it, with the command.
    """

    plate_id: str
    path: Path
    problem: str
    fix: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.plate_id}: {self.path}: {self.problem}. Fix: {self.fix}"


def own_faults(dataset: Dataset, identities: Mapping[str, Identity]) -> dict[str, SealedFault]:
    """What is wrong with the identity of plates, a manifest or registered digest, by id; only plates with a fault.

    Args:
        dataset: the dataset.
        identities: of each plate.
    """
    return {
        plate_id: SealedFault(plate_id, dataset.plate(plate_id).folder / path, problem, fix)
        for plate_id, identity in identities.items()
        if identity.fault
        for path, problem, fix in [identity.fault]
    }


class ListedRuns(NamedTuple):
    """The run folders of all plates.

    Attributes:
        ids: of the sealed runs of each plate, sorted.
        faults: what is among them that is no run, by plate; only plates that have such.
        digests: a digest of the ids of each plate.
    """

    ids: dict[str, list[str]]
    faults: dict[str, list[SealedFault]]
    digests: dict[str, str]


def list_all_runs(dataset: Dataset, plate_ids: Collection[str]) -> ListedRuns:
    """What `list_runs` gives of each plate. A folder that did not change is not listed again.

    Args:
        dataset: the dataset.
        plate_ids: every registered plate.
    """

    def look() -> ListedRuns:
        faults: dict[str, list[SealedFault]] = {}
        faulty: dict[str, list[str]] = {}

        def read(plate_id: str) -> list[str] | None:
            names, found = list_runs(dataset.plate(plate_id))
            if found:
                faults[plate_id], faulty[plate_id] = found, names
            return None if found else names  # what is wrong is looked at each time

        plates_dir = str(dataset.plates_dir)
        for plate_id in plate_ids if plate_ids and is_network(dataset.root) else ():
            refresh(f"{plates_dir}/{plate_id}", f"{plates_dir}/{plate_id}/runs")
        found = memory_of(dataset.root).look_up(
            "runs 2", plate_ids, lambda plate_id, known: (f"{plates_dir}/{plate_id}/runs",), read
        )
        digests = found.digests | {plate_id: content_digest(names) for plate_id, names in faulty.items()}
        return ListedRuns(found.values | faulty, faults, digests)

    return once(dataset.root, "runs", look)


def list_runs(plate: Plate) -> tuple[list[str], list[SealedFault]]:
    """The ids of the plate's sealed runs, by the names of their folders, and what is among them that is no run."""
    names, faults = [], []
    try:
        with os.scandir(plate.runs_folder) as entries:
            for entry in entries:
                if entry.name.startswith("run-"):
                    is_run = re.fullmatch(RUN_ID_PATTERN, entry.name) and entry.is_dir(follow_symlinks=False)
                    names += [entry.name] if is_run else []
                    faults += [] if is_run else [_stray(plate, entry)]
    except FileNotFoundError:
        return [], []
    except OSError as error:
        fix = f"make {plate.runs_folder} a folder that you may read"
        return [], [SealedFault(plate.id, plate.runs_folder, f"cannot be read: {error.strerror}", fix)]
    return sorted(names), faults


def _stray(plate: Plate, entry: os.DirEntry) -> SealedFault:
    kind = "symbolic link" if entry.is_symlink() else "folder of another name" if entry.is_dir() else "file"
    problem = f"expected a run's folder, run-YYYYMMDD-HHMMSSZ- and 8 hex digits, found a {kind}"
    return SealedFault(plate.id, Path(entry.path), problem, f"move {entry.path} out of the dataset")


def try_read(
    dataset: Dataset, keys: Iterable[RunKey], read: Callable[[Plate, str], Read]
) -> Iterator[Read | SealedFault]:
    """What `read` returns for each plate and run id, or the fault it met, in order of the keys. Reads on threads."""

    def one(key: RunKey) -> Read | SealedFault:
        run_id, plate_id = key
        plate = dataset.plate(plate_id)
        try:
            return read(plate, run_id)
        except DatasetBroken as error:
            return SealedFault(plate_id, error.path, error.problem, error.fix)

    return ahead(one, sorted(keys), 2 * THREADS)


def require_whole(plate: Plate, run_id: str) -> tuple[RunManifest, Metrics | None]:
    """The manifest and the metrics of a plate's run; a failed run has no metrics.

    Raises:
        DatasetBroken: the manifest, the metrics or the Parquet file is not as it was sealed.
    """
    manifest = read_manifest(plate, run_id)
    return manifest, require_outputs(plate, manifest)


def require_outputs(plate: Plate, manifest: RunManifest) -> Metrics | None:
    """The metrics of a plate's run, once its result has been compared with its digest; None for a failed run.

    Raises:
        DatasetBroken: the metrics or the Parquet file is not as it was sealed.
    """
    if manifest.status == "failed":
        return None
    read_output(plate, manifest, result_file(plate, manifest))
    return read_metrics(plate, manifest)

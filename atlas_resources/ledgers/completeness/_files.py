"""Which files decide the states of a plate, as one signature a plate: what was made from the same files is the same."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlas_resources.files.digests import sha256_of
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.ledgers.growth.growing import signature
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import MEASURE_VERSION, MEASURED_NAMES
from atlas_resources.plates.index.facts import read_digests
from atlas_resources.plates.index.memory import memory_of
from atlas_resources.runs.faults import list_all_runs
from atlas_resources.runs.sealed import MANIFEST_NAME
from atlas_resources.withdrawals.in_force import read_withdrawn


@dataclass(frozen=True)
class Context:
    """What the states of all plates have in common.

    Attributes:
        common: digest of the version of the groundwork and of what is withdrawn.
        instruments: digest of each instrument, by key.
    """

    common: str
    instruments: Mapping[str, str]

    @classmethod
    def of(cls, dataset: Dataset, instruments: Iterable[Instrument]) -> "Context":
        """The present context. Raises DatasetBroken if the log of withdrawals is not whole."""
        common = signature(MEASURE_VERSION, read_withdrawn(dataset.root).entries)
        return cls(common, {one.key: _instrument(one) for one in instruments})

    def as_text(self, *further: Any) -> str:
        """The text that `is_part_of` reads, with what the rows of the ledger follow from besides."""
        return json.dumps([self.common, dict(sorted(self.instruments.items())), *further], separators=(",", ":"))

    def is_part_of(self, text: str) -> bool:
        """Whether states in the context of a text are those of this one, for the instruments of this one.

        How often a plate may fail is no part of it.
        """
        common, instruments, *_ = json.loads(text)
        return common == self.common and self.instruments.items() <= instruments.items()


def _instrument(one: Instrument) -> str:
    return signature(one.identity.fingerprint, one.identity.weights_sha256, *map(_instrument, one.reads))


@dataclass(frozen=True)
class Signatures:
    """What the states of plates follow from.

    Attributes:
        of_plates: a digest for each registered plate, by id, in order of registration.
        unread: the plates of which not all of it could be read.
        sources: the registered digest of each plate; None if it cannot be read.
    """

    of_plates: dict[str, str]
    unread: frozenset[str]
    sources: Mapping[str, str | None]


def read_signatures(dataset: Dataset) -> Signatures:
    """What the states of each registered plate follow from.

    Costs a call of `stat` for each file that a state is read from; reads only files that changed.
    """
    identities = dataset.identities()
    listed = list_all_runs(dataset, identities)
    plates = [dataset.plate(plate_id) for plate_id in identities]
    measured = read_digests(dataset.root, plates, MEASURED_NAMES)
    manifests = _manifest_digests(dataset, {plate_id: names for plate_id, (names, _) in listed.items()})
    configs = _ConfigStatus(dataset)
    signatures = {
        plate_id: signature(
            *(one.manifest_sha256, one.source_sha256, one.fault),
            *sorted(measured[plate_id].items()),
            manifests[plate_id],
            *(configs[name] for name in listed[plate_id][0]),
        )
        for plate_id, one in identities.items()
    }
    unread = (plate_id for plate_id, (_, faults) in listed.items() if faults or manifests[plate_id] is None)
    sources = {plate_id: one.source_sha256 for plate_id, one in identities.items()}
    return Signatures(signatures, frozenset(unread), sources)


def _manifest_digests(dataset: Dataset, names: Mapping[str, Sequence[str]]) -> dict[str, str | None]:
    """A digest over the manifests of each plate's runs; None if one of them cannot be read."""
    folders = {plate_id: str(dataset.plates_dir / plate_id / "runs") for plate_id in names}
    files = {
        plate_id: [f"{folders[plate_id]}/{name}/{MANIFEST_NAME}" for name in run_ids]
        for plate_id, run_ids in names.items()
    }

    def read(plate_id: str) -> str | None:
        digest = hashlib.sha256()
        try:
            for name, path in zip(names[plate_id], files[plate_id], strict=True):
                digest.update(f"{name} {sha256_of(Path(path))}\n".encode())
        except OSError:
            return None
        return digest.hexdigest()

    return memory_of(dataset.root).look_up("manifests 1", files, read)


class _ConfigStatus(dict[str, str]):
    """What `stat` reports of `reports/<run_id>/config.json`, by run id: what changed since a run is read from it."""

    def __init__(self, dataset: Dataset):
        super().__init__()
        self._reports = dataset.reports_dir

    def __missing__(self, run_id: str) -> str:
        try:
            stat = os.stat(self._reports / run_id / "config.json")
            status = f"{run_id} {stat.st_size} {stat.st_mtime_ns}"
        except OSError:
            status = f"{run_id} -"
        self[run_id] = status
        return status

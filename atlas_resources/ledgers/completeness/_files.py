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
from atlas_resources.ledgers.growth.made_of import signature
from atlas_resources.ledgers.growth.signatures import measured_digests
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import MEASURE_VERSION
from atlas_resources.plates.index.memory import Found, content_digest, memory_of, once
from atlas_resources.runs.faults import ListedRuns, list_all_runs
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
    return once(dataset.root, "signatures of states", lambda: _read_signatures(dataset))


def _read_signatures(dataset: Dataset) -> Signatures:
    identities = dataset.identities()
    listed = list_all_runs(dataset, identities)
    measured = measured_digests(dataset).digests
    manifests = _manifest_digests(dataset, listed)
    configs = _Configurations(dataset)
    signatures = {}
    for plate_id, one in identities.items():
        runs = listed.digests[plate_id]
        of_configs = configs.of(runs, listed.ids[plate_id])
        signatures[plate_id] = f"{one.digest}{measured[plate_id]}{runs}{manifests.digests[plate_id]}{of_configs}"
    unread = {plate_id for plate_id, digest in manifests.values.items() if digest is None}
    sources = {plate_id: one.source_sha256 for plate_id, one in identities.items()}
    return Signatures(signatures, frozenset(unread | listed.faults.keys()), sources)


def _manifest_digests(dataset: Dataset, listed: ListedRuns) -> Found:
    """A digest over the manifests of each plate's runs; None if one of them cannot be read."""
    folder = str(dataset.plates_dir)

    def files(plate_id: str, value: Any) -> list[str]:
        return [f"{folder}/{plate_id}/runs/{name}/{MANIFEST_NAME}" for name in listed.ids[plate_id]]

    def read(plate_id: str) -> str | None:
        digest = hashlib.sha256()
        try:
            for name, path in zip(listed.ids[plate_id], files(plate_id, None), strict=True):
                digest.update(f"{name} {sha256_of(Path(path))}\n".encode())
        except OSError:
            return None
        return digest.hexdigest()

    return memory_of(dataset.root).look_up("manifests 2", listed.ids, files, read, follows=listed.digests)


class _Configurations:
    """What `stat` reports of `reports/<run_id>/config.json`: what changed since a run is read from it."""

    def __init__(self, dataset: Dataset):
        self._reports = dataset.reports_dir
        self._of_runs: dict[str, str] = {}
        self._status: dict[str, str] = {}

    def of(self, digest: str, run_ids: Sequence[str]) -> str:
        """A digest of the status of some runs' configurations, which is made once for the same runs.

        Args:
            digest: a digest of the ids.
            run_ids: the runs.
        """
        if digest not in self._of_runs:
            self._of_runs[digest] = content_digest([self._of_run(run_id) for run_id in run_ids])
        return self._of_runs[digest]

    def _of_run(self, run_id: str) -> str:
        if run_id not in self._status:
            try:
                stat = os.stat(self._reports / run_id / "config.json")
                self._status[run_id] = f"{stat.st_size} {stat.st_mtime_ns}"
            except OSError:
                self._status[run_id] = "-"
        return self._status[run_id]

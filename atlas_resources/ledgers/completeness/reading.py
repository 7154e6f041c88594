"""Reads the state of every plate with every asset from the plates' own files."""

from collections.abc import Iterable
from functools import cached_property

from atlas_resources.instruments.instrument import Instrument, InstrumentIdentity
from atlas_resources.ledgers.completeness._files import read_signatures
from atlas_resources.ledgers.completeness._groundwork import groundwork_state
from atlas_resources.ledgers.completeness._known import known_states
from atlas_resources.ledgers.completeness._runs import KnownRun, read_run
from atlas_resources.ledgers.completeness.changes import Changes
from atlas_resources.ledgers.completeness.states import (
    MOST_ATTEMPTS,
    AssetStates,
    PlateState,
    Result,
    StatesInOrder,
    broken,
    state_of_attempts,
    withdrawn_state,
)
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.records.withdrawal import Withdrawal
from atlas_resources.runs.sealed import run_names, runs_by, withdrawal_of
from atlas_resources.tables.results import asset_name
from atlas_resources.withdrawals.in_force import plate_withdrawal, read_withdrawn

UNREADABLE = (OSError, ValueError, LookupError)


def read_completeness(
    dataset: Dataset, instruments: Iterable[Instrument], most_attempts: int = MOST_ATTEMPTS
) -> list[AssetStates]:
    """The states of the groundwork, then of each instrument after those of the ones it reads, over every plate.

    Plates are in order of registration. A plate whose files did not change since `ledger/completeness` was built costs
    a call of `stat` for each of them; the others are read as `read_states` does.

    Args:
        dataset: the dataset.
        instruments: the instruments.
        most_attempts: after as many failures, a plate is given up.

    Raises:
        DatasetBroken: the log of withdrawals is not whole.
    """
    ordered = sorted(instruments, key=lambda instrument: instrument.depth)
    signatures = read_signatures(dataset)
    known = known_states(dataset, ordered, most_attempts, signatures)
    places = {plate_id: place for place, plate_id in enumerate(signatures.of_plates)}
    read = read_states(dataset, ordered, most_attempts, [one for one in places if one not in known.plate_ids])
    found = []
    for states in read:
        by_plate = {**known.others[states.name], **{plate.plate_id: plate for plate in states.plates}}
        found.append(AssetStates(states.instrument, StatesInOrder(places, by_plate, known.done[states.name])))
    return found


def read_states(
    dataset: Dataset, instruments: Iterable[Instrument], most_attempts: int, plate_ids: Iterable[str]
) -> list[AssetStates]:
    """The states of some plates, in their order, from the plates' own files.

    Reads one folder listing per plate and a small file per plate and asset; of a plate that is not done, also the
    manifests of its failed and earlier runs.

    Args:
        dataset: the dataset.
        instruments: the instruments.
        most_attempts: after as many failures, a plate is given up.
        plate_ids: the plates.

    Raises:
        DatasetBroken: the log of withdrawals is not whole.
    """
    ordered = sorted(instruments, key=lambda instrument: instrument.depth)
    library = _Library(dataset)
    plates = [_PlateFiles(dataset.plate(plate_id), library) for plate_id in plate_ids]
    groundwork = tuple(
        withdrawn_state(files.plate.id, files.withdrawal)
        if files.withdrawal
        else groundwork_state(files.plate, most_attempts)
        for files in plates
    )
    states = [tuple(_state_of(files, one, most_attempts) for one in ordered) for files in plates]
    columns = zip(*states, strict=True) if states else [()] * len(ordered)
    return [AssetStates(None, groundwork), *map(AssetStates, ordered, columns)]


class _Library:
    """What is known of runs from one plate to the next.

    A run id is reserved for one run of one instrument, so the first manifest that is read says whose it is on all
    plates.
    """

    def __init__(self, dataset: Dataset):
        self.changes = Changes(dataset)
        self.withdrawn = read_withdrawn(dataset.root)
        self.instrument_of: dict[str, str] = {}
        self._runs_of: dict[tuple[str, ...], tuple[frozenset[str], frozenset[str]]] = {}

    def has_run_of(self, names: tuple[str, ...], identity: InstrumentIdentity) -> bool:
        """Whether one of some runs is of an instrument, of any version, or may be. Plates of a batch have the same."""
        if names not in self._runs_of:
            keys = [self.instrument_of.get(name) for name in names]
            if None in keys:
                return True
            self._runs_of[names] = frozenset(filter(None, keys)), frozenset(name[-8:] for name in names)
        keys, versions = self._runs_of[names]
        return identity.key in keys or identity.fingerprint[:8] in versions


class _PlateFiles:
    """What is read of one plate, once for all assets."""

    def __init__(self, plate: Plate, library: _Library):
        self.plate = plate
        self.library = library
        self._present: dict[str, tuple[KnownRun | None, list[KnownRun]]] = {}

    @cached_property
    def withdrawal(self) -> Withdrawal | None:
        """The entry that withdraws the plate or its source."""
        return plate_withdrawal(self.plate, self.library.withdrawn)

    @cached_property
    def names(self) -> tuple[str, ...]:
        return tuple(run_names(self.plate))

    @cached_property
    def source_sha256(self) -> str:
        return self.plate.source_sha256()

    @cached_property
    def broken(self) -> str:
        """Why the plate's manifest or registered digest cannot be read; empty if both can."""
        try:
            self.plate.source_digest()
        except UNREADABLE as error:
            return str(error)
        return ""

    def present(self, identity: InstrumentIdentity) -> tuple[KnownRun | None, list[KnownRun]]:
        """The newest complete run of the present version on the present source, and the failed runs after it.

        Raises:
            DatasetBroken: a manifest that had to be read, or `source.sha256`, cannot be.
        """
        if identity.fingerprint not in self._present:
            failures: list[KnownRun] = []
            done = None
            source_sha256 = self.source_sha256 if self.names else ""
            for run in runs_by(self.plate, identity, self.names, source_sha256, read_run):
                if run.status == "complete":
                    done = run
                    break
                failures.append(run)
            self._present[identity.fingerprint] = done, failures
        return self._present[identity.fingerprint]

    def nothing(self) -> tuple[None, list[KnownRun]]:
        """The same of an instrument that the plate has no run of. Raises DatasetBroken as `present` does."""
        if self.names:
            _ = self.source_sha256
        return None, []

    def newest_complete(self, key: str) -> KnownRun | None:
        """The newest complete run of an instrument, of any version and source; those that are broken do not count."""
        for name in self.names:
            if self.library.instrument_of.get(name, key) == key and (run := self._read(name)):
                self.library.instrument_of[name] = run.instrument.key
                if run.instrument.key == key and run.status == "complete" and not self._is_withdrawn(run):
                    return run
        return None

    def _is_withdrawn(self, run: KnownRun) -> bool:
        return withdrawal_of(self.plate, run, self.library.withdrawn, read_run) is not None

    def _read(self, name: str) -> KnownRun | None:
        try:
            return read_run(self.plate, name)
        except DatasetBroken:
            return None


def _state_of(files: _PlateFiles, instrument: Instrument, most_attempts: int) -> PlateState:
    entry = files.withdrawal or files.library.withdrawn.of_instrument(instrument)
    return withdrawn_state(files.plate.id, entry) if entry else _measured_state(files, instrument, most_attempts)


def _measured_state(files: _PlateFiles, instrument: Instrument, most_attempts: int) -> PlateState:
    """The state of a plate that is not withdrawn with an instrument that is not."""
    plate_id = files.plate.id
    has_run = files.library.has_run_of(files.names, instrument.identity)
    try:
        done, failures = files.present(instrument.identity) if has_run else files.nothing()
        if done:
            return PlateState(plate_id, "done", result=_result_of(done))
        missing = [one for one in instrument.reads if files.present(one.identity)[0] is None]
    except UNREADABLE as error:
        return broken(plate_id, str(error))
    if files.broken and not missing:
        return broken(plate_id, files.broken)
    older = files.newest_complete(instrument.key) if has_run else None
    changed = files.library.changes.since(older, instrument, files.source_sha256) if older else ""
    result = _result_of(older) if older else None
    if missing:
        names = " and ".join(asset_name(one.spec) for one in missing)
        reason = f"{names} {'is' if len(missing) == 1 else 'are'} not done"
        return PlateState(plate_id, "waiting", reason, result=result, what_changed=changed)
    if failures:
        last = failures[0]
        return PlateState(
            plate_id,
            state_of_attempts(len(failures), most_attempts),
            last.error,
            len(failures),
            result=result,
            failed_run_id=last.run_id,
            failed_at=last.sealed_at,
            what_changed=changed,
        )
    return PlateState(plate_id, "stale" if older else "missing", result=result, what_changed=changed)


def _result_of(run: KnownRun) -> Result:
    return Result(run.instrument.fingerprint, run.source_sha256, run.run_id, run.sealed_at)

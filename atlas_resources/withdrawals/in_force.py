"""What is withdrawn at present, by the entries that no later one has ended."""

import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from atlas_resources.files.hosts.freshness import settled_ns
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.records.withdrawal import TargetKind, Withdrawal
from atlas_resources.withdrawals.log import FOLDER, Entry, read_log

Status = tuple[int, int, int]


class PlateWithdrawn(LookupError):
    """A plate is withdrawn, so it is not measured. This is no failure of the plate."""


class InstrumentWithdrawn(LookupError):
    """An instrument, its weights, or an instrument that it reads is withdrawn, so it measures nothing."""


@dataclass(frozen=True)
class Withdrawn:
    """The entries in force, the oldest first."""

    entries: tuple[Withdrawal, ...] = ()

    def of_plate(self, plate_id: str, source_sha256: str | None) -> Withdrawal | None:
        """The first entry that withdraws a plate, or the source that is registered for it."""
        return self._first({"plate": plate_id, "source": source_sha256})

    def of_instrument(self, instrument: Instrument) -> Withdrawal | None:
        """The first entry that withdraws an instrument, its weights, or those of an instrument that it reads."""
        if not self.entries:
            return None
        own = self._first({"model": instrument.key, "weights": instrument.identity.weights_sha256})
        return own or next(filter(None, map(self.of_instrument, instrument.reads)), None)

    def of_run(
        self, run_id: str, plate_id: str, key: str, weights_sha256: str | None, source_sha256: str
    ) -> Withdrawal | None:
        """The first entry that withdraws a plate's run, or what it is of. What the run has read is not looked at."""
        return self._first(
            {"run": run_id, "plate": plate_id, "model": key, "weights": weights_sha256, "source": source_sha256}
        )

    def require_instrument(self, instrument: Instrument) -> None:
        """Raises InstrumentWithdrawn, with the entry and its reason, if an instrument is withdrawn."""
        if entry := self.of_instrument(instrument):
            raise InstrumentWithdrawn(f"{instrument.key} measures nothing: {entry.line}. {restore_hint(entry)}")

    def _first(self, targets: dict[TargetKind, str | None]) -> Withdrawal | None:
        return next((entry for entry in self.entries if targets.get(entry.target_kind) == entry.target), None)


def plate_withdrawal(plate: Plate, withdrawn: Withdrawn) -> Withdrawal | None:
    """The entry that withdraws a plate or its source. A plate whose digest cannot be read is known by its id alone."""
    if not withdrawn.entries:
        return None
    source_sha256 = None
    with suppress(DatasetBroken):  # whoever uses the plate says what is wrong with it
        source_sha256 = plate.source_sha256()
    return withdrawn.of_plate(plate.id, source_sha256)


def require_not_withdrawn(plate: Plate, withdrawn: Withdrawn) -> None:
    """Raises PlateWithdrawn, with the entry and its reason, if a plate or its source is withdrawn."""
    if entry := plate_withdrawal(plate, withdrawn):
        raise PlateWithdrawn(f"{plate.id} is not measured: {entry.line}. {restore_hint(entry)}")


NOTHING = Withdrawn()
_KNOWN: dict[str, tuple[Status, Withdrawn]] = {}


def restore_hint(entry: Withdrawal) -> str:
    """The command that ends a withdrawal."""
    return f"Fix: atlas restore {entry.number} --reason TEXT, if it no longer holds"


def in_force(entries: Iterable[Entry]) -> Withdrawn:
    """What the entries of a log withdraw, without those that a later one has ended."""
    contents = [entry.content for entry in entries]
    ended = {content.restores for content in contents}
    return Withdrawn(tuple(one for one in contents if one.kind == "withdraw" and one.number not in ended))


def read_withdrawn(root: Path) -> Withdrawn:
    """What is withdrawn in a dataset. The log is read once in this process, until its folder changes.

    Args:
        root: the dataset's root.

    Raises:
        DatasetBroken: the log is not whole, so that nothing is known of what it withdraws.
    """
    now_ns, folder = time.time_ns(), root / FOLDER
    try:
        stat = folder.stat()
    except FileNotFoundError:
        return NOTHING
    status = (stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns)
    known = _KNOWN.get(str(folder))
    if known and known[0] == status:
        return known[1]
    withdrawn = in_force(read_log(root))
    if now_ns - stat.st_ctime_ns > settled_ns(stat.st_dev):  # else another entry might leave no trace in the times
        _KNOWN[str(folder)] = status, withdrawn
    return withdrawn

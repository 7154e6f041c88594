"""Entering withdrawals and restorations: what a person names, who they are, and what is refused."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import get_args

from atlas_resources.chains.person import Person
from atlas_resources.files.contract import SHA256_PATTERN
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.records.withdrawal import Category, TargetKind, Withdrawal
from atlas_resources.plates.run_contracts import RUN_ID_PATTERN
from atlas_resources.withdrawals.in_force import in_force
from atlas_resources.withdrawals.log import LOG, Entry, read_log, withdrawals_in

KINDS: tuple[TargetKind, ...] = get_args(TargetKind)
NOTHING_SEALED: Mapping[TargetKind, set[str]] = {}


class WithdrawalRefused(ValueError):
    """A withdrawal or restoration that would mean nothing: of something unknown, or that is in that state already."""


@dataclass(frozen=True)
class Target:
    """What is withdrawn: its kind, and its key, sha256 or id."""

    kind: TargetKind
    name: str


def find_target(
    dataset: Dataset, registry: Registry, text: str, sealed: Mapping[TargetKind, set[str]] = NOTHING_SEALED
) -> Target:
    """What a person names: `plate-001`, the key of an instrument, a run id or a sha256; or `KIND:NAME`.

    Args:
        dataset: the dataset.
        registry: the instruments.
        text: what the person wrote.
        sealed: names that sealed runs have, by kind, besides those of the registry.

    Raises:
        WithdrawalRefused: it names nothing in the dataset, or more than one thing.
    """
    kind, separator, name = text.strip().partition(":")
    if separator and kind not in KINDS:
        raise WithdrawalRefused(f"{text!r}: expected one of {', '.join(KINDS)} before the colon, found {kind!r}")
    name = name if separator else text.strip()
    known = _known(dataset, registry, name)
    known = {one: known[one] | sealed.get(one, set()) for one in KINDS}
    found: list[TargetKind] = [one for one in KINDS if name in known[one] and (not separator or one == kind)]
    if len(found) > 1:
        choices = " or ".join(f"{one}:{name}" for one in found)
        raise WithdrawalRefused(f"{name!r} is the name of {len(found)} things. Fix: name it as {choices}")
    if not found:
        near = get_close_matches(name, [*known["plate"], *known["model"]], n=3)
        hint = f" Did you mean {' or '.join(near)}?" if near else ""
        kinds = f"{kind}" if separator else "plate, instrument, run, weights or source"
        raise WithdrawalRefused(
            f"{name!r}: no such {kinds} in {dataset.root}.{hint} Fix: `atlas plates list`, `atlas models list` and "
            'atlas query "FROM runs" show their names'
        )
    return Target(found[0], name)


def _known(dataset: Dataset, registry: Registry, name: str) -> Mapping[TargetKind, set[str]]:
    """The names that there are, of each kind that the name can be of."""
    known: dict[TargetKind, set[str]] = {kind: set() for kind in KINDS}
    plates = dataset.plates()
    known["plate"] = {plate.id for plate in plates}
    known["model"] = set(registry.specs)
    if re.fullmatch(RUN_ID_PATTERN, name):
        is_run = (dataset.reports_dir / name).is_dir() or any((plate.runs_folder / name).is_dir() for plate in plates)
        known["run"] = {name} if is_run else set()
    if re.fullmatch(SHA256_PATTERN, name):
        known["source"] = {plate.source_sha256() for plate in plates if (plate.folder / "source.sha256").is_file()}
        identities = [instrument.identity for instrument in registry.instruments.values()]
        known["weights"] = {identity.weights_sha256 for identity in identities if identity.weights_sha256}
    return known


def withdraw(dataset: Dataset, target: Target, category: Category, reason: str, person: Person) -> Entry:
    """Appends the entry that withdraws something.

    Raises:
        WithdrawalRefused: it is withdrawn already, or no reason is given.
        DatasetBroken: the log is not whole.
    """

    def make(entries: tuple[Entry, ...]) -> Withdrawal:
        for one in in_force(entries).entries:
            if (one.target_kind, one.target) == (target.kind, target.name):
                raise WithdrawalRefused(f"{target.kind} {target.name} is withdrawn already, by entry {one.number}")
        return planned(target, category, reason, person)

    return LOG.append(dataset, make)


def planned(target: Target, category: Category, reason: str, person: Person) -> Withdrawal:
    """The entry that would withdraw something, without its number. Raises WithdrawalRefused without a reason."""
    _require_reason(reason)
    return _entry(target, category, reason, person)


def restore(dataset: Dataset, number: int, reason: str, person: Person) -> Entry:
    """Appends the entry that ends a withdrawal.

    Raises:
        WithdrawalRefused: there is no such withdrawal in force, or no reason is given.
        DatasetBroken: the log is not whole.
    """
    _require_reason(reason)

    def make(entries: tuple[Entry, ...]) -> Withdrawal:
        ended = withdrawal_in_force(entries, number)
        target = Target(ended.target_kind, ended.target)
        return _entry(target, ended.category, reason, person, restores=number)

    return LOG.append(dataset, make)


def withdrawal_in_force(entries: tuple[Entry, ...], number: int) -> Withdrawal:
    """The withdrawal of a number. Raises WithdrawalRefused if there is none, or if it was ended."""
    found = next((one for one in in_force(entries).entries if one.number == number), None)
    if found is None:
        what = "was restored already" if number in withdrawals_in(entries) else "is no withdrawal"
        raise WithdrawalRefused(f"entry {number} {what}. Fix: `atlas withdrawals` lists the entries in force")
    return found


def read_entries(dataset: Dataset) -> tuple[Entry, ...]:
    """Every entry of a dataset, the oldest first. Raises DatasetBroken if the log is not whole."""
    return read_log(dataset.root)


def _entry(
    target: Target, category: Category, reason: str, person: Person, *, restores: int | None = None
) -> Withdrawal:
    return Withdrawal.model_validate(
        {
            "number": 1,  # set, with the digest of the entry before it, as it is appended
            "previous_sha256": None,
            "kind": "withdraw" if restores is None else "restore",
            "target_kind": target.kind,
            "target": target.name,
            "category": category,
            "reason": reason.strip(),
            "person": person.name,
            "person_from": person.source,
            "entered_at": datetime.now(UTC).replace(microsecond=0),
            "restores": restores,
        }
    )


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise WithdrawalRefused("a reason is needed, in words. Fix: --reason TEXT")

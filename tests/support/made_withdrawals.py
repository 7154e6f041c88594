"""Entries in `withdrawals/`, as `atlas withdraw` and `atlas restore` make them."""

from atlas_resources.chains.person import Person
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.records.withdrawal import TargetKind
from atlas_resources.withdrawals.entering import Target, restore, withdraw
from atlas_resources.withdrawals.log import Entry

PERSON = Person("A. Person", "option")


def withdrawn(dataset: Dataset, kind: TargetKind, name: str, reason: str = "taken down") -> Entry:
    """Withdraws something for rights; returns the entry."""
    return withdraw(dataset, Target(kind, name), "rights", reason, PERSON)


def restored(dataset: Dataset, number: int) -> Entry:
    """Ends a withdrawal; returns the entry."""
    return restore(dataset, number, "settled", PERSON)

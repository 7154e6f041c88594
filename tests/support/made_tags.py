"""Entries in `tags/`, as `atlas tags add` and `atlas tags import` make them."""

from atlas_resources.chains.person import Person
from atlas_resources.ledgers.tags.targets import Targets
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tags.log import Entry, enter
from atlas_resources.tags.selection import wanted_of

PERSON = Person("A. Person", "option")


def judged(dataset: Dataset, *rows: dict[str, str], by: str = PERSON.name) -> Entry:
    """Enters judgements, stated as the cells of a selection; returns the entry."""
    return enter(dataset, Targets(dataset).resolve_all([wanted_of(row) for row in rows]), Person(by, "option"))


def tagged(dataset: Dataset, plate_id: str, tag: str, *, by: str = PERSON.name) -> Entry:
    """Gives a plate a tag; returns the entry."""
    return judged(dataset, {"plate_id": plate_id, "tag": tag}, by=by)

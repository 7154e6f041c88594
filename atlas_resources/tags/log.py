"""The append-only log in `tags/`: which judgements stand, and entering more."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from atlas_resources.chains.chain import Chain
from atlas_resources.chains.chain import Entry as ChainEntry
from atlas_resources.chains.person import Person
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.records.tag import Judgement, TagEntry

FOLDER = "tags"
LOG = Chain(FOLDER, TagEntry)
Entry = ChainEntry[TagEntry]


class TagRefused(ValueError):
    """A judgement that would mean nothing: of something unknown, of two minds, or that stands already."""


def standing(entries: Iterable[Entry], person: str) -> dict[tuple[object, ...], Judgement]:
    """What a person says at present, by what it is of: the newest word on each, unless it was taken back."""
    found: dict[tuple[object, ...], Judgement] = {}
    for entry in entries:
        if entry.content.person == person:
            found |= {one.key: one for one in entry.content.judgements}
    return {key: one for key, one in found.items() if one.judgement != "retracted"}


def enter(dataset: Dataset, judgements: Sequence[Judgement], person: Person) -> Entry:
    """Appends one entry with all judgements of a person that do not stand already.

    Raises:
        TagRefused: every one stands already, or one takes back what the person does not say.
        DatasetBroken: the log is not whole.
    """

    def make(entries: tuple[Entry, ...]) -> TagEntry:
        present = standing(entries, person.name)
        new = tuple(one for one in judgements if present.get(one.key) != one)
        for one in new:
            if one.judgement == "retracted" and one.key not in present:
                raise TagRefused(
                    f"{named(one)}: {person.name} says nothing of it that could be taken back. "
                    "Fix: `atlas tags list --all` shows who said what"
                )
        if not new:
            first = next((named(one) for one in judgements), "nothing")
            raise TagRefused(f"nothing new: {first} is judged so by {person.name} already")
        return TagEntry(
            number=1,  # set, with the digest of the entry before it, as it is appended
            previous_sha256=None,
            person=person.name,
            person_from=person.source,
            entered_at=datetime.now(UTC).replace(microsecond=0),
            judgements=new,
        )

    return LOG.append(dataset, make)


def named(judgement: Judgement) -> str:
    """What a judgement is of, in one line: `plate-001`, or `texts text-0001 of plate-001 in run-...`."""
    if judgement.table == "plates":
        return judgement.plate_id
    if judgement.table == "plate_spaces":
        return f"cluster {judgement.cluster} of {judgement.space}, {judgement.plate_id}"
    return f"{judgement.table} {judgement.row_id} of {judgement.plate_id} in {judgement.run_id}"

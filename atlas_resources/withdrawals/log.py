"""The append-only log in `withdrawals/`, in which an entry may end one before it."""

from collections.abc import Sequence
from pathlib import Path

from atlas_resources.chains.chain import Chain
from atlas_resources.chains.chain import Entry as ChainEntry
from atlas_resources.plates.records.withdrawal import Withdrawal

FOLDER = "withdrawals"
Entry = ChainEntry[Withdrawal]


def _problem(content: Withdrawal, before: Sequence[Withdrawal]) -> str | None:
    """What is wrong with a restoration that ends nothing."""
    ended = {one.restores for one in before}
    if content.kind == "restore" and (content.restores in ended or content.restores not in _withdrawals(before)):
        return f"restores: expected the number of a withdrawal in force, found {content.restores}"
    return None


LOG = Chain(FOLDER, Withdrawal, _problem)


def read_log(root: Path) -> tuple[Entry, ...]:
    """Every entry, the oldest first. Raises DatasetBroken if the log is not whole."""
    return LOG.read(root)


def withdrawals_in(entries: Sequence[Entry]) -> set[int]:
    """The numbers of the entries that withdraw something, restored since or not."""
    return _withdrawals([entry.content for entry in entries])


def _withdrawals(contents: Sequence[Withdrawal]) -> set[int]:
    return {content.number for content in contents if content.kind == "withdraw"}

"""What a run tells whoever watches it: which instruments measure, how each plate ended, and what waits."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Watched:
    """An instrument that measures in the run, or the groundwork.

    Attributes:
        instrument: its key.
        version: its fingerprint, or the version of the groundwork's measures.
    """

    instrument: str
    version: str


@dataclass(frozen=True)
class Queue:
    """Plates that wait within a run.

    Attributes:
        name: `prepared`: prepared and not yet taken; `batch`: taken, and waiting for a whole batch.
        instrument: whose batch it is; empty where all instruments of the run share the queue.
        plates: how many wait now.
        limit: the most that may wait.
    """

    name: str
    instrument: str
    plates: int
    limit: int


class Watch(Protocol):
    """Is told what happens in a run."""

    def plate_ended(self, instrument: str, status: str, seconds: Mapping[str, float] | None) -> None:
        """Counts a plate.

        Args:
            instrument: for which it ended.
            status: how it ended.
            seconds: by stage, of a plate that was measured.
        """
        ...

    def ask_queues(self, queues: Callable[[], Iterable[Queue]]) -> None:
        """States how to learn what waits in the run. It is called on another thread."""
        ...


class NoWatch:
    """What is told is forgotten."""

    def plate_ended(self, instrument: str, status: str, seconds: Mapping[str, float] | None) -> None:
        """Does nothing."""

    def ask_queues(self, queues: Callable[[], Iterable[Queue]]) -> None:
        """Does nothing."""

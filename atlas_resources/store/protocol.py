"""What a store does: five verbs, of which two are decided by the store alone when several machines call them at once.

Keys are relative paths with `/`. A key has whole bytes or none. A list may be late: what was written a moment ago may
be missing from it. Reading a key is never late.
"""

import errno
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class KeyMissing(LookupError):
    """A key that has no bytes."""


class AlreadyWritten(ValueError):
    """A key that is written once has other bytes already."""


class Changed(ValueError):
    """A key was changed by somebody else since it was read, so it was not replaced."""


class StoreUnreachable(OSError):
    """The store does not answer, or refuses. Nothing is known of what was asked of it last.

    Its errno is ETIMEDOUT: a step that meets it is tried again.
    """

    def __init__(self, message: str):
        super().__init__(errno.ETIMEDOUT, message)

    def __str__(self) -> str:
        """The message alone."""
        return str(self.strerror)


@dataclass(frozen=True)
class Stored:
    """The bytes of a key.

    Attributes:
        content: the bytes.
        tag: names this state of the key to `replace`. It is no digest.
    """

    content: bytes
    tag: str


@dataclass(frozen=True)
class Listed:
    """A key in a list, with the size of its bytes."""

    key: str
    size_bytes: int


class Store(Protocol):
    """Bytes by key.

    Attributes:
        address: where it is, as in ATLAS_STORE, without credentials.
    """

    address: str

    def read(self, key: str) -> Stored:
        """The bytes of a key. Raises KeyMissing and StoreUnreachable."""
        ...

    def read_to(self, key: str, path: Path) -> str:
        """Writes the bytes of a key into a new file, not all at once in memory; returns their sha256, hex.

        Raises:
            KeyMissing, StoreUnreachable: as `read`.
            FileExistsError: there is a file.
        """
        ...

    def write_once(self, key: str, content: bytes | Path) -> bool:
        """Writes a key that has no bytes. Of several that try at once one writes. A repeated call finds its own write.

        Args:
            key: the key.
            content: the bytes, or a file that has them.

        Returns:
            Whether this call wrote it; False if it had the same bytes.

        Raises:
            AlreadyWritten: it has other bytes.
            StoreUnreachable: it may have been written or not; calling again finds out.
        """
        ...

    def replace(self, key: str, content: bytes, tag: str | None) -> str:
        """Replaces the bytes of a key that nobody has changed; returns the new tag. A repeated call finds its own.

        The bytes must differ from every earlier state of the key, as a counter or a random word in them does.

        Args:
            key: the key.
            content: the bytes.
            tag: the state that is replaced; None for a key that has no bytes.

        Raises:
            Changed: the key is in another state.
            StoreUnreachable: as `write_once`.
        """
        ...

    def list(self, prefix: str) -> Iterator[Listed]:
        """The keys under a prefix, which ends with `/` or is empty. It may be late. Raises StoreUnreachable."""
        ...

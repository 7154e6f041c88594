"""The scans that an index names by address: what is fetched, under which name, and with which row."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

from atlas_resources.plates.intake.index.columns import Columns
from atlas_resources.plates.intake.index.rows import IndexRow

MAX_NAME_BYTES = 120
KEY_DIGITS = 24  # hex digits; enough to tell the addresses of any index apart


@dataclass(frozen=True)
class Document:
    """What named a scan: an index file by its name, or a IIIF manifest by its address; and the sha256 of its bytes."""

    name: str
    sha256: str


@dataclass(frozen=True)
class WantedScan:
    """A scan to fetch.

    Attributes:
        where: what names it, for messages: "line 3", "canvas 2 of https://...".
        url: its address.
        name: the file name that it gets; safe.
        rows: what is stated about it, a row for each of its pages that has one. Their `file_name` is `key`/`name`.
        document: what named it.
        columns: of `rows`.
        sha256: as the index states it; None if it does not.
        size_bytes: as the index states it; None if it does not.
        size_px: width and height, as a IIIF manifest states them; None if none does.
    """

    where: str
    url: str
    name: str
    rows: tuple[IndexRow, ...]
    document: Document
    columns: Columns
    sha256: str | None = None
    size_bytes: int | None = None
    size_px: tuple[int, int] | None = None

    @property
    def key(self) -> str:
        """By which the files of this address are kept until it is registered: the first digits of its sha256."""
        return key_of(self.url)


@dataclass(frozen=True)
class Problem:
    """A scan, or a document that names scans, that cannot be fetched: where, and why, in a line each."""

    where: str
    reason: str


@dataclass(frozen=True)
class WantedScans:
    """What an index asks for.

    Attributes:
        description: how it was read, for a person.
        scans: in its order, each address once.
        problems: what cannot be fetched as it is written.
        notes: what a person should know besides.
    """

    description: str
    scans: tuple[WantedScan, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()


def key_of(url: str) -> str:
    """The first digits of an address's sha256."""
    return hashlib.sha256(url.encode()).hexdigest()[:KEY_DIGITS]


def safe_name(stated: str | None, url: str, fallback: str = "scan") -> str:
    """A file name from what an index states, else from the address. It never leads out of a folder.

    Args:
        stated: a name or path of an index; only its last part is used.
        url: address of the file.
        fallback: the name if neither has one.
    """
    of_address = unquote(urlsplit(url).path, errors="replace")
    for text in (stated or "", of_address):
        name = PurePosixPath(text.replace("\\", "/")).name
        cleaned = re.sub(r"[^\w .,()+=@&'№–-]", "_", unicodedata.normalize("NFC", name)).strip(" .")
        if cleaned:
            return shortened(cleaned)
    return fallback


def shortened(name: str) -> str:
    """The name with at most MAX_NAME_BYTES bytes, and with its extension."""
    path = PurePosixPath(name)
    suffix = path.suffix if len(path.suffix) <= 10 else ""
    stem = name.removesuffix(suffix)
    while len((stem + suffix).encode()) > MAX_NAME_BYTES:
        stem = stem[:-1]
    return stem + suffix


def plain_text(value: str) -> str:
    """Text without control characters, which a terminal would obey, and with single spaces."""
    return " ".join("".join(char if char.isprintable() else " " for char in value).split())

"""Downloading one scan: continuing where an earlier try ended, and checking the file before it is called whole."""

import os
import re
import shutil
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from atlas_resources.acquisition.store import Item, PullState
from atlas_resources.acquisition.wanted import WantedScan
from atlas_resources.downloads.client import RANGE_REFUSED, Session
from atlas_resources.downloads.errors import AnswerBroken, AnswerRefused, DownloadFailed
from atlas_resources.files.digests import sha256_of
from atlas_resources.files.durable import make_folder, sync_folder

if TYPE_CHECKING:
    import httpx2

PARTIAL = 206
CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
TEXT_BEGINNINGS = (b"<", b"{", b"[")
"""Of pages, SVG and JSON; no accepted image begins so."""


def download(session: Session, wanted: WantedScan, item: Item, max_bytes: int, on_bytes: Callable[[int], None]) -> None:
    """Fetches a scan into `item.finished`, with its state. A part of an earlier call is continued.

    Args:
        session: of this thread.
        wanted: the scan.
        item: where its files are.
        max_bytes: limit for the file.
        on_bytes: called with the number of bytes that arrived.

    Raises:
        DownloadFailed: it cannot be fetched, or is not the file that the index states. A part that may be continued
            is kept; anything else is removed.
        OSError: it cannot be written.
    """
    make_folder(item.folder)
    state = item.state()
    if state is not None and state.url != wanted.url:
        item.drop_file()
        item.state_path.unlink()
    if not item.finished.exists():
        limit = max_bytes if wanted.size_bytes is None else min(max_bytes, wanted.size_bytes)
        try:
            session.fetch(
                wanted.url,
                lambda response: _receive(session, response, wanted, item, on_bytes),
                max_bytes=limit,
                headers=lambda: _headers(item),
                progress=item.part_bytes,
            )
        except AnswerRefused:
            item.drop()
            raise
        except DownloadFailed:
            with suppress(OSError):  # it has a part, which is kept
                item.folder.rmdir()
            raise
        _move_whole(item)
    _check(wanted, item)


def _headers(item: Item) -> dict[str, str]:
    """Asks for the rest of the file if a part is there and can be told to be of the same file; else drops the part."""
    state, have = item.state(), item.part_bytes()
    if have and state is not None and state.validator:
        return {"Range": f"bytes={have}-", "If-Range": state.validator}
    item.part.unlink(missing_ok=True)
    return {}


def _receive(
    session: Session, response: "httpx2.Response", wanted: WantedScan, item: Item, on_bytes: Callable[[int], None]
) -> None:
    """Reads one answer into the part: its rest, or the whole file anew if the server sends that."""
    have = item.part_bytes()
    found = (
        CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "")) if response.status_code == PARTIAL else None
    )
    is_rest = found is not None and int(found[1]) == have
    if response.status_code == RANGE_REFUSED or (response.status_code == PARTIAL and not is_rest):
        item.drop_file()  # the part is not the beginning of this file
        raise AnswerBroken("not the range that was asked for")
    size = int(found[3]) if found else _length(response)
    _require_size(wanted, size)
    _require_room(item, (size or 0) - (have if is_rest else 0))
    if not is_rest:
        item.part.unlink(missing_ok=True)
        headers = response.headers
        item.write_state(
            PullState(
                url=wanted.url, etag=_header(headers, "ETag"), last_modified=_header(headers, "Last-Modified"),
                size_bytes=size,
            )
        )  # fmt: skip
    with item.part.open("ab") as file:
        for chunk in response.iter_raw():  # as they arrive: a cut loses what a larger chunk has gathered
            session.visit.check()
            if file.tell() == 0:
                _require_no_text(chunk, response)
            file.write(chunk)
            on_bytes(len(chunk))
            file.flush()
            _require_at_most(wanted, size, file.tell())
        os.fsync(file.fileno())
    if size is not None and item.part_bytes() < size:
        raise AnswerBroken("the body ended early")
    if item.part_bytes() == 0:
        raise AnswerRefused("is empty (0 bytes). Fix: correct the address in the index")


def _length(response: "httpx2.Response") -> int | None:
    stated = response.headers.get("Content-Length", "")
    return int(stated) if re.fullmatch(r"[0-9]{1,18}", stated) else None


def _header(headers: "httpx2.Headers", name: str) -> str | None:
    """A header as it may be kept and sent again: printable and not too long."""
    value = headers.get(name)
    return value if value and len(value) <= 200 and value.isascii() and value.isprintable() else None


def _require_size(wanted: WantedScan, size: int | None) -> None:
    if wanted.size_bytes is not None and size is not None and size != wanted.size_bytes:
        raise AnswerRefused(
            f"has {size:,} bytes; the index states {wanted.size_bytes:,}. Nothing was kept. Fix: correct the index"
        )


def _require_at_most(wanted: WantedScan, size: int | None, found: int) -> None:
    limit = size if size is not None else wanted.size_bytes
    if limit is not None and found > limit:
        raise AnswerRefused(f"the server sends more than the file's {limit:,} bytes. Nothing was kept. Run this again")


def _require_room(item: Item, size: int) -> None:
    free = shutil.disk_usage(item.folder).free
    if size > free:
        raise DownloadFailed(
            f"{size:,} bytes are missing and {free:,} are free in {item.folder.parent}. Fix: free some"
        )


def _require_no_text(beginning: bytes, response: "httpx2.Response") -> None:
    """Raises AnswerRefused for a page or JSON in the place of an image."""
    if beginning.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(TEXT_BEGINNINGS):
        kind = response.headers.get("Content-Type", "no content type")[:60]
        raise AnswerRefused(f"is a page or a text, not an image ({kind!r}). Fix: correct the address in the index")


def _move_whole(item: Item) -> None:
    """The part becomes the finished file, by one rename."""
    make_folder(item.finished.parent)
    os.replace(item.part, item.finished)
    sync_folder(item.finished.parent)
    sync_folder(item.folder)


def _check(wanted: WantedScan, item: Item) -> None:
    """Records the digest of the finished file. Removes it and raises AnswerRefused if it is not what was stated."""
    state, size = item.state(), item.finished.stat().st_size
    if state is None or (state.size_bytes is not None and state.size_bytes != size):
        item.drop()
        raise AnswerRefused("was changed in plates/.pull by something else. It was removed. Fix: run this again")
    sha256 = state.sha256 or sha256_of(item.finished)
    if wanted.sha256 not in {None, sha256} or wanted.size_bytes not in {None, size}:
        item.drop()
        expected = f"sha256 {wanted.sha256}" if wanted.sha256 else f"{wanted.size_bytes:,} bytes"
        raise AnswerRefused(
            f"is not the file of the index: expected {expected}, found sha256 {sha256}, {size:,} bytes. It was removed."
            f" Fix: correct the index if this is the file that is meant"
        )
    if state.sha256 is None:
        item.write_state(state.model_copy(update={"sha256": sha256, "retrieved_at": datetime.now(UTC)}))

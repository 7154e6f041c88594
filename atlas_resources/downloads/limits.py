"""What an answer of a server may cost: a limit of bytes, no compression, and a least rate at which bytes must arrive.

The time limits of the HTTP client are those of a single read: a server that sends a byte now and then meets them.
"""

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import httpx2

MAX_ANSWER_BYTES = 8 << 20
"""Of an answer that is kept in memory: metadata, a configuration, an error."""
LIMIT = "atlas_max_body_bytes"
"""The extension of a request that states another limit than MAX_ANSWER_BYTES."""


class LimitExceeded(Exception):
    """An answer that is cut off because it is beyond a limit. The message has the limit, what was found, and a fix."""


@dataclass(frozen=True)
class LeastRate:
    """The least number of bytes that must arrive in each window of time, from the sending of a request on."""

    window_seconds: float = 60.0
    least_bytes: int = 60 << 10

    def __str__(self) -> str:
        """For a message."""
        return f"{self.least_bytes:,} bytes in {self.window_seconds:g} seconds"


LEAST_RATE = LeastRate()


@dataclass
class Watch:
    """The request that is under way in a session, and the connections of that session.

    A thread of its own calls `cut_if_slow`: while a request waits for bytes, nothing else runs.

    Attributes:
        rate: The least rate.
        sockets: Those opened by the session.
        window_began: When the present window began, in seconds of time.monotonic; None while no request is under way.
        window_bytes: Bytes of the body that arrived in the present window.
        is_cut: Whether the last request was cut off.
        on_connection: Called with each new connection before anything is sent on it. What it raises ends the request.
    """

    rate: LeastRate
    on_connection: Callable[[socket.socket], None] = lambda connection: None
    sockets: list[socket.socket] = field(default_factory=list)
    window_began: float | None = None
    window_bytes: int = 0
    is_cut: bool = False

    def begin(self, request: "httpx2.Request") -> None:
        """A request is sent. Its connections are noted as the HTTP client opens them."""
        request.extensions["trace"] = self._note_connection
        self.window_began, self.window_bytes, self.is_cut = time.monotonic(), 0, False

    def end(self) -> None:
        """The body is complete, or is read no further."""
        self.window_began = None

    def cut_if_slow(self) -> None:
        """Shuts the connections if too few bytes arrived in a window that is over; the waiting read then fails."""
        began = self.window_began
        if began is None or time.monotonic() - began < self.rate.window_seconds:
            return
        if self.window_bytes >= self.rate.least_bytes:
            self.window_began, self.window_bytes = time.monotonic(), 0
            return
        self.cut()

    def cut(self) -> None:
        """Shuts the connections."""
        self.is_cut = True
        while self.sockets:
            with suppress(OSError):  # closed by now
                self.sockets.pop().shutdown(socket.SHUT_RDWR)

    def _note_connection(self, event: str, info: dict[str, Any]) -> None:
        if event.endswith(("connect_tcp.complete", "start_tls.complete")):
            connection = info["return_value"].get_extra_info("socket")
            self.sockets.append(connection)
            if event.endswith("connect_tcp.complete"):
                self.on_connection(connection)


@contextmanager
def watching(
    rate: LeastRate, on_connection: Callable[[socket.socket], None] = lambda connection: None
) -> Iterator[Watch]:
    """Yields a Watch, with a thread that looks at it until the block ends."""
    watch, is_over = Watch(rate, on_connection), threading.Event()

    def look() -> None:
        while not is_over.wait(min(1.0, rate.window_seconds / 4)):
            watch.cut_if_slow()

    thread = threading.Thread(target=look, name="download-watch", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        is_over.set()
        thread.join()


def bounding(watch: Watch, coding_fix: str, size_fix: str) -> Callable[["httpx2.Response"], None]:
    """Returns a hook of an HTTP client that limits each answer once its headers are there. It raises LimitExceeded.

    Args:
        watch: the watch of the session.
        coding_fix: what to do about a compressed answer, a sentence.
        size_fix: what to do about an answer that is too large, a sentence.
    """
    from httpx2 import SyncByteStream

    class BoundedBody(SyncByteStream):
        def __init__(self, body: SyncByteStream, max_bytes: int):
            self.body = body
            self.max_bytes = max_bytes

        def __iter__(self) -> Iterator[bytes]:
            received = 0
            for chunk in self.body:
                received += len(chunk)
                watch.window_bytes += len(chunk)
                _require_at_most(received, self.max_bytes, size_fix)
                yield chunk

        def close(self) -> None:
            watch.end()
            self.body.close()

    def bound(response: "httpx2.Response") -> None:
        coding = response.headers.get("Content-Encoding", "identity")
        if coding.strip().lower() != "identity":
            raise LimitExceeded(
                f"the answer is compressed ({coding[:40]!r}), which was not asked for and could unpack to any size. "
                f"{coding_fix}"
            )
        max_bytes = response.request.extensions.get(LIMIT, MAX_ANSWER_BYTES)
        stated = response.headers.get("Content-Length", "")
        if response.request.method != "HEAD" and re.fullmatch(r"[0-9]{1,18}", stated):
            _require_at_most(int(stated), max_bytes, size_fix)
        response.stream = BoundedBody(cast(SyncByteStream, response.stream), max_bytes)

    return bound


def _require_at_most(found: int, max_bytes: int, size_fix: str) -> None:
    if found > max_bytes:
        raise LimitExceeded(
            f"the answer has {found:,} bytes or more and the limit is {max_bytes:,}; it was cut off. {size_fix}"
        )

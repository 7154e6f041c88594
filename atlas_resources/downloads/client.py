"""A polite HTTP client, which opens connections when it is called: limits, patience, a pace for each host, no secrets.

It sends no cookie, token or password, reads no netrc, and uses a proxy only if it is given one.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar

from atlas_resources.downloads.addresses import host_of, redirected, require_address, require_public
from atlas_resources.downloads.errors import AddressRefused, AnswerBroken, AnswerRefused, DownloadFailed, Stopped
from atlas_resources.downloads.limits import LIMIT, LimitExceeded, Watch, bounding, watching
from atlas_resources.downloads.pace import LOOK_SECONDS, Pace
from atlas_resources.downloads.patience import TOO_MANY, UNAVAILABLE, Patience, retry_after_seconds, wait_seconds

if TYPE_CHECKING:
    import httpx2

Answer = TypeVar("Answer")
TIMEOUT_SECONDS = 30.0
MAX_REDIRECTS = 5
REDIRECTS = frozenset({301, 302, 303, 307, 308})
RANGE_REFUSED = 416
SCAN_PATIENCE = Patience(first_wait_seconds=2.0, longest_wait_seconds=300.0)
CODING_FIX = "Ask the operator of the server to honour Accept-Encoding: identity."
SIZE_FIX = "Raise --max-megabytes if a file of this size is expected."


@dataclass(frozen=True)
class Manners:
    """How servers are asked.

    Attributes:
        user_agent: says which program asks, and whom to write to.
        requests_per_second: to one host.
        per_host: requests to one host at the same time.
        is_private_allowed: connections to this machine and to private networks are allowed.
        proxy: address of a proxy for every request. It decides where connections lead, so they are not looked at.
        patience: with failing requests.
        total_seconds: after which no more is read.
    """

    user_agent: str
    requests_per_second: float = 2.0
    per_host: int = 2
    is_private_allowed: bool = False
    proxy: str | None = None
    patience: Patience = field(default_factory=lambda: SCAN_PATIENCE)
    total_seconds: float = 24 * 3600.0


@dataclass
class Visit:
    """What the threads of one pull share: the manners, the pace, and whether to stop.

    Attributes:
        manners: How servers are asked.
        is_over: Set to end all downloads.
        watches: Of the sessions that were opened.
    """

    manners: Manners
    is_over: threading.Event = field(default_factory=threading.Event)
    watches: list[Watch] = field(default_factory=list)

    def __post_init__(self) -> None:
        """The time begins."""
        self.pace = Pace(self.manners.requests_per_second, self.manners.per_host)
        self.ends_at = time.monotonic() + self.manners.total_seconds

    def stop(self) -> None:
        """Ends all downloads at once, also one that waits for bytes."""
        self.is_over.set()
        for watch in self.watches:
            watch.cut()

    def check(self) -> None:
        """Raises Stopped if the downloads are to end."""
        if self.is_over.is_set():
            raise Stopped("was stopped. Run this again: what was fetched is kept")
        if time.monotonic() > self.ends_at:
            hours = self.manners.total_seconds / 3600
            raise Stopped(f"the {hours:g} hours of --max-hours are over. Run this again: what was fetched is kept")

    def wait(self, seconds: float) -> None:
        """Sleeps. Raises Stopped as soon as the downloads are to end."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            self.check()
            self.is_over.wait(min(left, LOOK_SECONDS))


@contextmanager
def open_session(visit: Visit) -> Iterator["Session"]:
    """Yields a session for one thread, and closes its connections. Raises DownloadFailed for a proxy that is none."""
    manners = visit.manners
    guard = (lambda connection: None) if manners.is_private_allowed or manners.proxy else require_public
    with watching(manners.patience.least_rate, guard) as watch:
        visit.watches.append(watch)
        with _build_client(manners, watch) as client:
            yield Session(visit, client, watch)


def _build_client(manners: Manners, watch: Watch) -> "httpx2.Client":
    """Raises DownloadFailed for a proxy that cannot be used. Its address is not shown: it may have a password."""
    import httpx2

    try:
        return httpx2.Client(
            headers={"User-Agent": manners.user_agent, "Accept": "*/*", "Accept-Encoding": "identity"},
            trust_env=False,
            proxy=manners.proxy,
            timeout=TIMEOUT_SECONDS,
            follow_redirects=False,
            event_hooks={"request": [watch.begin], "response": [bounding(watch, CODING_FIX, SIZE_FIX)]},
        )
    except (httpx2.InvalidURL, ValueError, ImportError) as error:
        raise DownloadFailed(
            f"--proxy is not the address of a proxy that can be used ({type(error).__name__}): expected"
            f" http://host:port. Fix: correct it"
        ) from None


@dataclass(frozen=True)
class Session:
    """One thread's connections."""

    visit: Visit
    client: "httpx2.Client"
    watch: Watch

    def fetch(
        self,
        address: str,
        read: Callable[["httpx2.Response"], Answer],
        *,
        max_bytes: int,
        headers: Callable[[], Mapping[str, str]] = dict,
        progress: Callable[[], int] = lambda: 0,
    ) -> Answer:
        """Asks for an address, again after failures that may pass, and reads the answer.

        Args:
            address: what to ask for. Redirects are followed.
            read: is called with an answer of status 200, 206 or 416, whose body is still to be read.
            max_bytes: limit of the body.
            headers: called before each try.
            progress: bytes that have arrived. Progress restarts the count of tries.

        Raises:
            AddressRefused: nothing is fetched from there, or from where it is redirected to.
            AnswerRefused: the answer is too large or compressed, or `read` raises it. After an AnswerBroken of `read`
                the request is tried again.
            DownloadFailed: the server refuses, or did not answer in all tries.
            Stopped: the downloads are to end.
        """
        import httpx2

        patience, tried, reached = self.visit.manners.patience, 0, progress()
        while True:
            tried += 1
            status, retry_after, failure = None, "", ""
            try:
                with self._answer(address, headers(), max_bytes) as response:
                    status, retry_after = response.status_code, response.headers.get("Retry-After", "")
                    if status in {200, 206, RANGE_REFUSED}:
                        status = None
                        return read(response)
            except LimitExceeded as error:
                raise AnswerRefused(str(error)) from None
            except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, AnswerBroken) as error:
                failure = type(error).__name__
            self.visit.check()
            if progress() - reached >= patience.least_progress_bytes:
                tried, reached = 1, progress()
            seconds = wait_seconds(tried, patience, status, retry_after)
            if seconds is None:
                raise DownloadFailed(explain(status, retry_after, failure, tried, patience))
            if status in {TOO_MANY, UNAVAILABLE}:
                self.visit.pace.pause(host_of(address), seconds)
            self.visit.wait(seconds)

    def read_bytes(self, address: str, max_bytes: int) -> bytes:
        """Returns the body at an address. Raises as `fetch`."""

        def read(response: "httpx2.Response") -> bytes:
            if response.status_code != 200:
                raise AnswerRefused(f"the server answered {response.status_code} to a request without a range")
            body = bytearray()
            for chunk in response.iter_raw():
                self.visit.check()
                body += chunk
            return bytes(body)

        return self.fetch(address, read, max_bytes=max_bytes)

    @contextmanager
    def _answer(self, address: str, headers: Mapping[str, str], max_bytes: int) -> Iterator["httpx2.Response"]:
        """Yields the answer at the end of the redirects. Each is a request of its own, in the pace of its host."""
        for _ in range(MAX_REDIRECTS + 1):
            host = host_of(require_address(address))
            with (
                self.visit.pace.slot(host, self.visit.check),
                self.client.stream("GET", address, headers=dict(headers), extensions={LIMIT: max_bytes}) as response,
            ):
                self.client.cookies.clear()
                location = response.headers.get("Location")
                if response.status_code not in REDIRECTS or location is None:
                    yield response
                    return
            address = redirected(address, location)
        raise AddressRefused(f"is redirected more than {MAX_REDIRECTS} times. Fix: write the address it ends at")


def explain(status: int | None, retry_after: str, failure: str, tried: int, patience: Patience) -> str:
    """Returns why a request failed, and the fix.

    Args:
        status: of the answer; None if the connection failed.
        retry_after: the answer's header Retry-After.
        failure: the kind of the connection's failure.
        tried: how often the request was tried.
        patience: with which it was tried.
    """
    again = "Run this again later: what was fetched is kept"
    match status:
        case None:
            rate = f"one that brings less than {patience.least_rate} is cut off"
            return f"the connection failed ({failure}), tried {tried} times; {rate}. {again}"
        case 401 | 403 | 407:
            return f"access is refused ({status}). Fix: ask for access, or fetch it by hand: atlas plates add FILE"
        case 404 | 410:
            return f"there is no such file ({status}). Fix: correct the address in the index"
        case 429 | 503 if (asked := retry_after_seconds(retry_after)) is not None:
            return f"the server asks to wait {asked:,} seconds ({status}), tried {tried} times. {again}"
    return f"the server answered {status}, tried {tried} times. {again}"

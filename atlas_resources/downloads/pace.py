"""How fast each host is asked: so many requests at a time, so many in a second, and none while it asks for a pause."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

LOOK_SECONDS = 0.2  # how often a waiting request looks whether it is to be given up


@dataclass
class _Host:
    slots: threading.Semaphore
    lock: threading.Lock = field(default_factory=threading.Lock)
    next_at: float = 0.0  # seconds of time.monotonic at which the next request may be sent


class Pace:
    """Shared by all threads that send requests.

    Attributes:
        requests_per_second: to one host, by all threads together.
        per_host: requests to one host at the same time.
    """

    def __init__(self, requests_per_second: float, per_host: int):
        self.requests_per_second = requests_per_second
        self.per_host = per_host
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()

    @contextmanager
    def slot(self, host: str, check: Callable[[], None]) -> Iterator[None]:
        """Waits until a request may be sent to the host, and counts it as under way in the block.

        Args:
            host: its name.
            check: called while waiting. What it raises ends the waiting.
        """
        one = self._host(host)
        while not one.slots.acquire(timeout=LOOK_SECONDS):
            check()
        try:
            self._wait_for_turn(one, check)
            yield
        finally:
            one.slots.release()

    def pause(self, host: str, seconds: float) -> None:
        """Sends the host nothing for some seconds."""
        one = self._host(host)
        with one.lock:
            one.next_at = max(one.next_at, time.monotonic() + seconds)

    def _host(self, name: str) -> _Host:
        with self._lock:
            return self._hosts.setdefault(name, _Host(threading.Semaphore(self.per_host)))

    def _wait_for_turn(self, one: _Host, check: Callable[[], None]) -> None:
        while True:
            with one.lock:
                wait = one.next_at - time.monotonic()
                if wait <= 0:
                    one.next_at = time.monotonic() + 1 / self.requests_per_second
                    return
            check()
            time.sleep(min(wait, LOOK_SECONDS))

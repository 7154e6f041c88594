"""Downloading many scans on a few threads: so many from one host at a time, each host in the order of the index."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from atlas_resources.acquisition.download import download
from atlas_resources.acquisition.store import item_of
from atlas_resources.acquisition.wanted import WantedScan
from atlas_resources.downloads.addresses import host_of
from atlas_resources.downloads.client import Session, Visit, open_session
from atlas_resources.downloads.errors import DownloadFailed, Stopped
from atlas_resources.plates.dataset import Dataset

MAX_THREADS = 8
TICK_SECONDS = 0.25


@dataclass
class Arrivals:
    """What has arrived so far. The threads add to it.

    Attributes:
        bytes_received: by this call.
        failures: why each scan failed, or None for one that is whole, by its address.
    """

    bytes_received: int = 0
    failures: dict[str, str | None] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, count: int) -> None:
        """Counts bytes of any scan."""
        with self._lock:
            self.bytes_received += count


@contextmanager
def fetching(
    dataset: Dataset, visit: Visit, scans: Sequence[WantedScan], max_bytes: int
) -> Iterator[Callable[[], Arrivals]]:
    """Downloads scans while the block runs, and ends the downloads with it.

    Yields:
        A function that waits a moment and returns what has arrived until then.
    """
    arrivals, done = Arrivals(), SimpleQueue[tuple[str, str | None]]()
    hosts: dict[str, deque[WantedScan]] = {}
    for scan in scans:
        hosts.setdefault(host_of(scan.url), deque()).append(scan)

    def work(queue: deque[WantedScan]) -> None:
        with open_session(visit) as session:
            while True:
                try:
                    scan = queue.popleft()
                except IndexError:
                    return
                done.put((scan.url, _fetch(dataset, session, scan, max_bytes, arrivals.add)))

    def arrived() -> Arrivals:
        try:
            while True:
                url, failure = done.get(timeout=TICK_SECONDS)
                arrivals.failures[url] = failure
                if done.empty():
                    return arrivals
        except Empty:
            for lane in lanes:
                if lane.done():
                    lane.result()  # raises what a thread did not expect
            return arrivals

    with ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="pull") as pool:
        lanes = [
            pool.submit(work, queue) for queue in hosts.values() for _ in range(min(visit.manners.per_host, len(queue)))
        ]
        try:
            yield arrived
        finally:
            visit.stop()
            for lane in lanes:
                lane.cancel()


def _fetch(
    dataset: Dataset, session: Session, scan: WantedScan, max_bytes: int, on_bytes: Callable[[int], None]
) -> str | None:
    """Downloads one scan. Returns why that failed, or None."""
    try:
        session.visit.check()
        download(session, scan, item_of(dataset, scan), max_bytes, on_bytes)
    except Stopped as error:
        return f"not fetched: {error}"
    except DownloadFailed as error:
        return str(error)
    except OSError as error:
        return f"cannot be written: {error.strerror or error}"
    return None

"""Fetching and registering what an index asks for, in its order, so that plates without a number get theirs by it."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from atlas_resources.acquisition.fetching import Arrivals, fetching
from atlas_resources.acquisition.plan import Planned
from atlas_resources.acquisition.store import Item, item_of, only_pull
from atlas_resources.acquisition.wanted import WantedScan
from atlas_resources.downloads.client import Visit
from atlas_resources.plates.contracts import Origin
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import ImageRefused, require_decodable
from atlas_resources.plates.intake.index.rows import ScanIndex
from atlas_resources.plates.intake.placing import registration_gate
from atlas_resources.plates.intake.registration import Options, Registration, register_plan
from atlas_resources.plates.intake.scan_plan import Plan, Scan
from atlas_resources.plates.refused_scans import record_refusals

REGISTER_SECONDS = 30.0
"""A registration reads every manifest, so that it is done for many scans at a time, and at the end."""


@dataclass(frozen=True)
class Progress:
    """How far a pull is, for a person: scans that are done or failed, of how many, and the bytes received."""

    done: int
    total: int
    bytes_received: int


@dataclass(frozen=True)
class Result:
    """What became of one wanted scan, or of a page of it.

    Attributes:
        wanted: the scan.
        registration: how it was registered; None if it could not be fetched.
        failure: why it is no plate, one line; None if it is one.
    """

    wanted: WantedScan
    registration: Registration | None
    failure: str | None


def pull_scans(
    dataset: Dataset,
    visit: Visit,
    planned: Sequence[Planned],
    *,
    max_bytes: int,
    options: Options,
    on_progress: Callable[[Progress], None],
) -> Generator[Result, None, None]:
    """Fetches scans and registers each that arrived whole. What is there already is skipped.

    Plates are registered in the order of the index: a scan waits until those before it have arrived or failed.

    Args:
        dataset: where plates are registered.
        visit: how servers are asked, and until when.
        planned: every scan of the index, from `plan_pull`.
        max_bytes: limit for a file.
        options: how scans are registered.
        on_progress: called several times a second.

    Yields:
        A Result for each scan that was not there, of one with pages for each of these: failures at once, the others
        once they are registered, in the order of the index.

    Raises:
        PullBusy: another pull works on the dataset.
        DatasetBroken: a plate's manifest cannot be read.
    """
    pending = [one for one in planned if one.need != "there"]
    indexes = indexes_of([one.wanted for one in planned])
    with only_pull(dataset):
        for one in planned:
            if one.need == "there":
                item = item_of(dataset, one.wanted)
                (item.drop_file if one.is_by_bytes else item.drop)()
        # A finished file is checked again too: a killed pull may not have recorded its digest.
        with fetching(dataset, visit, [one.wanted for one in pending], max_bytes) as arrived:
            yield from _register_in_order(
                dataset, pending, indexes=indexes, arrived=arrived, options=options, on_progress=on_progress
            )


def _register_in_order(
    dataset: Dataset,
    pending: Sequence[Planned],
    *,
    indexes: dict[str, ScanIndex],
    arrived: Callable[[], Arrivals],
    options: Options,
    on_progress: Callable[[Progress], None],
) -> Iterator[Result]:
    done, whole, last = 0, list[WantedScan](), time.monotonic()
    while done < len(pending):
        arrivals = arrived()
        on_progress(Progress(len(arrivals.failures), len(pending), arrivals.bytes_received))
        while done < len(pending) and pending[done].wanted.url in arrivals.failures:
            wanted = pending[done].wanted
            failure = arrivals.failures[wanted.url]
            if failure is None:
                whole.append(wanted)
            else:
                yield Result(wanted, None, failure)
            done += 1
        if whole and (done == len(pending) or time.monotonic() - last > REGISTER_SECONDS):
            yield from register_whole(dataset, whole, indexes, options)
            whole, last = [], time.monotonic()


def indexes_of(scans: Sequence[WantedScan]) -> dict[str, ScanIndex]:
    """An index for each document, with the rows of all its scans."""
    of_document: dict[str, list[WantedScan]] = {}
    for scan in scans:
        of_document.setdefault(scan.document.name, []).append(scan)
    return {
        name: ScanIndex(Path(name), "", own[0].columns, tuple(row for scan in own for row in scan.rows))
        for name, own in of_document.items()
    }


def register_whole(
    dataset: Dataset, scans: Sequence[WantedScan], indexes: dict[str, ScanIndex], options: Options
) -> Iterator[Result]:
    """Registers finished files, in order, and removes each that has become a plate or is no image."""
    of_path = {item_of(dataset, one).finished: one for one in scans}
    plan = Plan([planned_scan(dataset, one, indexes[one.document.name]) for one in scans], list(indexes.values()), [])
    refused: set[Path] = set()
    registered: set[Path] = set()
    with closing(register_plan(dataset, plan, options)) as registrations:
        for one in registrations:
            wanted = of_path[one.path]
            if one.status == "refused":
                refused.add(one.path)
                yield Result(wanted, one, str(one.reason))
            else:
                registered |= {one.path} if one.status == "registered" else set()
                note = "; ".join(filter(None, (one.note, smaller_than_stated(wanted, one.path))))
                yield Result(wanted, replace(one, note=note), None)
    for path, wanted in of_path.items():
        item = item_of(dataset, wanted)
        if path in registered:
            item.drop()
        elif path not in refused:  # another plate has its bytes: the state keeps it from being fetched again
            item.drop_file()
        elif not is_image(path, options.max_pixels):
            item.drop()
            with registration_gate(dataset):
                record_refusals(dataset, {path: None})  # its file is gone, and the next pull fetches it anew


def planned_scan(dataset: Dataset, wanted: WantedScan, index: ScanIndex) -> Scan:
    """A finished file as a scan to register, with its origin."""
    item = item_of(dataset, wanted)
    return Scan(item.finished, (f"{wanted.key}/{wanted.name}",), (index,), origin=origin_of(wanted, item))


def origin_of(wanted: WantedScan, item: Item) -> Origin:
    """Where a finished file is from. Raises ValueError if its download is not complete."""
    state = item.state()
    if state is None or state.retrieved_at is None:
        raise ValueError(f"{item.folder}: the download is not complete")
    return Origin(
        url=wanted.url,
        retrieved_at=state.retrieved_at,
        etag=state.etag,
        last_modified=state.last_modified,
        expected_sha256=wanted.sha256,
        index=wanted.document.name,
        index_sha256=wanted.document.sha256,
    )


def smaller_than_stated(wanted: WantedScan, path: Path) -> str:
    """That a IIIF server delivers an image smaller than its manifest states; empty if it does not.

    A server may limit the size of its images, and an upright image may be stated lying.
    """
    from PIL import Image

    if wanted.size_px is None:
        return ""
    with Image.open(path) as image:
        found = image.size
    if max(found) >= max(wanted.size_px) - 1:
        return ""
    stated = "{:,} x {:,}".format(*wanted.size_px)
    return f"is {found[0]:,} x {found[1]:,} px, and its manifest states {stated} px: the server limits the size"


def is_image(path: Path, max_pixels: int) -> bool:
    """Whether a refused file is an image that can be measured, so that something else refused it."""
    try:
        require_decodable(path, max_pixels)
    except (ImageRefused, OSError):
        return False
    return True

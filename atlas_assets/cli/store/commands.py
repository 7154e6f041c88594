"""`atlas store status`, `push`, `pull`, `verify` and `publish`."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from atlas_assets.cli.output import console, counted, fail, open_dataset

if TYPE_CHECKING:
    from atlas_resources.store.protocol import Store

LINE_SECONDS = 5.0
Address = Annotated[
    str | None, typer.Option("--store", help="s3://bucket/prefix or an absolute folder; by default ATLAS_STORE.")
]


def _show(line: str, style: str | None = None) -> None:
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _opened(address: str | None) -> "Store":
    """The store that is asked for. Exits with an error that says how to name one."""
    from atlas_resources.store.address import VARIABLE, StoreRefused, named_store, open_store

    try:
        store = open_store(address) if address else named_store()
    except StoreRefused as error:
        raise fail(str(error)) from None
    if store is None:
        raise fail(f"no store is named. Fix: set {VARIABLE}, or give --store s3://bucket/prefix (or a folder)")
    return store


@contextmanager
def _failing() -> "Iterator[None]":
    """What a store refuses, as an error of the command."""
    from atlas_resources.plates.json_files import DatasetBroken
    from atlas_resources.sharing.fetching import FetchedWrong
    from atlas_resources.store.protocol import AlreadyWritten, StoreUnreachable

    try:
        yield
    except (AlreadyWritten, DatasetBroken, FetchedWrong, StoreUnreachable) as error:
        raise fail(str(error)) from None


def _progress(verb: str) -> Callable[[str], None]:
    """Prints on standard error, every few seconds, how many plates are done."""
    done, said = 0, time.monotonic()

    def on_plate(plate_id: str) -> None:
        nonlocal done, said
        done += 1
        if time.monotonic() - said >= LINE_SECONDS:
            said = time.monotonic()
            Console(stderr=True, emoji=False).print(f"{counted(done, 'plate')} {verb}, the last {plate_id}")

    return on_plate


def store_status(store: Address = None) -> None:
    """Say what the store and this folder have, who measures which plate, and whether the store can be written to."""
    from atlas_resources.sharing.comparison import compare, read_claims

    dataset, opened = open_dataset(), _opened(store)
    with _failing():
        found = compare(dataset, opened)
        claims = list(read_claims(opened))
    _show(f"{opened.address}: {counted(found.plates, 'plate')}, {found.runs} sealed runs")
    _show(f"to push: {found.plates_to_push} plates, {found.runs_to_push} runs; to pull: {found.plates_to_pull} plates, "
          f"{found.runs_to_pull} runs")  # fmt: skip
    for key, record in claims:
        ends = max(0, record.expires_at - time.time())
        state = f"ends in {ends:.0f} s unless renewed" if ends else "ended: it may be taken over"
        _show(f"{key.removeprefix('claims/').removesuffix('.json')}: held by {record.owner}; {state}")


def store_push(store: Address = None) -> None:
    """Write what the store has not: plates, sources, sealed runs, logs. Nothing sealed is ever overwritten.

    An interrupted push goes on where it stopped. Derived facts are replaced by those of this folder.
    """
    from atlas_resources.sharing.transfer import push
    from atlas_resources.tags import log as tags
    from atlas_resources.withdrawals import log as withdrawals

    dataset, opened = open_dataset(), _opened(store)
    with _failing():
        moved = push(dataset, opened, on_plate=_progress("pushed"))
        moved.counts["log entries"] = sum(log.push(dataset, opened) for log in (withdrawals.LOG, tags.LOG))
    _show(f"pushed to {opened.address}: {moved}")


def store_pull(
    *,
    has_sources: Annotated[
        bool, typer.Option("--sources", help="Sources too, which are large; a run fetches those that it measures.")
    ] = False,
    store: Address = None,
) -> None:
    """Fetch what this folder has not: plates, sealed runs, logs, each file compared with its digest."""
    from atlas_resources.sharing.transfer import pull
    from atlas_resources.tags import log as tags
    from atlas_resources.withdrawals import log as withdrawals

    dataset, opened = open_dataset(), _opened(store)
    with _failing():
        moved = pull(dataset, opened, has_sources=has_sources, on_plate=_progress("pulled"))
        for log in (withdrawals.LOG, tags.LOG):
            log.fetch(dataset, opened)
    _show(f"pulled from {opened.address}: {moved}")


def store_verify(
    *,
    is_deep: Annotated[
        bool, typer.Option("--deep", help="Read and hash every file; by default sizes are compared by one list.")
    ] = False,
    store: Address = None,
) -> None:
    """Compare every sealed run and source in the store with its manifest; exit 1 if any is missing or altered."""
    from atlas_resources.sharing.comparison import verify_store

    opened = _opened(store)
    count, problems = 0, 0
    with _failing():
        for problem in verify_store(opened, is_deep=is_deep, on_plate=_progress("verified")):
            if problem is None:
                count += 1
                continue
            problems += 1
            _show(problem, "red")
    _show(f"{opened.address}: {counted(count, 'file')} as stated, {problems} not")
    if problems:
        raise typer.Exit(1)


def store_publish(store: Address = None) -> None:
    """Publish this folder's catalogue: a new object, then a pointer to it, so that readers find the old or the new."""
    from atlas_resources.sharing.publication import NotPublished, publish_catalogue

    dataset, opened = open_dataset(), _opened(store)
    with _failing():
        try:
            key = publish_catalogue(dataset, opened)
        except NotPublished as error:
            raise fail(str(error)) from None
    _show(f"published {opened.address}/{key}")

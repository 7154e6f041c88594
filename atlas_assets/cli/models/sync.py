"""`atlas models sync`: pinned weights from a shared folder or bucket to this machine, verified here."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atlas_assets.cli.models.chosen import SpecsFolder, chosen_specs, registry_in
from atlas_assets.cli.models.hub import size_text, state_line
from atlas_assets.cli.output import console, counted, fail

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from atlas_resources.hub.syncing import Synced
    from atlas_resources.instruments.spec.spec import Spec
    from atlas_resources.store.protocol import Store


def models_sync(
    source: Annotated[
        str | None,
        typer.Argument(metavar="SOURCE", help="A folder, as a hub cache on a shared disk, or s3://bucket/prefix."),
    ] = None,
    names: Annotated[
        list[str] | None, typer.Argument(help="Keys, model ids or aliases; by default the active instruments.")
    ] = None,
    *,
    roster: Annotated[str | None, typer.Option(help="A named set of the roster, such as `minimum`.")] = None,
    is_check: Annotated[
        bool, typer.Option("--check", help="Fetch nothing: say what is missing on this machine, and exit 1 if any is.")
    ] = False,
    is_sending: Annotated[
        bool, typer.Option("--send", help="The other way: write this machine's verified weights into SOURCE.")
    ] = False,
    specs: SpecsFolder = None,
) -> None:
    """Bring pinned weights from SOURCE to this machine's cache and verify each file here; exit 1 if any is missing.

    Call it again at any time: what is there with the pinned digest is kept, what was interrupted is fetched.
    """
    from atlas_resources.hub import syncing
    from atlas_resources.store.protocol import StoreUnreachable

    if source and is_check and not source.startswith("s3://") and not Path(source).expanduser().is_dir():
        source, names = None, [source, *(names or [])]
    if source is None and not is_check:
        raise fail("Give a SOURCE: a folder or s3://bucket/prefix; or --check, which needs none.")
    if is_check and is_sending:
        raise fail("Give --check or --send, not both.")
    chosen = chosen_specs(registry_in(specs), names or [], roster, not names and roster is None)
    store = _opened(source) if source and not is_check else None

    def synced(spec: "Spec") -> "Iterator[Synced]":
        if store is None:
            return syncing.check(spec)
        return syncing.send(spec, store) if is_sending else syncing.sync(spec, store)

    try:
        lacking = _print_synced(file for spec in chosen for file in synced(spec))
    except StoreUnreachable as error:
        raise fail(str(error)) from None
    if lacking:
        _complain(lacking, is_sending)


def _print_synced(files: "Iterable[Synced]") -> "dict[str, list[Synced]]":
    """Prints a line for each file as it is done. Returns those that a run here lacks, by instrument."""
    lacking: dict[str, list[Synced]] = {}
    counts: Counter[str] = Counter()
    for file in files:
        counts[file.state] += 1
        state_line(file.state, f"{size_text(file.size_bytes):>8}", f"{file.key}: {file.name}", file.detail)
        if not file.is_here:
            lacking.setdefault(file.key, []).append(file)
    said = ", ".join(f"{count} {state}" for state, count in counts.items()) or "no file is pinned"
    console.print(f"{counted(counts.total(), 'file')}: {said}.", highlight=False, soft_wrap=True)
    return lacking


def _opened(source: str) -> "Store":
    from atlas_resources.store.address import StoreRefused, open_store

    try:
        return open_store(source if source.startswith("s3://") else str(Path(source).expanduser().absolute()))
    except StoreRefused as error:
        raise fail(str(error)) from None


def _complain(lacking: "dict[str, list[Synced]]", is_sending: bool) -> None:
    """Names this machine, and each instrument that cannot run on it. Raises the exit."""
    import socket

    where = "cannot send" if is_sending else "cannot run"
    for key, files in lacking.items():
        fail(f"{socket.gethostname()} {where} {key}: {counted(len(files), 'file')} missing or wrong")
    raise fail("Fix: `atlas models sync SOURCE`, from a source that has them, or `atlas models pull`")

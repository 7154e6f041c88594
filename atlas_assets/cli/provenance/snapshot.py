"""`atlas snapshot`: named states of the library: create, list, show, compare and verify them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from atlas_assets.cli.output import cell, console, counted, fail, open_dataset
from atlas_assets.cli.provenance.snapshot_lines import difference_lines

if TYPE_CHECKING:
    from atlas_resources.plates.dataset import Dataset

Name = Annotated[str, typer.Argument(help="Name of the snapshot: a-z, 0-9, `.`, `_` and `-`.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
REFRESH = """atlas run 'key:"ledger/*" or key:"catalogue"'"""


def _say(line: str, style: str | None = None) -> None:
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _errors() -> Iterator[None]:
    """Reports what can be wrong with a snapshot, its name or a key as an error of the command."""
    from atlas_resources.plates.json_files import DatasetBroken
    from atlas_resources.snapshots.creating import SnapshotExists
    from atlas_resources.snapshots.files import SnapshotNameRefused, SnapshotUnknown
    from atlas_resources.snapshots.signing import KeyRefused

    try:
        yield
    except (SnapshotUnknown, SnapshotNameRefused, SnapshotExists, KeyRefused, DatasetBroken, OSError) as error:
        raise fail(str(error)) from None


def snapshot_create(
    name: Name,
    note: Annotated[str, typer.Option(help="A remark that is kept in it.")] = "",
    sign: Annotated[
        Path | None, typer.Option(help="Sign it with this private Ed25519 key, a PEM file. No network is used.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Create it although files are missing or altered.")] = False,
) -> None:
    """Freeze which runs are current under a name, with the digest of the library. Nothing is copied.

    Writes `snapshots/NAME.json`, and beside it `NAME.sha256`, which `sha256sum --check` reads in the dataset's root. A
    snapshot is never edited or overwritten. First the dataset is verified as `atlas verify --quick` does; faults are
    listed and no snapshot is created, unless `--force` is given, which keeps their number in it.
    """
    from atlas_resources.instruments.registry import read_registry
    from atlas_resources.plates.records.snapshot import MOST_NOTE_CHARACTERS
    from atlas_resources.snapshots.creating import create_snapshot
    from atlas_resources.snapshots.files import require_name
    from atlas_resources.snapshots.signing import read_private_key
    from atlas_resources.verification.library import verify

    with _errors():
        require_name(name)
        key = read_private_key(sign) if sign else None
        if len(note) > MOST_NOTE_CHARACTERS:
            raise fail(f"--note: expected at most {MOST_NOTE_CHARACTERS} characters, found {len(note)}")
        dataset, registry = open_dataset(), read_registry()
        faults = verify(dataset, registry, "quick").faults
        for fault in faults:
            _say(str(fault), "red")
        if faults and not force:
            raise fail(
                f"{len(faults)} faults: no snapshot was created. Fix them: atlas verify; or keep them: atlas snapshot "
                f"create {name} --force"
            )
        snapshot = create_snapshot(dataset, registry, name, note, key=key, fault_count=len(faults))
    _say(f"snapshot {name}: {counted(len(snapshot.plates), 'plate')}, {snapshot.run_count} current results")
    _say(f"state of the library: {snapshot.root_sha256}")
    _say(f"The catalogue has it after the next refresh: {REFRESH}")


def snapshot_list(as_json: AsJson = False) -> None:
    """List the snapshots, the oldest first."""
    from atlas_resources.snapshots.files import read_snapshots

    with _errors():
        snapshots = read_snapshots(_dataset())
    if as_json:
        rows = [
            {**one.model_dump(mode="json", include={"name", "note", "created_at", "root_sha256", "signed_by"})}
            | {"plate_count": len(one.plates), "run_count": one.run_count, "fault_count": one.fault_count}
            for one in snapshots
        ]
        typer.echo(json.dumps(rows, indent=1))
        return
    if not snapshots:
        _say("no snapshot yet: atlas snapshot create NAME")
        return
    table = Table("name", "created", "plates", "results", "state of the library", "signed", "note")
    for one in snapshots:
        signed = one.signed_by[:12] if one.signed_by else ""
        counts = str(len(one.plates)), str(one.run_count)
        table.add_row(one.name, f"{one.created_at:%Y-%m-%d %H:%M}", *counts, one.root_sha256, signed, cell(one.note))
    console.print(table)


def snapshot_show(name: Name, as_json: AsJson = False) -> None:
    """Show what a paper cites: name, digests, date and counts, a line of text and an entry for BibTeX."""
    from atlas_resources.files.digests import sha256_of
    from atlas_resources.snapshots.citation import bibtex, citation, contents
    from atlas_resources.snapshots.files import read_snapshot, snapshot_path

    dataset = _dataset()
    with _errors():
        snapshot = read_snapshot(dataset, name)
        file_sha256 = sha256_of(snapshot_path(dataset, name))
    facts = {
        "name": name,
        "created": f"{snapshot.created_at:%Y-%m-%d %H:%M:%S} UTC",
        "note": snapshot.note or "none",
        "contents": contents(snapshot),
        "state of the library": snapshot.root_sha256,
        "sha256 of the snapshot": file_sha256,
        "code": f"Atlas {snapshot.code.project}, commit {snapshot.code.git_sha or 'unknown'}"
        + (" with changes" if snapshot.code.is_dirty else ""),
        "signed by": snapshot.signed_by or "nobody",
        "previous snapshot": snapshot.previous.name if snapshot.previous else "none",
        "faults accepted": str(snapshot.fault_count),
    }
    text, entry = citation(snapshot, file_sha256), bibtex(snapshot, file_sha256)
    if as_json:
        typer.echo(json.dumps({**facts, "citation": text, "bibtex": entry}, indent=1))
        return
    for label, value in facts.items():
        _say(f"{label + ':':24}{value}")
    _say(f"\nCite it:\n{text}\n\n{entry}")


def snapshot_diff(
    before: Annotated[str, typer.Argument(help="A snapshot, `now`, or the path of another dataset.")],
    after: Annotated[str, typer.Argument(help="The same.")] = "now",
    as_json: AsJson = False,
) -> None:
    """Compare two states of the library: plates, runs and instruments that were added, removed or changed.

    A state is a snapshot, the library as it is now, or another dataset, such as a copy. Digests of plates are compared
    first, and only plates that differ are looked into. Exit codes: 0 if nothing differs, 1 if something does.
    """
    from atlas_resources.instruments.registry import read_registry
    from atlas_resources.snapshots.differences import compare
    from atlas_resources.snapshots.states import read_state

    dataset, registry = _dataset(), read_registry()
    with _errors():
        found = compare(read_state(dataset, registry, before), read_state(dataset, registry, after))
    if as_json:
        typer.echo(json.dumps(found.as_json(), indent=1))
    else:
        for line in difference_lines(found):
            _say(line)
    if not found.is_empty:
        raise typer.Exit(1)


def snapshot_verify(
    name: Name,
    key: Annotated[
        Path | None, typer.Option(help="The public Ed25519 key that must have signed it, a PEM file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Verify a snapshot: that it was not changed, who signed it, and that every file it names is still the same.

    Files that are gone or changed are listed. Sources and sealed files are hashed too, unless `stat` says that they
    have not changed since `atlas verify` hashed them. Exit codes: 0 if all is as it was, 1 if something is not.
    """
    from atlas_resources.snapshots.files import read_snapshot
    from atlas_resources.snapshots.signing import public_hex, read_public_key
    from atlas_resources.verification.reading import Reader
    from atlas_resources.verification.snapshots import verify_named_files, verify_own_files

    dataset = _dataset()
    with _errors():
        public = public_hex(read_public_key(key)) if key else None
        reader = Reader(dataset, "standard")
        findings = verify_own_files(dataset, name, reader, public)
        if not any(finding.kind in ("altered", "schema", "missing") for finding in findings):
            findings += verify_named_files(dataset, read_snapshot(dataset, name), reader)
        signed_by = None if findings else read_snapshot(dataset, name).signed_by
    if as_json:
        typer.echo(json.dumps({"is_clean": not findings, "findings": [one.as_json() for one in findings]}, indent=1))
    else:
        for finding in findings:
            _say(str(finding), "red")
        by = f"signed by {signed_by}" + ("" if key else " (whose key that is, only --key tells)")
        verdict = f"{len(findings)} files are not as they were" if findings else "as it was"
        signature = "" if findings else f"; {by if signed_by else 'not signed'}"
        _say(f"snapshot {name}: {verdict} ({counted(reader.file_count, 'file')} looked at){signature}")
    if findings:
        raise typer.Exit(1)


def _dataset() -> "Dataset":
    """The dataset of ATLAS_HOME, without making anything in it."""
    from atlas_resources.plates.dataset import Dataset, dataset_root

    return Dataset(dataset_root())

"""`atlas withdraw`, `atlas restore` and `atlas withdrawals`: an append-only log of what may no longer be used."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from atlas_assets.cli.output import console, counted, fail, open_dataset

if TYPE_CHECKING:
    from atlas_resources.ledgers.withdrawals.touched import Touched
    from atlas_resources.plates.records.withdrawal import Withdrawal

REFRESH = "ledgers, catalogue and exports follow with the next refresh: atlas run @ledgers"
SHOWN = 8

Reason = Annotated[str, typer.Option(help="Why, in words. It is kept, and shown wherever the target is asked for.")]
By = Annotated[
    str | None, typer.Option(help="Who decides it. Default: git's user.name, else the user of this machine.")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask. For scripts.")]


def _show(line: str, style: str | None = None) -> None:
    console.print(line, style=style, markup=False, highlight=False, soft_wrap=True)


def _some(names: Iterable[str]) -> str:
    """The first names, and how many more there are."""
    ordered = sorted(names)
    more = f" and {len(ordered) - SHOWN} more" if len(ordered) > SHOWN else ""
    return ", ".join(ordered[:SHOWN]) + more


def _show_touched(touched: "Touched") -> None:
    """What an entry touches, a line for each kind."""
    if touched.plates:
        _show(f"  plates: {_some(touched.plates)}")
    for name, runs in (("sealed results", touched.direct), ("made from them", touched.dependents)):
        if runs:
            by_instrument = ", ".join(f"{count} of {key}" for key, count in sorted(Counter(runs.values()).items()))
            _show(f"  {name}: {by_instrument}, on {counted(len({plate_id for _, plate_id in runs}), 'plate')}")
    rows = ", ".join(f"{count} of {table}" for table, count in touched.rows.items())
    _show(f"  rows in the ledgers: {rows or 'none'}")


def _confirm(question: str, *, yes: bool) -> None:
    if not yes and not typer.confirm(question):
        raise fail("nothing was entered")


def withdraw(
    target: Annotated[
        str,
        typer.Argument(
            help="A plate, an instrument's key, a run id, or the sha256 of weights or a source; or KIND:NAME with "
            "model, weights, run, plate or source."
        ),
    ],
    reason: Reason,
    category: Annotated[
        Literal["rights", "error", "other"], typer.Option("--category", help="What kind of reason it is.")
    ],
    by: By = None,
    yes: Yes = False,
) -> None:
    """Withdraw a plate, an instrument, weights, a run or a source: its results no longer count, and stay as evidence.

    Shows what it touches, then asks. An entry is appended to `withdrawals/`: reason, person and date; nothing is
    edited or deleted. After the next refresh, the results and all that was made from them are in no current view, macro
    or export, and what is withdrawn is not measured. After a run was withdrawn, its plates are measured again.
    `atlas restore` ends a withdrawal by another entry.

    Examples: `atlas withdraw plate-007 --category rights --reason "taken down by the owner"`,
    `atlas withdraw model:sam_vit_b --category error --reason "wrong weights" --yes`.
    """
    from dataclasses import replace

    from atlas_resources.chains.person import FROM, this_person
    from atlas_resources.instruments.registry import read_registry
    from atlas_resources.ledgers.withdrawals.touched import find_touched, sealed_names
    from atlas_resources.plates.json_files import DatasetBroken
    from atlas_resources.withdrawals import entering
    from atlas_resources.withdrawals.in_force import read_withdrawn

    dataset = open_dataset()
    try:
        sealed = sealed_names(dataset)
        wanted, person = entering.find_target(dataset, read_registry(), target, sealed), this_person(by)
        before = read_withdrawn(dataset.root)
        planned = entering.planned(wanted, category, reason, person)
        touched = find_touched(dataset, before, replace(before, entries=(*before.entries, planned)))
        _show(f"withdraws {wanted.kind} {wanted.name}, by {person.name} ({FROM[person.source]}):")
        _show_touched(touched)
        _confirm("Withdraw it?", yes=yes)
        entry = entering.withdraw(dataset, wanted, category, reason, person)
    except (entering.WithdrawalRefused, DatasetBroken) as error:
        raise fail(str(error)) from None
    _show(f"entry {entry.content.number}: {entry.path}", "green")
    _show(REFRESH)


def restore(
    number: Annotated[
        int, typer.Argument(help="Number of the withdrawal that no longer holds, by `atlas withdrawals`.")
    ],
    reason: Reason,
    by: By = None,
    yes: Yes = False,
) -> None:
    """End a withdrawal by another entry: its results count again, unless another withdrawal holds them back.

    Shows what it touches, then asks. The withdrawal and its reason stay in the log.
    """
    from dataclasses import replace

    from atlas_resources.chains.person import FROM, this_person
    from atlas_resources.ledgers.withdrawals.touched import find_touched
    from atlas_resources.plates.json_files import DatasetBroken
    from atlas_resources.withdrawals import entering
    from atlas_resources.withdrawals.in_force import in_force

    dataset = open_dataset()
    try:
        entries, person = entering.read_entries(dataset), this_person(by)
        ended, before = entering.withdrawal_in_force(entries, number), in_force(entries)
        after = replace(before, entries=tuple(one for one in before.entries if one.number != number))
        _show(f"restores {ended.target_kind} {ended.target}, by {person.name} ({FROM[person.source]}):")
        _show_touched(find_touched(dataset, before, after))
        _confirm("Restore it?", yes=yes)
        entry = entering.restore(dataset, number, reason, person)
    except (entering.WithdrawalRefused, DatasetBroken) as error:
        raise fail(str(error)) from None
    _show(f"entry {entry.content.number}: {entry.path}", "green")
    _show(REFRESH)


def withdrawals(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array instead of lines.")] = False,
) -> None:
    """List every withdrawal and restoration, the oldest first: what, why, by whom and when."""
    from atlas_resources.plates.json_files import DatasetBroken
    from atlas_resources.withdrawals.entering import read_entries
    from atlas_resources.withdrawals.in_force import in_force

    try:
        entries = read_entries(open_dataset())
    except DatasetBroken as error:
        raise fail(str(error)) from None
    if as_json:
        typer.echo(json.dumps([entry.content.model_dump(mode="json") for entry in entries], indent=1))
        return
    holding = {one.number for one in in_force(entries).entries}
    for entry in entries:
        _show(_line(entry.content), "yellow" if entry.content.number in holding else None)
    if not entries:
        _show("nothing was withdrawn")


def _line(entry: "Withdrawal") -> str:
    what = f"restores entry {entry.restores}," if entry.kind == "restore" else "withdraws"
    reason = " ".join(entry.reason.split())
    when = f"{entry.entered_at:%Y-%m-%d %H:%M} UTC"
    target = f"{entry.target_kind} {entry.target}"
    return f"{entry.number}  {when}  {what} {target} ({entry.category}): {reason} - {entry.person}"

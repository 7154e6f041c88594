"""`atlas tags add`, `import` and `list`: what people judge of plates and of rows that machines made."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from atlas_assets.cli.output import console, counted, fail, open_dataset

if TYPE_CHECKING:
    from atlas_resources.plates.dataset import Dataset
    from atlas_resources.plates.records.tag import Judgement, TagEntry
    from atlas_resources.tags.selection import Wanted

REFRESH = "the ledger, views and exports follow with the next refresh: atlas run @ledgers"

By = Annotated[str | None, typer.Option(help="Who judges. Default: git's user.name, else the user of this machine.")]
RunId = Annotated[
    str | None, typer.Option("--run", help="Sealed run of the row. Default: the current one that has it.")
]


def _show(line: str, style: str | None = None) -> None:
    """Prints a line of people's words as they are, without what a terminal would obey."""
    printable = "".join(letter if letter.isprintable() else " " for letter in line)
    console.print(printable, style=style, markup=False, highlight=False, soft_wrap=True)


def tags_add(
    plate_id: Annotated[str, typer.Argument(metavar="PLATE", help="The plate.")],
    *,
    tag: Annotated[str | None, typer.Option(help="A tag of the plate, or of the row that is named.")] = None,
    segment: Annotated[str | None, typer.Option(help="A row of segments, by its segment_id.")] = None,
    text: Annotated[str | None, typer.Option(help="A row of texts, by its text_id.")] = None,
    detection: Annotated[str | None, typer.Option(help="A row of detections, by its detection_id.")] = None,
    space: Annotated[str | None, typer.Option(help="The plate's cluster in a space, as in plate_spaces.")] = None,
    run: RunId = None,
    accept: Annotated[bool, typer.Option("--accept", help="The machine's row is right.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="The machine's row is wrong.")] = False,
    correct: Annotated[
        str | None, typer.Option(help="What is right: text, class, label, or cluster or `none`.")
    ] = None,
    retract: Annotated[bool, typer.Option("--retract", help="Take back what you said of it.")] = False,
    note: Annotated[str | None, typer.Option(help="More, in words.")] = None,
    by: By = None,
) -> None:
    """Tag a plate, or accept, reject or correct a row that a machine made.

    Appends an entry to `tags/`, with person and date. The machine's row is never changed: views such as `tagged_texts`
    show both. Your newest word on something counts; those of others stand beside it.

    Examples: `atlas tags add plate-001 --tag hand-coloured`,
    `atlas tags add plate-001 --text line-0003 --correct "Snow Bunting"`,
    `atlas tags add plate-001 --segment mask-0002 --run RUN --reject --note "a stain"`.
    """
    from atlas_resources.tags.log import TagRefused
    from atlas_resources.tags.selection import wanted_of

    verdicts = {"accepted": accept, "rejected": reject, "corrected": correct is not None, "retracted": retract}
    stated = [name for name, is_stated in verdicts.items() if is_stated]
    if len(stated) > 1:
        raise fail(f"expected one of --accept, --reject, --correct and --retract, found {len(stated)}")
    if not stated and tag is None:
        raise fail(
            "expected what you judge, found nothing. Fix: --tag WORD; or a row with --accept or another of these"
        )
    cells = {
        "plate_id": plate_id, "tag": tag, "segment_id": segment, "text_id": text, "detection_id": detection,
        "space": space, "run_id": run, "judgement": stated[0] if stated else "tag", "corrected": correct, "note": note,
    }  # fmt: skip
    try:
        wanted = wanted_of({name: value for name, value in cells.items() if value is not None})
    except TagRefused as error:
        raise fail(str(error)) from None
    _enter(open_dataset(), [wanted], by)


def tags_import(
    file: Annotated[Path, typer.Argument(help="CSV or JSON with a judgement in each row.")], by: By = None
) -> None:
    """Enter a selection: every row of a CSV or JSON file, or none if one is wrong.

    Columns: `plate_id`; `tag`; or the row by `segment_id`, `text_id` or `detection_id` (or `table` and `row_id`), or
    the cluster by `space`, with `run_id` where several runs have the row; `judgement` (tag, accepted, rejected,
    corrected or retracted; a tag by default), `corrected`, `note`. JSON is a list of such objects. What you judged so
    before is not entered again.
    """
    from atlas_resources.tags.log import TagRefused
    from atlas_resources.tags.selection import read_selection

    try:
        wanted = read_selection(file)
    except TagRefused as error:
        raise fail(str(error)) from None
    _enter(open_dataset(), wanted, by)


def _enter(dataset: "Dataset", wanted: "Sequence[Wanted]", by: str | None) -> None:
    from pydantic import ValidationError

    from atlas_resources.chains.person import this_person
    from atlas_resources.ledgers.tags.targets import Targets
    from atlas_resources.plates.json_files import DatasetBroken
    from atlas_resources.tags.log import TagRefused, enter

    try:
        judgements = Targets(dataset).resolve_all(wanted)
        entry = enter(dataset, judgements, this_person(by))
    except ValidationError as error:  # a name of more than 200 characters
        raise fail("; ".join(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())) from None
    except (TagRefused, DatasetBroken) as error:
        raise fail(str(error)) from None
    count = len(entry.content.judgements)
    again = f", {len(judgements) - count} stood already" if count < len(judgements) else ""
    _show(f"entry {entry.content.number}: {counted(count, 'judgement')} by {entry.content.person}{again}", "green")
    _show(REFRESH)


def tags_list(
    plate_id: Annotated[str | None, typer.Argument(metavar="[PLATE]", help="Only what is said of this plate.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what was said before, or taken back.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array instead of lines.")] = False,
) -> None:
    """List what people say of plates and rows at present, the oldest first: what, by whom and when."""
    from atlas_resources.plates.json_files import DatasetBroken
    from atlas_resources.tags.log import LOG, standing

    try:
        entries = LOG.read(open_dataset().root)
    except DatasetBroken as error:
        raise fail(str(error)) from None
    present = {person: standing(entries, person) for person in {entry.content.person for entry in entries}}
    newest = {
        (entry.content.person, one.key): entry.content.number for entry in entries for one in entry.content.judgements
    }
    shown = [
        (entry.content, one)
        for entry in entries
        for one in entry.content.judgements
        if (plate_id is None or one.plate_id == plate_id) and (everything or (
            one.key in present[entry.content.person]
            and newest[entry.content.person, one.key] == entry.content.number
        ))
    ]  # fmt: skip
    if as_json:
        said = [
            {
                **content.model_dump(mode="json", include={"number", "person", "entered_at"}),
                **one.model_dump(mode="json"),
            }
            for content, one in shown
        ]
        typer.echo(json.dumps(said, indent=1))
        return
    for content, one in shown:
        _show(_line(content, one))
    if not shown:
        _show("nobody judged anything")


def _line(content: "TagEntry", one: "Judgement") -> str:
    from atlas_resources.tags.log import named

    words = [one.judgement, one.tag, one.corrected and f"to {one.corrected}", one.note and f"({one.note})"]
    said = " ".join(word for word in words if word)
    return f"{content.number}  {content.entered_at:%Y-%m-%d %H:%M} UTC  {named(one)}: {said} - {content.person}"

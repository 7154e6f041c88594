"""`atlas search`: plates by words, by a picture, or by both."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from atlas_assets.cli.output import cell, console, fail, open_dataset, warn

if TYPE_CHECKING:
    from atlas_assets.search.question import Answer, Question
    from atlas_assets.search.ranking import Titles


def search(
    words: Annotated[str | None, typer.Argument(help="What to look for, in a few words.")] = None,
    *,
    picture: Annotated[
        Path | None, typer.Option(help="A picture to look for, with the words or alone: JPEG, PNG, TIFF or WebP.")
    ] = None,
    weight: Annotated[
        float | None,
        typer.Option(
            help="Of the picture beside words, 0 to 1; 0.5 if unset. 0 is the words alone, 1 the picture alone."
        ),
    ] = None,
    by: Annotated[str | None, typer.Option("--by", "--instrument", help="Ask this image-text instrument.")] = None,
    k: Annotated[int, typer.Option("-k", "--k", min=1, help="Plates to show, of each part.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")] = False,
) -> None:
    """Find plates by words, by a picture, or by both together.

    An image-text instrument, such as CLIP or SigLIP, compares what is asked with each plate's current vector: a weak
    signal, which no plate has to carry. Both parts are mixed as the weighted sum of their cosines, each standardised
    over the library.

    Words alone are also looked for in titles, and in what instruments read or wrote on plates. That needs no model:
    without one whose weights are here, these parts answer, and the command that fetches one is shown.

    - `atlas search "a heron by the water"`
    - `atlas search "a heron" --picture heron.jpg --weight 0.3`
    """
    from atlas_assets.search.question import Question, ask
    from atlas_assets.search.ranking import read_titles
    from atlas_resources.instruments.registry import read_registry

    dataset, question = open_dataset(), Question(words, picture, weight)
    try:
        found = ask(dataset, read_registry(), question, by, k)
        titles = read_titles(dataset)
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    except (ValueError, OSError, RuntimeError, LookupError) as error:
        raise fail(str(error)) from None
    if as_json:
        typer.echo(json.dumps(_as_json(question, found, titles), indent=2, ensure_ascii=False))
    else:
        _print(question, found, titles)


def _print(question: "Question", found: "Answer", titles: "Titles") -> None:
    if found.instrument is None:
        warn(f"What plates show is not searched, since no image-text instrument can be asked here. {_whys(found)}")
    else:
        _print_seen(question, found, titles)
    if question.picture is not None:
        return
    if found.without_words:
        warn(f"titles and texts are not searched: {found.without_words}")
        return
    columns = ("plate_id", "title", "similarity")
    rows = [(one.plate_id, one.title, f"{one.similarity:.2f}") for one in found.titles]
    _print_table("Titles with the words", columns, rows)
    texts = [(one.plate_id, one.title or "", one.text, one.instrument, f"{one.similarity:.2f}") for one in found.texts]
    header = ("plate_id", "title", "text", "read or written by", "similarity")
    _print_table("Texts on plates with the words, as machines read or wrote them", header, texts)


def _whys(found: "Answer") -> str:
    """Why the first instrument cannot be asked, with the command, and the names of the others."""
    (key, reason), *others = found.left_out.items() or {"": "no admitted instrument has a text tower"}.items()
    named = f"; others: {', '.join(name for name, _ in others)} (--by KEY)" if others else ""
    return f"{key}: {reason}{named}" if key else reason


def _print_seen(question: "Question", found: "Answer", titles: "Titles") -> None:
    """The plates by the image-text instrument, with the cosine of each part that was asked."""
    parts = {"words": question.words, "picture": question.picture}
    asked = [name for name, part in parts.items() if part]
    header = [
        "plate_id",
        "title",
        *(["score"] if question.is_mixed else []),
        *(f"cosine to the {name}" for name in asked),
    ]
    rows = []
    for one in found.seen:
        cosines = [value for value in (one.words_cosine, one.picture_cosine) if value is not None]
        figures = [*([f"{one.score:+.2f}"] if question.is_mixed else []), *(f"{value:.4f}" for value in cosines)]
        rows.append((one.plate_id, titles.get(one.plate_id) or "", *figures))
    _print_table(f"What plates show, by {found.instrument}", header, rows)
    if question.is_mixed:
        share = f"{1 - question.picture_weight:g} of the words and {question.picture_weight:g} of the picture"
        note = f"score: {share}, in standard deviations over the library"
        console.print(note, markup=False, highlight=False, soft_wrap=True)


def _print_table(title: str, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table under its title, or that there is nothing."""
    console.print(title, style="bold", markup=False, soft_wrap=True)
    shown = [[cell(text) for text in row] for row in rows]
    if not shown:
        console.print("none", markup=False)
    else:
        table = Table(*header)
        for row in shown:
            table.add_row(*row)
        console.print(table)
    console.print()


def _as_json(question: "Question", found: "Answer", titles: "Titles") -> dict[str, object]:
    return {
        "words": question.words,
        "picture": None if question.picture is None else str(question.picture),
        "weight": question.picture_weight if question.is_mixed else None,
        "instrument": found.instrument,
        "seen": [{**asdict(one), "title": titles.get(one.plate_id)} for one in found.seen],
        "titles": [asdict(one) for one in found.titles],
        "texts": [asdict(one) for one in found.texts],
        "left_out": dict(found.left_out),
        "without_words": found.without_words or None,
    }

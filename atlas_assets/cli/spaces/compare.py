"""`atlas compare`: whether another encoder is worth it, from the vectors of both."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from atlas_assets.cli.output import cell, console, counted, fail, open_dataset

if TYPE_CHECKING:
    from atlas_assets.comparison.sections import Section
    from atlas_resources.plates.dataset import Dataset

HTML_NAMES = (".html", ".htm")


def compare(
    first: Annotated[str, typer.Argument(help="Key, model id or alias of the present embedding instrument.")],
    second: Annotated[str, typer.Argument(help="The one that may take its place.")],
    *,
    labels: Annotated[
        Path | None, typer.Option(help="CSV with the columns plate_id and label: measure retrieval on these plates.")
    ] = None,
    label_free: Annotated[
        int, typer.Option(min=0, help="Alter so many plates in memory, and see whether each finds its original.")
    ] = 0,
    moved: Annotated[int, typer.Option(min=0, help="Plates that moved most to name.")] = 10,
    html: Annotated[
        Path | None, typer.Option(help="Write one HTML file with pictures of the plates that moved.")
    ] = None,
) -> None:
    """Compare two embedding instruments over the plates that both have measured.

    Says how far they agree beside what chance gives, which plates moved most, what each finds of a labelled set, and
    what each costs. Needs current vectors of both, and nothing else but for `--label-free`, which loads both models.
    The dataset does not change.
    """
    from atlas_assets.comparison.label_free import recover_originals
    from atlas_assets.comparison.labels import read_labels
    from atlas_assets.comparison.page import page_of
    from atlas_assets.comparison.pairs import read_pair
    from atlas_assets.comparison.report import compare_encoders
    from atlas_assets.comparison.sections import sections_of
    from atlas_resources.files.durable import write_bytes_atomically
    from atlas_resources.instruments.registry import read_registry

    dataset, registry = open_dataset(), read_registry()
    if html is not None:
        _require_outside(dataset, html)
    try:
        pair = read_pair(dataset, registry, (first, second))
        known = None if labels is None else read_labels(labels, dataset)
        found = compare_encoders(dataset, registry, pair, known, moved)
        recovered = recover_originals(dataset, registry, pair, label_free) if label_free else []
        sections = sections_of(found, recovered)
        if html is not None:
            write_bytes_atomically(html, page_of(dataset, found, sections).encode())
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    except (ValueError, OSError, RuntimeError, LookupError) as error:
        raise fail(str(error)) from None
    _print(sections)
    if html is not None:
        console.print(f"written: {html}, with {counted(len(found.moved), 'plate')}", markup=False, soft_wrap=True)


def _require_outside(dataset: "Dataset", path: Path) -> None:
    """Exits with an error unless the path is of an HTML file outside the dataset."""
    if path.suffix.lower() not in HTML_NAMES:
        raise fail(f"--html: expected a file name that ends in {' or '.join(HTML_NAMES)}, found {str(path)!r}")
    if path.resolve().is_relative_to(dataset.root.resolve()):
        raise fail(f"--html: expected a file outside the dataset {dataset.root}, found {str(path)!r}")


def _print(sections: "Sequence[Section]") -> None:
    for section in sections:
        console.print(section.title, style="bold", markup=False, soft_wrap=True)
        if section.rows:
            table = Table(*(cell(name) for name in section.header))
            for row in section.rows:
                table.add_row(*(cell(text, 200) for text in row))
            console.print(table)
        for note in section.notes:
            console.print(note, markup=False, highlight=False)
        console.print()

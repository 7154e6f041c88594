"""What the UI shows of a comparison: its tables as Markdown, pictures of what moved, and numbers that it plots."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from atlas_assets.ui.metadata import escaped, markdown_table
from atlas_assets.ui.plots import data_uri_markdown, neighbours_strip, stacked
from atlas_resources.plates.dataset import Dataset

if TYPE_CHECKING:  # SciPy, which the definitions are loaded without
    from atlas_assets.comparison.kept import Kept
    from atlas_assets.comparison.report import Comparison, Moved
    from atlas_assets.comparison.sections import Section

PICTURES = 3
"""Plates that moved with a picture each; the page has all."""
NEIGHBOURS = 4
"""Shown in a picture, of each encoder."""


def comparison_metadata(
    dataset: Dataset, found: "Comparison", sections: "Sequence[Section]", kept: "Kept"
) -> dict[str, Any]:
    """The metadata of a comparison's asset.

    Args:
        dataset: the library, for thumbnails.
        found: the comparison.
        sections: its tables.
        kept: the page on disk.
    """
    return {
        "page": dg.MetadataValue.path(kept.path),
        "page_sha256": kept.sha256,
        **{section.name: dg.MetadataValue.md(section_markdown(section)) for section in sections},
        **{
            f"moved: {one.plate_id}": dg.MetadataValue.md(data_uri_markdown(picture, one.plate_id))
            for one, picture in _pictures(dataset, found)
        },
        **_numbers(found),
    }


def section_markdown(section: "Section") -> str:
    """A section as Markdown that shows every text as it is."""
    parts = [f"**{escaped(section.title)}**"]
    if section.rows:
        parts.append(markdown_table(section.header, section.rows))
    return "\n\n".join([*parts, *(escaped(note) for note in section.notes)])


def _numbers(found: "Comparison") -> dict[str, Any]:
    numbers: dict[str, Any] = {"plate_count": found.plate_count}
    for row in found.agreement:
        numbers[f"{row['measure']}_calibrated"] = row["calibrated"]
    if found.retrieval is not None:
        numbers["recall_at_1_first"] = found.retrieval.recalls[0].first.value
        numbers["recall_at_1_second"] = found.retrieval.recalls[0].second.value
    return {name: number for name, number in numbers.items() if number is not None}


def _pictures(dataset: Dataset, found: "Comparison") -> Iterator[tuple["Moved", bytes]]:
    """The plates that moved most, with their nearest plates by each encoder, a row for each."""
    for one in found.moved[:PICTURES]:
        strips = [
            (f"nearest by {key}", strip)
            for key, near in ((found.first.key, one.first), (found.second.key, one.second))
            if (strip := _strip(dataset, one.plate_id, near)) is not None
        ]
        if strips:
            yield one, stacked(strips)


def _strip(dataset: Dataset, plate_id: str, near: Sequence[str]) -> bytes | None:
    """The plate and its neighbours; None if it, or each of them, has no thumbnail."""
    own = dataset.plate(plate_id).thumbnail()
    shown = [(picture, name) for name in near if (picture := dataset.plate(name).thumbnail()) is not None]
    return neighbours_strip([(own, plate_id), *shown[:NEIGHBOURS]]) if own is not None and shown else None

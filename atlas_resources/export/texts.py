"""Lines that were read on a plate as Web Annotations on its IIIF canvas. Nothing is written here.

Each says that a machine made it, which model at which revision, and under which licence. No line is the plate's title.
"""

from typing import Any

import polars as pl

from atlas_resources.export.annotations import IIIF_CONTEXT, MEDIA_FRAGMENTS, PlatePage
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.ledgers.terms import allowed_rows
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import MODELS, PLATES
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import IS_CURRENT

LINES_NAME = "lines.json"
FACTS = (
    "machine_made", "instrument", "model_id", "model_sha", "weights_sha256", "score", "script", "licence",
    "commercial_use", "run_id",
)  # fmt: skip


def current_lines(dataset: Dataset, commercial: bool) -> pl.DataFrame:
    """Current lines with a place that are not below their instrument's threshold, by plate, instrument and order.

    Args:
        dataset: the dataset.
        commercial: leave out lines that are not known to allow commercial use.
    """
    rows = read_ledger(dataset, INSTRUMENT_TABLES["text"]).filter(
        pl.col(IS_CURRENT.name)
        & (pl.col("form") == "transcription")
        & pl.col("quadrilateral").is_not_null()
        & pl.col("is_above_threshold").fill_null(True)
    )
    if commercial:
        rows = allowed_rows(rows, read_ledger(dataset, MODELS), read_ledger(dataset, PLATES))
    return rows.sort("plate_id", "instrument", "text_id")


def text_page(page: PlatePage, lines: pl.DataFrame) -> dict[str, Any]:
    """A IIIF annotation page: an annotation per line, with outline and box as target, text and facts as bodies.

    Args:
        page: the plate.
        lines: its rows of `texts`.
    """
    return {
        "@context": IIIF_CONTEXT,
        "id": f"{page.url}/{LINES_NAME}",
        "type": "AnnotationPage",
        "label": {"en": ["Text, read by a machine"]},
        "items": [_annotation(page, line) for line in lines.iter_rows(named=True)],
    }


def _annotation(page: PlatePage, line: dict[str, Any]) -> dict[str, Any]:
    facts = "\n".join(f"{name}: {line[name]}" for name in FACTS if line[name] is not None)
    text = {"type": "TextualBody", "purpose": "supplementing", "format": "text/plain", "value": line["text"]}
    return {
        "id": f"{page.url}/{LINES_NAME}#{line['instrument']}-{line['text_id']}",
        "type": "Annotation",
        "motivation": "supplementing",
        "generator": {"type": "Software", "name": f"{line['model_id']} at {line['model_sha']} ({line['instrument']})"},
        "body": [
            text | ({"language": line["language"]} if line["language"] else {}),
            {"type": "TextualBody", "purpose": "describing", "format": "text/plain", "value": facts},
        ],
        "target": {"type": "SpecificResource", "source": page.canvas, "selector": _selectors(page, line)},
    }


def _selectors(page: PlatePage, line: dict[str, Any]) -> list[dict[str, str]]:
    numbers = line["quadrilateral"]
    corners = " ".join(f"{x:g},{y:g}" for x, y in zip(numbers[::2], numbers[1::2], strict=True))
    sides = line["x_min"], line["y_min"], line["x_max"] - line["x_min"], line["y_max"] - line["y_min"]
    view = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {page.width_px} {page.height_px}">'
    return [
        {"type": "SvgSelector", "value": f'{view}<polygon points="{corners}"/></svg>'},
        {
            "type": "FragmentSelector",
            "conformsTo": MEDIA_FRAGMENTS,
            "value": f"xywh={','.join(f'{side:g}' for side in sides)}",
        },
    ]

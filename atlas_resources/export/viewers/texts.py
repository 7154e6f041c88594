"""What models read or wrote about a plate as Web Annotations on its IIIF canvas. Nothing is written here.

Each annotation says that a machine made it, and its generator names model, revision, prompts, run and licence. Only
usable texts are published: no answer that was cut off, is empty or breaks its schema, no line below its instrument's
threshold. Texts are data: bodies are `text/plain`, which viewers must not take for markup, and hold the text as it is.
"""

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

import polars as pl

from atlas_resources.export.viewers.annotations import IIIF_CONTEXT, PlatePage, box_selector, outline, svg_selector
from atlas_resources.export.viewers.people import PART
from atlas_resources.instruments.texts.keywords import keywords_of

MOTIVATIONS: Mapping[str, str] = MappingProxyType(
    {
        "transcription": "supplementing",
        "caption": "describing",
        "keywords": "tagging",
        "description": "describing",
        "regions": "describing",
        "caption_and_regions": "describing",
        "answer": "commenting",
    }
)
"""Why there is an annotation, by the form of its text.

`supplementing` is IIIF's own, for content that is taken from the canvas itself, such as the text on a page
(https://iiif.io/api/presentation/3.0/#values-for-motivation). What a model says about the canvas is not in it, so that
it has one of the motivations of https://www.w3.org/TR/annotation-vocab/#named-motivations: `describing` describes the
target, `tagging` associates a tag with it, and `commenting` comments about it, as an answer to a question does. The
texts of `regions` are captions of parts of the plate.
"""
LINES_NAME, ANSWERS_NAME = "lines.json", "answers.json"
LABELS: Mapping[str, str] = MappingProxyType(
    {LINES_NAME: "Text, read by a machine", ANSWERS_NAME: "Captions, keywords and descriptions, written by a machine"}
)
"""The pages of texts, by the name of their file."""
FACTS = (
    "machine_made", "instrument", "model_id", "model_sha", "weights_sha256", "prompt_set", "prompt_version",
    "prompt_id", "prompt_sha256", "score", "script", "attempt", "server_sha256", "attested_by", "licence",
    "commercial_use", "run_id",
)  # fmt: skip
OUTLINE = "outline"
"""Column with the polygons of the segment that was shown, GeoJSON; null if there are none."""


def is_published() -> pl.Expr:
    """True of a row of `texts` that is usable and has words. An answer whose words have places is read at these."""
    part_of = pl.col("text_id").str.replace(PART, "")
    has_parts = (pl.col("text_id") != part_of).any().over("instrument", "plate_id", "run_id", part_of)
    is_whole = pl.col("text_id") == part_of
    return (
        (pl.col("status").fill_null("done") == "done")
        & pl.col("is_above_threshold").fill_null(True)
        & (pl.col("text").str.strip_chars() != "")
        & pl.col("form").is_in(list(MOTIVATIONS))  # a ranking orders keywords that are tags already
        & ~(is_whole & has_parts)
    )


def with_outlines(texts: pl.DataFrame, outlines: pl.DataFrame, models: pl.DataFrame) -> pl.DataFrame:
    """The texts with the polygons of the segments that were shown: of the same kept segments, by their instrument.

    Args:
        texts: current rows of `texts`.
        outlines: current rows of `region_outlines`.
        models: the ledger, which says what each instrument reads.
    """
    reads = models.select("instrument", pl.col("upstream").alias("kept"))
    keys = ["kept", "plate_id", "segment_id"]
    shapes = outlines.join(reads, on="instrument").select(*keys, pl.col("multipolygon").alias(OUTLINE))
    return texts.join(reads, on="instrument", how="left").join(shapes.unique(keys), on=keys, how="left")


def text_pages(page: PlatePage, texts: pl.DataFrame) -> dict[str, dict[str, Any]]:
    """IIIF annotation pages by the name of their file: of what was read and of what was written, if there is any.

    Args:
        page: the plate.
        texts: its rows that are published, of `with_outlines`.
    """
    is_read = pl.col("form") == "transcription"
    pages = {LINES_NAME: texts.filter(is_read), ANSWERS_NAME: texts.filter(~is_read)}
    return {name: _page(page, name, rows) for name, rows in pages.items() if rows.height}


def _page(page: PlatePage, name: str, rows: pl.DataFrame) -> dict[str, Any]:
    return {
        "@context": IIIF_CONTEXT,
        "id": f"{page.url}/{name}",
        "type": "AnnotationPage",
        "label": {"en": [LABELS[name]]},
        "items": [found for row in rows.iter_rows(named=True) for found in _annotations(page, name, row)],
    }


def _annotations(page: PlatePage, name: str, row: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """An annotation for the text, or for each keyword: the text, the facts about it, and what a person corrected."""
    motivation, own = MOTIVATIONS[row["form"]], f"{page.url}/{name}#{row['instrument']}-{row['text_id']}"
    language = {"language": row["language"]} if row["language"] else {}
    facts = "\n".join(f"{fact}: {row[fact]}" for fact in FACTS if row[fact] is not None)
    bodies = [{"type": "TextualBody", "purpose": "describing", "format": "text/plain", "value": facts}]
    bodies += _corrections(row, motivation)
    for part, text in _texts(row):
        body = {"type": "TextualBody", "purpose": motivation, "format": "text/plain", "value": text, **language}
        yield {
            "id": f"{own}{part}",
            "type": "Annotation",
            "motivation": motivation,
            "generator": {"type": "Software", "name": _generator(row)},
            "body": [body, *bodies],
            "target": _target(page, row),
        }


def _corrections(row: dict[str, Any], motivation: str) -> list[dict[str, Any]]:
    """What a person says the text is, beside the machine's, with the person as its creator."""
    if row.get("corrected") is None:
        return []
    creator = {"type": "Person", "name": row["judged_by"]}
    body = {"type": "TextualBody", "purpose": motivation, "format": "text/plain", "value": row["corrected"]}
    return [{**body, "creator": creator}]


def _texts(row: dict[str, Any]) -> list[tuple[str, str]]:
    """The texts of an answer, each with the end of its id: its keywords, or the fields of its object line by line."""
    if row["form"] == "keywords":
        keywords = keywords_of(row["text"], row["parsed_json"])
        return [(f"-keyword-{number:02d}", keyword) for number, keyword in enumerate(keywords, start=1)]
    if row["parsed_json"] is None:
        return [("", row["text"])]
    fields = json.loads(row["parsed_json"]).items()
    return [("", "\n".join(f"{name}: {_words(value)}" for name, value in fields))]


def _words(value: object) -> str:
    if isinstance(value, list):
        return "; ".join(_words(one) for one in value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _generator(row: dict[str, Any]) -> str:
    prompts = f"; prompts {row['prompt_set']} v{row['prompt_version']}" if row["prompt_set"] else ""
    return (
        f"{row['model_id']} at {row['model_sha']} ({row['instrument']}){prompts}; run {row['run_id']}; "
        f"licence {row['licence']}; machine-made"
    )


def _target(page: PlatePage, row: dict[str, Any]) -> str | dict[str, Any]:
    """The canvas, or a part of it: the segment's polygons or the text's quadrilateral, and the box around it."""
    numbers = row["quadrilateral"]
    if numbers is None:
        return page.canvas
    if row[OUTLINE] is not None:
        shape = outline(json.loads(row[OUTLINE])["coordinates"])
    else:
        corners = list(zip(numbers[::2], numbers[1::2], strict=True))
        shape = outline([[[*corners, corners[0]]]])  # a path, since Mirador draws no other element
    box = box_selector(row["x_min"], row["y_min"], row["x_max"], row["y_max"])
    return {"type": "SpecificResource", "source": page.canvas, "selector": [svg_selector(page, shape), box]}

"""The keywords in what a model wrote: the field of a structured answer, or a list in a text."""

import json
import re
from dataclasses import dataclass

import polars as pl

MOST_KEYWORDS = 64
"""Keywords of a plate that are ranked at most; those that follow are counted as left out."""
FIELD = "keywords"
BETWEEN = re.compile(r"[,;\n\r，；、]+")
MARK = re.compile(r"^(?:[-*•·]|\d{1,3}[.)])\s+")


@dataclass(frozen=True)
class Keyword:
    """A keyword as it was written, and the id of the text that has it."""

    text: str
    text_id: str


def keywords_of(text: str, parsed_json: str | None) -> list[str]:
    """The keywords of one answer, in its order, each once without regard to case.

    Args:
        text: the answer. Commas, semicolons and line breaks stand between keywords; the mark of a list item before one
            and a full stop after it are no part of it.
        parsed_json: the answer's object, if it was asked for one; then its field `keywords` counts, a list of texts.
    """
    if parsed_json is not None:
        stated = json.loads(parsed_json).get(FIELD)
        parts = [part for part in stated if isinstance(part, str)] if isinstance(stated, list) else []
    else:
        parts = [MARK.sub("", part.strip()).strip().removesuffix(".") for part in BETWEEN.split(text)]
    found: dict[str, str] = {}
    for word in (" ".join(part.split()) for part in parts):
        found.setdefault(word.casefold(), word)
    return [word for word in found.values() if word]


def sealed_keywords(rows: pl.DataFrame) -> list[Keyword]:
    """The keywords of the usable answers on the whole plate, in their order, each once without regard to case.

    Args:
        rows: of `texts`, as another instrument sealed them.
    """
    usable = rows.filter(
        (pl.col("form") == FIELD)
        & (pl.col("scope") != "segment")
        & (pl.col("status").fill_null("done") == "done")
        & pl.col("is_above_threshold").fill_null(True)
    )
    found: dict[str, Keyword] = {}
    for text_id, text, parsed_json in usable.select("text_id", "text", "parsed_json").iter_rows():
        for word in keywords_of(text, parsed_json):
            found.setdefault(word.casefold(), Keyword(word, text_id))
    return list(found.values())

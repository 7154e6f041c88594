"""Values of the catalogue as the page's files hold them. Nothing is read here."""

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from atlas_resources.page.contract.plate import Colour, Judgement

DIGITS = 9
"""Significant digits of a number: as many as tell two float32 apart. Scores and vectors are float32."""
# A folder of this machine before a file's name, in a message: at least two folders, not part of an address.
FOLDERS = re.compile(r"(?<![\w:/.])/(?:[^\s/:'\"`]+/){2,}(?=[^\s/])")


def number(value: float | None) -> float | None:
    """A number with DIGITS significant digits; None if there is none, or it is not finite, which JSON cannot say."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.{DIGITS}g}")


def pixels(value: float) -> float:
    """A coordinate to a tenth of a pixel."""
    return round(value, 1)


def time(value: datetime | None) -> str | None:
    """A time in UTC, ISO 8601."""
    return None if value is None else f"{value.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def colours(values: list[Mapping[str, Any]] | None) -> list[Colour]:
    """Colours of a palette; none if it was not measured."""
    return [Colour(colour=value["srgb_hex"], share=number(value["share"]) or 0.0) for value in values or ()]


def judgement(row: Mapping[str, Any]) -> Judgement | None:
    """The newest judgement of a row of a view `tagged_<table>`; None if nobody judged it."""
    if row["judgement"] is None:
        return None
    return Judgement(
        judgement=row["judgement"],
        corrected=row["corrected"],
        person=row["judged_by"],
        judged_at=time(row["judged_at"]) or "",
        is_disputed=bool(row["is_disputed"]),
    )


def without_folders(text: str) -> str:
    """A message without the folders of this machine: a page may be published."""
    return FOLDERS.sub("…/", text)


def literal(text: str) -> str:
    """A text as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"

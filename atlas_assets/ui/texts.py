"""A plate with the lines that were read on it, or beside what was written, as a small JPEG; and texts as a table.

What a model read or wrote is data: in Markdown it is escaped, so that it is shown as it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from PIL import Image, ImageDraw, ImageFont

from atlas_assets.ui.encoding import FAINT, Rgb, fit_text, jpeg_within, shrink, wrap_text
from atlas_assets.ui.masks import SEGMENT_COLOURS
from atlas_assets.ui.metadata import Markdown, escaped
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.sealed import result_path

PREVIEW_PX = 480
"""Longest side of the plate in a preview: lettering is small."""
SHOWN = 16
"""Lines that a preview and a table show at most."""
SHOWN_CHARACTERS = 1000
"""Characters of a text in a table at most."""
PANEL_PX, SCALE_PX, LINE_PX = 260, 120, 16
PAPER, INK = (255, 255, 255), (30, 30, 30)


@dataclass(frozen=True)
class ShownLine:
    """A line of a preview: corners float64 [4, 2] as ratios of the image's sides, text, and score if there is one."""

    corners: np.ndarray
    text: str
    score: float | None


def lines_overlay(image: Image.Image, lines: Sequence[ShownLine]) -> bytes:
    """The plate with numbered outlines of its first lines, and beside it what was read, with scores.

    Args:
        image: RGB, sRGB.
        lines: in reading order.
    """
    plate = shrink(image, PREVIEW_PX)
    height = max(plate.height, (min(len(lines), SHOWN) + 1) * LINE_PX)
    picture = Image.new("RGB", (plate.width + PANEL_PX, height), PAPER)
    picture.paste(plate, (0, 0))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=11)
    for number, line in enumerate(lines[:SHOWN], start=1):
        colour = SEGMENT_COLOURS[(number - 1) % len(SEGMENT_COLOURS)]
        corners = [tuple(corner) for corner in (line.corners.clip(0, 1) * (np.array(plate.size) - 1)).tolist()]
        draw.polygon(corners, outline=colour, width=2)
        draw.text(corners[0], str(number), fill=colour, font=font)
        score = "" if line.score is None else f" {line.score:.2f}"
        words = " ".join(line.text.split())
        at = (plate.width + 6, (number - 1) * LINE_PX + 2)
        draw.text(at, str(number), fill=colour, font=font)
        shown = fit_text(words, font, PANEL_PX - 34 - font.getlength(score)) + score
        draw.text((at[0] + 20, at[1]), shown, fill=INK, font=font)
    if len(lines) > SHOWN:
        last = (plate.width + 6, SHOWN * LINE_PX + 2)
        draw.text(last, f"and {len(lines) - SHOWN} more", fill=INK, font=font)
    return jpeg_within(picture)


def answers_card(image: Image.Image, answers: Sequence[tuple[str, str]]) -> bytes:
    """The plate, and beside it what was answered, in as many lines as fit.

    Args:
        image: RGB, sRGB.
        answers: a heading and a text for each.
    """
    plate, font = shrink(image, PREVIEW_PX), ImageFont.load_default(size=11)
    lines: list[tuple[str, Rgb]] = []
    for heading, text in answers:
        lines.append((heading, FAINT))
        lines += [(line, INK) for line in wrap_text(" ".join(text.split()), font, PANEL_PX - 12)]
    room = max(plate.height // LINE_PX, 2)
    if len(lines) > room:
        lines = [*lines[: room - 1], ("...", FAINT)]
    picture = Image.new("RGB", (plate.width + PANEL_PX, max(plate.height, room * LINE_PX)), PAPER)
    picture.paste(plate, (0, 0))
    draw = ImageDraw.Draw(picture)
    for number, (line, colour) in enumerate(lines):
        draw.text((plate.width + 6, number * LINE_PX + 2), line, fill=colour, font=font)
    return jpeg_within(picture)


@dataclass(frozen=True)
class RankedKeyword:
    """A keyword with its cosine, its rank, and the interval of the rank."""

    text: str
    cosine: float
    rank: int
    rank_low: int
    rank_high: int


def ranking_card(image: Image.Image | None, keywords: Sequence[RankedKeyword]) -> bytes:
    """The plate, and beside it its first keywords with their cosines, and the interval of each rank as a line.

    Args:
        image: RGB, sRGB; None leaves the plate out.
        keywords: by rank.
    """
    plate = shrink(image, PREVIEW_PX) if image else Image.new("RGB", (0, 0))
    shown, last = keywords[:SHOWN], max((one.rank_high for one in keywords), default=1)
    height = max(plate.height, (len(shown) + 2) * LINE_PX)
    picture = Image.new("RGB", (plate.width + PANEL_PX + SCALE_PX, height), PAPER)
    picture.paste(plate, (0, 0))
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(size=11)
    left, right = plate.width + PANEL_PX, plate.width + PANEL_PX + SCALE_PX - 12

    def at(rank: int) -> float:
        return left + (right - left) * (rank - 1) / max(1, last - 1)

    for place, text in ((1, "1"), (last, str(last))):
        draw.text((at(place), 2), text, fill=FAINT, font=font, anchor="ma")
    draw.text((plate.width + 6, 2), "rank  keyword, cosine; interval of the rank", fill=FAINT, font=font)
    for number, one in enumerate(shown, start=1):
        top, colour = number * LINE_PX + 2, SEGMENT_COLOURS[(number - 1) % len(SEGMENT_COLOURS)]
        cosine = f" {one.cosine:.3f}"
        words = fit_text(" ".join(one.text.split()), font, PANEL_PX - 40 - font.getlength(cosine))
        draw.text((plate.width + 6, top), str(one.rank), fill=colour, font=font)
        draw.text((plate.width + 28, top), words + cosine, fill=INK, font=font)
        middle = top + LINE_PX / 2 - 1
        draw.line([(at(one.rank_low), middle), (at(one.rank_high), middle)], fill=colour, width=2)
        draw.ellipse([at(one.rank) - 3, middle - 3, at(one.rank) + 3, middle + 3], fill=colour)
    if len(keywords) > SHOWN:
        draw.text(
            (plate.width + 6, (len(shown) + 1) * LINE_PX + 2), f"and {len(keywords) - SHOWN} more", fill=INK, font=font
        )
    return jpeg_within(picture)


def text_metadata(plate: Plate, manifest: RunManifest) -> dict[str, Any]:
    """The texts of a sealed run as a table: those with the best scores, in the order of their ids; keywords by rank."""
    rows = pl.read_parquet(result_path(plate, manifest))
    if rows.height and rows["form"][0] == "ranking":
        return {"keywords": Markdown(ranking_table(rows))}
    columns = ["text_id", "text", "score", "is_above_threshold", "status"]
    return {"lines": Markdown(text_table(rows.select(columns)))} if rows.height else {}


def ranking_table(rows: pl.DataFrame) -> str:
    """Ranked keywords as a Markdown table, by rank, up to SHOWN.

    Args:
        rows: text, cosine, rank, rank_low, rank_high and top_ratio.
    """
    columns = ("rank", "text", "cosine", "rank_low", "rank_high", "top_ratio")
    lines = ["| rank | keyword | cosine | interval of the rank | among the top |", "|---|---|---|---|---|"]
    lines += [
        f"| {rank} | {escaped(text)} | {cosine:.3f} | {low} to {high} | {top:.0%} |"
        for rank, text, cosine, low, high, top in rows.sort("rank", "text_id").head(SHOWN).select(columns).iter_rows()
    ]
    return "\n".join(lines) + (f"\n\n{rows.height - SHOWN} more" if rows.height > SHOWN else "")


def text_table(rows: pl.DataFrame) -> str:
    """Texts as a Markdown table: up to SHOWN with the best scores, in the order of their ids.

    Args:
        rows: text_id, text, score, is_above_threshold and, of answers, status.
    """
    best = rows.sort("score", descending=True, nulls_last=True, maintain_order=True).head(SHOWN).sort("text_id")
    lines = ["| id | text | score |", "|---|---|---|"]
    for text_id, text, score, is_above, *status in best.iter_rows():
        shown = "" if score is None else f"{score:.2f}" + (" (below the threshold)" if is_above is False else "")
        shown += f" {status[0]}" if status and status[0] not in (None, "done") else ""
        words = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}..."
        lines.append(f"| {text_id} | {escaped(words)} | {shown.strip()} |")
    left = rows.height - best.height
    return "\n".join(lines) + (f"\n\n{left} more" if left else "")

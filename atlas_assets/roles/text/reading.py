"""Reading: the lines of text on a plate, in its source's pixels, with scores.

A page reader finds and reads lines on the whole plate. A line reader reads the lines that another instrument found.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from atlas_assets.roles.declared import ContractBroken, sealed_rows, source_pixels
from atlas_assets.roles.text.places import place_columns
from atlas_assets.roles.text.scripts import script_of
from atlas_assets.ui.encoding import shrink
from atlas_assets.ui.texts import PREVIEW_PX, ShownLine, lines_overlay
from atlas_resources.instruments.spec.output import TextOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.protocols import LineReader, PageReader, TextLine
from atlas_resources.plates.plate import Plate
from atlas_resources.runs.sealing import Measurement
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import SealedResult
from atlas_resources.tables.table import frame_of
from atlas_resources.tables.text_columns import ANSWER, TEXT


@dataclass(frozen=True)
class FoundLine:
    """A line that another instrument found: id, corners float64 [4, 2] in source pixels, and pixels uint8 [h, w, 3]."""

    text_id: str
    corners: np.ndarray
    pixels: np.ndarray


@dataclass(frozen=True)
class Page:
    """A plate to read.

    Attributes:
        pixels: the source, uint8 [H, W, 3], RGB in sRGB; empty for a line reader.
        picture: a small image of the plate for the preview.
        width_px, height_px: of the source.
        lines: what a line reader reads; empty for a page reader.
    """

    pixels: np.ndarray
    picture: Image.Image
    width_px: int
    height_px: int
    lines: tuple[FoundLine, ...] = ()


class ReadingWork:
    """Reads the lines of a plate."""

    def __init__(self, spec: Spec, load: Callable[[], Any]):
        self.spec = spec
        self._load = load
        if not isinstance(spec.output, TextOutput) or spec.output.form != "transcription":
            raise ContractBroken(f"{spec.key}: what is read must be declared as text of the form `transcription`")
        self._threshold = spec.output.score_threshold

    def load(self) -> None:
        """Loads the model. Raises ContractBroken for one that reads neither plates nor lines as the spec declares."""
        self.model: PageReader | LineReader = self._load()
        expected = LineReader if self.spec.upstream else PageReader
        if not isinstance(self.model, expected):
            raise ContractBroken(f"{self.spec.key}: expected a {expected.__name__}, found {type(self.model).__name__}")

    def prepare(self, plate: Plate, upstream: SealedResult | None, stopwatch: Stopwatch) -> Page:
        """The plate at full size, or the lines that the upstream instrument found on it, cut out."""
        source = source_pixels(plate, stopwatch)
        picture = shrink(source, PREVIEW_PX)
        if self.spec.upstream is None:
            return Page(np.asarray(source), picture, *source.size)
        found = found_lines(sealed_rows(self.spec, plate, upstream), source)
        return Page(np.zeros((0, 0, 3), np.uint8), picture, *source.size, tuple(found))

    def measure(self, batch: list[Page]) -> list[Measurement]:
        """One row per line, in reading order."""
        return [self._measure_one(page) for page in batch]

    def _measure_one(self, page: Page) -> Measurement:
        read = self._read(page)
        rows = [_row(text_id, _require_line(self.spec, line), self._scope, self._threshold) for text_id, line in read]
        above = [row for row in rows if row["is_above_threshold"] is not False]
        metrics = {
            "line_count": len(rows),
            "line_above_threshold_count": len(above),
            "character_count": sum(len(row["text"]) for row in above),
            "longest_line": max((row["text"] for row in above), key=len, default=None),
        }
        sides = np.array([page.width_px, page.height_px])
        shown = [ShownLine(line.corners / sides, line.text, line.score) for _, line in read]
        is_shown = [row["is_above_threshold"] is not False for row in rows]
        preview = lines_overlay(page.picture, [line for line, is_kept in zip(shown, is_shown, strict=True) if is_kept])
        return Measurement(frame_of((*TEXT, *ANSWER), rows), metrics, preview)

    @property
    def _scope(self) -> str:
        return "line" if self.spec.upstream else "plate"

    def _read(self, page: Page) -> list[tuple[str, TextLine]]:
        """The lines with their ids. Those of a line reader keep the ids of the lines that they were cut from."""
        if isinstance(self.model, PageReader):
            lines = self.model.read_page(page.pixels)
            return [(f"line-{number:04d}", line) for number, line in enumerate(lines, start=1)]
        texts = self.model.read_lines([line.pixels for line in page.lines])
        if len(texts) != len(page.lines):
            raise ContractBroken(f"{self.spec.key}: expected {len(page.lines)} texts, found {len(texts)}")
        return [
            (line.text_id, TextLine(text, score, line.corners))
            for line, (text, score) in zip(page.lines, texts, strict=True)
            if text.strip()
        ]


def found_lines(rows: pl.DataFrame, source: Image.Image) -> Sequence[FoundLine]:
    """The lines of an upstream reader that are not below its threshold, cut out of the source.

    Args:
        rows: of the table `texts`.
        source: RGB, sRGB, at full size.
    """
    has_place = rows.filter(pl.col("quadrilateral").is_not_null() & pl.col("is_above_threshold").fill_null(True))
    found = []
    for text_id, numbers in has_place.select("text_id", "quadrilateral").iter_rows():
        corners = np.array(numbers, np.float64).reshape(4, 2)
        found.append(FoundLine(text_id, corners, cut_line(source, corners)))
    return found


def cut_line(source: Image.Image, corners: np.ndarray) -> np.ndarray:
    """A line, upright: uint8 [h, w, 3], as wide and high as its longer sides, by bicubic interpolation.

    Args:
        source: RGB, sRGB.
        corners: float64 [4, 2], clockwise from the text's upper left, pixels of the source.
    """
    upper_left, upper_right, lower_right, lower_left = corners
    across = max(np.linalg.norm(upper_right - upper_left), np.linalg.norm(lower_right - lower_left))
    down = max(np.linalg.norm(lower_left - upper_left), np.linalg.norm(lower_right - upper_right))
    size = max(1, round(float(across))), max(1, round(float(down)))
    data = np.concatenate([upper_left, lower_left, lower_right, upper_right]).tolist()
    return np.asarray(source.transform(size, Image.Transform.QUAD, data, Image.Resampling.BICUBIC))


def _require_line(spec: Spec, line: TextLine) -> TextLine:
    """Returns the line. Raises ContractBroken without text or finite corners, or for a score outside 0 to 1."""
    if not line.text.strip():
        raise ContractBroken(f"{spec.key}: expected text in every line, found {line.text!r}")
    if line.corners.shape != (4, 2) or not np.isfinite(line.corners).all():
        raise ContractBroken(f"{spec.key}: expected four finite corners of a line, found {line.corners.tolist()}")
    if line.score is not None and not 0 <= line.score <= 1:
        raise ContractBroken(f"{spec.key}: expected a score of 0 to 1, found {line.score}")
    return line


def _row(text_id: str, line: TextLine, scope: str, threshold: float | None) -> dict[str, Any]:
    is_above = None if line.score is None or threshold is None else line.score >= threshold
    return {
        "text_id": text_id,
        "machine_made": True,
        "form": "transcription",
        "scope": scope,
        "text": line.text,
        "score": line.score,
        "is_above_threshold": is_above,
        "language": line.language,
        "script": script_of(line.text),
        **place_columns(line),
    }

"""How far values of one column are from each other, by what the column holds. Pure functions on arrays and rows."""

import json
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from skimage.color import deltaE_ciede2000

from atlas_resources.measures.masks import run_lengths

Row = dict[str, Any]
Distance = Callable[[str, Row, Row], float | None]
"""Distance of a column's values in a sealed and a repeated row, 0 for equal ones; None if they cannot be compared."""


class Largest(NamedTuple):
    """The largest distance, and the number of the row where it is."""

    distance: float
    row: int


def relative(column: str, sealed: Row, repeated: Row) -> float | None:
    """Difference of two numbers, over the larger one where that is above 1."""
    return _finite(abs(sealed[column] - repeated[column]) / max(1.0, abs(sealed[column]), abs(repeated[column])))


def absolute(column: str, sealed: Row, repeated: Row) -> float | None:
    """Difference of two numbers."""
    return _finite(abs(sealed[column] - repeated[column]))


def of_vectors(column: str, sealed: Row, repeated: Row) -> float | None:
    """Length of the difference of two vectors over the length of the sealed one, in float64."""
    first, second = np.asarray(sealed[column], np.float64), np.asarray(repeated[column], np.float64)
    return length_ratio(first, second) if first.shape == second.shape else None


def length_ratio(sealed: np.ndarray, repeated: np.ndarray) -> float | None:
    """Euclidean length of the difference over that of the first, float64 [dim]; None where that is 0."""
    length = float(np.linalg.norm(sealed))
    return _finite(float(np.linalg.norm(repeated - sealed)) / length) if length else None


def cosine(sealed: Sequence[float], repeated: Sequence[float]) -> float | None:
    """Cosine of two vectors in float64; None for vectors of other lengths, and where one is all zeros."""
    first, second = np.asarray(sealed, np.float64), np.asarray(repeated, np.float64)
    lengths = float(np.linalg.norm(first)) * float(np.linalg.norm(second))
    return _finite(float(first @ second) / lengths) if first.shape == second.shape and lengths else None


def of_corners(column: str, sealed: Row, repeated: Row) -> float | None:
    """Largest difference of corresponding coordinates; None for lists of other lengths."""
    first, second = np.asarray(sealed[column], np.float64), np.asarray(repeated[column], np.float64)
    return _finite(float(np.abs(first - second).max(initial=0.0))) if first.shape == second.shape else None


def of_fields(column: str, sealed: Row, repeated: Row) -> float | None:
    """Share of the fields of two JSON objects whose values differ; None for objects with other fields."""
    first, second = json.loads(sealed[column]), json.loads(repeated[column])
    if first.keys() != second.keys() or not first:
        return None
    return sum(first[name] != second[name] for name in first) / len(first)


def of_masks(column: str, sealed: Row, repeated: Row) -> float | None:
    """1 - intersection over union of two masks in run lengths; None for masks of other sizes. Nothing is unpacked."""
    size = (sealed["height_px"], sealed["width_px"])
    if size != (repeated["height_px"], repeated["width_px"]):
        return None
    return 1.0 - float(run_lengths.overlaps([sealed[column], repeated[column]], *size)[0, 1])


def of_palettes(column: str, sealed: Row, repeated: Row) -> float | None:
    """Largest CIEDE2000 of corresponding colours; None for palettes of other sizes."""
    first, second = ([colour["lab"] for colour in row[column]] for row in (sealed, repeated))
    return _delta_e(first, second)


def of_lab(column: str, sealed: Row, repeated: Row) -> float | None:
    """CIEDE2000 of two CIE L*a*b* colours."""
    return _delta_e([sealed[column]], [repeated[column]])


def of_shares(column: str, sealed: Row, repeated: Row) -> float | None:
    """Largest difference of the shares of corresponding colours; None for palettes of other sizes."""
    first, second = (np.array([colour["share"] for colour in row[column]]) for row in (sealed, repeated))
    if first.shape != second.shape:
        return None
    return _finite(float(np.abs(first - second).max(initial=0.0)))


def _delta_e(first: list[list[float]], second: list[list[float]]) -> float | None:
    if len(first) != len(second):
        return None
    if not first:
        return 0.0
    return _finite(float(np.max(deltaE_ciede2000(np.asarray(first, np.float64), np.asarray(second, np.float64)))))


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None

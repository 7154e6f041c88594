"""Compares the sealed rows of a plate with repeated ones, column by column, by what each column of a role holds."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import polars as pl

from atlas_assets.reproduction import _differences as distances
from atlas_resources.instruments.spec.numeric import Tolerance
from atlas_resources.plates.records.reproduction import ColumnDifference
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import IDENTITY, Column

Measure = Literal["relative", "score", "box_px", "pixel_share", "delta_e", "field_ratio"]


@dataclass(frozen=True)
class Rule:
    """How the values of a column are compared.

    Attributes:
        measure: name of the tolerance, and of the distance in what is reported.
        distance: distance of the values in two rows.
    """

    measure: Measure
    distance: distances.Distance


RELATIVE = Rule("relative", distances.relative)
VECTOR = Rule("relative", distances.of_vectors)
SHARE = Rule("pixel_share", distances.of_shares)
EDGES = ("x_min", "y_min", "x_max", "y_max")
RULES: Mapping[str, Mapping[str, Rule]] = {
    "embedding": {"vector": VECTOR},
    "probe": {"score": Rule("score", distances.absolute)},
    "detection": {
        "score": Rule("score", distances.absolute),
        **dict.fromkeys(EDGES, Rule("box_px", distances.absolute)),
    },
    "text": {
        "score": Rule("score", distances.absolute),
        "quadrilateral": Rule("box_px", distances.of_corners),
        "parsed_json": Rule("field_ratio", distances.of_fields),
    },
    "segmentation": {
        "mask_rle": Rule("pixel_share", distances.of_masks),
        "stability_score": Rule("pixel_share", distances.absolute),
        "palette": Rule("delta_e", distances.of_palettes),
    },
    "palette": {"lab_mean": Rule("delta_e", distances.of_lab), "palette": Rule("delta_e", distances.of_palettes)},
}
"""The rules of each role's columns. Another column of numbers with a fraction is compared by RELATIVE; every other
column must be equal."""

OF_MASK = ("mask_sha256", "area_px", "area_ratio", *EDGES, "centroid_x", "centroid_y", "fragmentation_score")
FOLLOWERS: Mapping[str, Mapping[str, str]] = {
    "segmentation": dict.fromkeys(
        (*OF_MASK, "component_count", "hole_count", "solidity", "touches_border"), "mask_rle"
    ),
    "detection": {f"{edge}_ratio": edge for edge in EDGES},
    "text": {
        **dict.fromkeys(EDGES, "quadrilateral"),
        "is_above_threshold": "score",
        "text": "parsed_json",
        **dict.fromkeys(("raw_text", "script", "output_token_count"), "text"),
    },
}
"""Columns that are computed from another column alone. They are compared where that one is equal: elsewhere its own
distance says how far the rows are, and a single pixel moves a box or adds a component."""

NOT_COMPARED: Mapping[str, frozenset[str]] = {
    "text": frozenset({"answer_seconds", "peak_memory_bytes", "server_sha256", "request_count"})
}
"""Columns of each role that say what a measurement cost, and of which server: other at each repetition."""

PLATE_WIDE = {"probe": ("logit",)}
"""Columns of which all values of a plate are one vector."""


@dataclass(frozen=True)
class Comparison:
    """What differs between the sealed and the repeated rows of a plate.

    Attributes:
        differences: the columns that differ at all.
        cosine_min: smallest cosine of a sealed and a repeated vector; None without vectors.
    """

    differences: tuple[ColumnDifference, ...]
    cosine_min: float | None

    @property
    def beyond(self) -> tuple[ColumnDifference, ...]:
        """The differences that are larger than their tolerance."""
        return tuple(one for one in self.differences if not one.largest <= one.tolerance)


def compare_rows(role: str, sealed: pl.DataFrame, repeated: pl.DataFrame, tolerance: Tolerance) -> Comparison:
    """Compares the rows of a plate by their keys, such as segment_id, in the columns that the sealed file has.

    Args:
        role: of the instrument.
        sealed: the rows of the sealed file.
        repeated: the rows of the repetition, with at least the columns of the role.
        tolerance: the limits.
    """
    columns = [column for column in measured_columns(role) if column.name in sealed.columns]
    names, key = [column.name for column in columns], INSTRUMENT_TABLES[role].order_by[3:]
    before, after = (_by_key(rows.select(names), key) for rows in (sealed, repeated))
    unmatched = sorted(before.keys() ^ after.keys(), key=str)
    pairs = [(name, before[name], after[name]) for name in before if name in after]
    found = [_unmatched(unmatched)] if unmatched else []
    found += [one for column in columns for one in _compare(role, column, pairs, tolerance)]
    return Comparison(tuple(found), _cosine_min(role, pairs))


def measured_columns(role: str) -> list[Column]:
    """The columns that an instrument of the role measures, without those that identify plate and instrument, or that
    say what it cost."""
    table, left_out = INSTRUMENT_TABLES[role], NOT_COMPARED.get(role, frozenset())
    columns = [column for column in table.columns if column.name in table.sealed_schema and column not in IDENTITY]
    return [column for column in columns if column.name not in left_out]


def rule_of(role: str, column: Column) -> Rule | None:
    """How a column is compared; None if its values must be equal."""
    by_type = RELATIVE if column.dtype in (pl.Float32, pl.Float64) else None
    return RULES.get(role, {}).get(column.name, by_type)


Pair = tuple[str, distances.Row, distances.Row]
"""Key of a row, the sealed row and the repeated row."""


def _by_key(rows: pl.DataFrame, key: tuple[str, ...]) -> dict[str, distances.Row]:
    """The rows by the values of their key; rows that share one are told apart by their number."""
    found: dict[str, distances.Row] = {}
    for row in rows.iter_rows(named=True):
        name = " ".join(str(row[part]) for part in key if row.get(part) is not None)
        found[name if name not in found else f"{name} (row {len(found)})"] = row
    return found


def _unmatched(keys: list[str]) -> ColumnDifference:
    return ColumnDifference(
        column="(rows)", measure="unequal_rows", largest=len(keys), tolerance=0, row=", ".join(keys[:3])
    )


def _compare(role: str, column: Column, pairs: list[Pair], tolerance: Tolerance) -> Iterator[ColumnDifference]:
    name, rule = column.name, rule_of(role, column)
    if name in PLATE_WIDE.get(role, ()):
        yield from _as_one_vector(name, pairs, tolerance)
        return
    leader = FOLLOWERS.get(role, {}).get(name)
    judged = [pair for pair in pairs if leader is None or pair[1][leader] == pair[2][leader]]
    differing = [pair for pair in judged if pair[1][name] != pair[2][name]]
    if differing:
        yield _largest(name, rule, differing, tolerance)
        if name == "palette":
            yield _largest(name, SHARE, differing, tolerance, label="palette.share")


def _largest(
    name: str, rule: Rule | None, pairs: list[Pair], tolerance: Tolerance, label: str = ""
) -> ColumnDifference:
    """The largest difference of a column; the number of unequal rows where some have no distance."""
    found = [_distance(name, rule, pair) for pair in pairs]
    known = [one for one in found if one is not None]
    if rule is None or len(known) < len(found):
        first = next(pair[0] for pair, one in zip(pairs, found, strict=True) if one is None)
        count = len(found) - len(known)
        return ColumnDifference(column=label or name, measure="unequal_rows", largest=count, tolerance=0, row=first)
    row, limit = pairs[known.index(max(known))][0], getattr(tolerance, rule.measure)
    return ColumnDifference(column=label or name, measure=rule.measure, largest=max(known), tolerance=limit, row=row)


def _distance(name: str, rule: Rule | None, pair: Pair) -> float | None:
    _, sealed, repeated = pair
    if rule is None or sealed[name] is None or repeated[name] is None:
        return None
    return rule.distance(name, sealed, repeated)


def _as_one_vector(name: str, pairs: list[Pair], tolerance: Tolerance) -> Iterator[ColumnDifference]:
    """A column of all rows as one vector: a logit near 0 has no relative difference of its own."""
    first, second = _vectors(name, pairs)
    if np.array_equal(first, second):
        return
    found = distances.length_ratio(first, second)
    farthest = pairs[int(np.argmax(np.nan_to_num(np.abs(first - second), nan=np.inf)))][0]
    measure, limit = ("relative", tolerance.relative) if found is not None else ("unequal_rows", 0.0)
    largest = found if found is not None else float(np.count_nonzero(first != second))
    yield ColumnDifference(column=name, measure=measure, largest=largest, tolerance=limit, row=farthest)


def _vectors(name: str, pairs: list[Pair]) -> tuple[np.ndarray, np.ndarray]:
    """A column of the sealed and of the repeated rows, float64 [N]; a null is NaN."""
    sealed, repeated = ([row[name] for row in rows] for rows in ([p[1] for p in pairs], [p[2] for p in pairs]))
    return np.array(sealed, np.float64), np.array(repeated, np.float64)


def _cosine_min(role: str, pairs: list[Pair]) -> float | None:
    vectors: list[tuple[Any, Any]] = []
    if role == "embedding":
        vectors = [(sealed["vector"], repeated["vector"]) for _, sealed, repeated in pairs]
    vectors += [_vectors(name, pairs) for name in PLATE_WIDE.get(role, ()) if pairs]
    found = [one for one in (distances.cosine(*pair) for pair in vectors) if one is not None]
    return min(found, default=None)

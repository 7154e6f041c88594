"""Retrieval of labelled plates by each of two encoders: recall, mean average precision, and how far to trust them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from atlas_assets.comparison.pairs import Pair
from atlas_resources.measures.spaces.chance import bootstrap_of_groups, bootstrap_of_mean
from atlas_resources.measures.spaces.retrieval import (
    McNemar,
    Proportion,
    mcnemar,
    proportion,
    rank_same_label,
    recall_by_chance,
)

RECALLED = (1, 5)


@dataclass(frozen=True)
class Interval:
    """A mean over queries with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class ByLabel:
    """A figure of both encoders with intervals of the bootstrap that draws labels, each with all its queries.

    `gain` is the second's less the first's, query by query.
    """

    first: Interval
    second: Interval
    gain: Interval


@dataclass(frozen=True)
class Recall:
    """Recall@k by both encoders on the same queries, what chance gives, and McNemar's test between them."""

    k: int
    first: Proportion
    second: Proportion
    chance: float
    test: McNemar
    by_label: ByLabel


@dataclass(frozen=True)
class Retrieval:
    """Retrieval on a labelled set.

    Attributes:
        labelled: plates with a label and both vectors.
        left_out: labelled plates without both vectors.
        queries: labelled plates with another one of their label.
        labels: how many labels the queries have.
        recalls: for each k of RECALLED.
        first, second: mean average precision by each encoder; intervals of the bootstrap over queries.
        gain: the second's average precision less the first's, query by query.
        by_label: the same three with intervals by label.
    """

    labelled: int
    left_out: int
    queries: int
    labels: int
    recalls: tuple[Recall, ...]
    first: Interval
    second: Interval
    gain: Interval
    by_label: ByLabel


def retrieve(pair: Pair, labels: Mapping[str, str]) -> Retrieval:
    """Retrieval of plates of the same label among labelled plates. Raises ValueError if no label has two plates."""
    rows = [number for number, plate_id in enumerate(pair.plate_ids) if plate_id in labels]
    _, numbers = np.unique([labels[pair.plate_ids[row]] for row in rows], return_inverse=True)
    first, second = (rank_same_label(space.unit[rows], numbers) for space in (pair.first, pair.second))
    if not len(first.queries):
        raise ValueError(
            f"expected two plates of a label, both with vectors of {pair.first.name} and {pair.second.name}; "
            f"found none among {len(rows)} plates"
        )
    asked = numbers[first.queries]
    precision = first.average_precision, second.average_precision
    return Retrieval(
        labelled=len(rows),
        left_out=len(labels) - len(rows),
        queries=len(asked),
        labels=len(np.unique(asked)),
        recalls=tuple(
            _recall(k, first.is_found(k), second.is_found(k), recall_by_chance(numbers, k), asked) for k in RECALLED
        ),
        first=_mean(precision[0]),
        second=_mean(precision[1]),
        gain=_mean(precision[1] - precision[0]),
        by_label=_by_label(*precision, asked),
    )


def _recall(k: int, first: np.ndarray, second: np.ndarray, chance: float, asked: np.ndarray) -> Recall:
    by_label = _by_label(first.astype(float), second.astype(float), asked)
    return Recall(k, proportion(first), proportion(second), chance, mcnemar(first, second), by_label)


def _by_label(first: np.ndarray, second: np.ndarray, asked: np.ndarray) -> ByLabel:
    """Args: a figure of each query by each encoder, float64 [Q], and the query's label, int64 [Q]."""
    figures = first, second, second - first
    return ByLabel(*(Interval(float(one.mean()), *bootstrap_of_groups(one, asked)) for one in figures))


def _mean(values: np.ndarray) -> Interval:
    return Interval(float(values.mean()), *bootstrap_of_mean(values))

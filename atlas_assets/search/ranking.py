"""Plates in order of a figure, which every search shares: ranks, cosines, titles."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.ledgers.topology.spaces import Space
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import PLATES

Titles = Mapping[str, str | None]


@dataclass(frozen=True)
class Near:
    """A plate near what was asked in one space; rank from 1."""

    plate_id: str
    rank: int
    cosine: float


def read_titles(dataset: Dataset) -> Titles:
    """The title of each plate, by its id."""
    return dict(read_ledger(dataset, PLATES, ("plate_id", "title")).iter_rows())


def cosines_to(space: Space, vector: np.ndarray) -> np.ndarray:
    """The cosine of each plate of a space, float64 [plates], -1..1.

    Args:
        space: of the plates.
        vector: float64 [dim], of length 1.
    """
    return np.clip(space.unit @ vector, -1.0, 1.0)


def highest(plate_ids: Sequence[str], figures: np.ndarray, count: int) -> list[int]:
    """Indices of the plates with the highest figures, at most `count`; of equal ones, the earlier first."""
    return np.argsort(-figures, kind="stable")[: min(count, len(plate_ids))].tolist()


def nearest_plates(space: Space, vector: np.ndarray, count: int) -> list[Near]:
    """The plates of a space with the highest cosines. Args: see `cosines_to`."""
    cosines = cosines_to(space, vector)
    places = enumerate(highest(space.plate_ids, cosines, count), start=1)
    return [Near(space.plate_ids[place], rank, float(cosines[place])) for rank, place in places]

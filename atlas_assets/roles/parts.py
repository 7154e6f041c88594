"""What a vector is of, a whole plate or a part of it, and the rows that hold such vectors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from atlas_resources.tables.result_columns import EMBEDDING
from atlas_resources.tables.table import frame_of


class Box(NamedTuple):
    """A box in source pixels: left and top inclusive, right and bottom exclusive."""

    x_min: int
    y_min: int
    x_max: int
    y_max: int


@dataclass(frozen=True)
class Part:
    """What a vector is of: a whole plate, or the box of a segment or a tile in it."""

    scope: Literal["plate", "segment", "tile"]
    box: Box | None = None
    segment_id: str | None = None
    tile_id: str | None = None
    crop_policy: str | None = None


WHOLE_PLATE = Part("plate")


def embedding_rows(parts: Sequence[Part], vectors: Sequence[np.ndarray]) -> pl.DataFrame:
    """One row of `result_columns.EMBEDDING` per part: its raw float32 vector, and that vector's length in float64."""
    rows = [
        {
            "scope": part.scope,
            "segment_id": part.segment_id,
            "tile_id": part.tile_id,
            **(part.box._asdict() if part.box else {}),
            "crop_policy": part.crop_policy,
            "vector_dim": vector.size,
            "vector": vector,
            "l2_norm": float(np.linalg.norm(vector.astype(np.float64))),
        }
        for part, vector in zip(parts, vectors, strict=True)
    ]
    return frame_of(EMBEDDING, rows)

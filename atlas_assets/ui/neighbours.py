"""Pictures of nearest neighbours for the ledger of embeddings: which plates each instrument finds similar.

They are shown with the ledger, because a plate is embedded before its neighbours are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from atlas_assets.ui.plots import neighbours_strip

PLATES_SHOWN = 2  # per instrument
NEIGHBOURS_SHOWN = 4
MOST_PICTURES = 12  # the UI stores each picture twice, up to 20 kB


@dataclass(frozen=True)
class NeighboursPicture:
    """One plate's neighbours by one instrument, as a JPEG."""

    instrument: str
    plate_id: str
    picture: bytes


def neighbour_pictures(rows: pl.DataFrame, thumbnail: Callable[[str], bytes | None]) -> Iterator[NeighboursPicture]:
    """Yields a few plates per instrument, spread over the library, with their nearest plates by cosine similarity.

    Args:
        rows: current rows of the ledger `embeddings`. Only those of whole plates are used.
        thumbnail: returns a plate's thumbnail, or None. A plate without one is left out.
    """
    whole = rows.filter(pl.col("scope") == "plate").sort("instrument", "plate_id")
    pictures = 0
    for (instrument,), of_instrument in whole.group_by("instrument", maintain_order=True):
        plate_ids = [plate_id for plate_id in of_instrument["plate_id"] if thumbnail(plate_id) is not None]
        if len(plate_ids) < 2:
            continue
        shown = of_instrument.filter(pl.col("plate_id").is_in(plate_ids))
        units = _unit(np.array(shown["vector"].to_list(), dtype=np.float64))
        for number in range(min(PLATES_SHOWN, len(plate_ids))):
            if pictures == MOST_PICTURES:
                return
            index = (2 * number + 1) * len(plate_ids) // (2 * PLATES_SHOWN)
            pictures += 1
            yield NeighboursPicture(str(instrument), plate_ids[index], _strip(index, plate_ids, units, thumbnail))


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors scaled to an L2 norm of 1, float64 [N, dim]. A vector of zeros is unchanged."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)


def _strip(index: int, plate_ids: list[str], units: np.ndarray, thumbnail: Callable[[str], bytes | None]) -> bytes:
    cosines = units @ units[index]
    cosines[index] = -np.inf
    nearest = np.argsort(-cosines, kind="stable")[: min(NEIGHBOURS_SHOWN, len(plate_ids) - 1)]
    captions = [(index, plate_ids[index]), *((near, f"{plate_ids[near]}  {cosines[near]:.3f}") for near in nearest)]
    pictures = [(thumbnail(plate_ids[position]), caption) for position, caption in captions]
    return neighbours_strip([(picture, caption) for picture, caption in pictures if picture is not None])

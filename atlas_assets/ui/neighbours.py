"""Pictures of nearest neighbours for the ledger of embeddings: what each instrument takes for alike, at a glance.

They stand at the ledger, not at a plate's own event: a plate is embedded before its neighbours are.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import polars as pl

from atlas_assets.ui.plots import neighbours_strip

PLATES_SHOWN = 2  # of each instrument
NEIGHBOURS_SHOWN = 4
MOST_PICTURES = 12  # the UI stores each, of up to 20 KB, twice


@dataclass(frozen=True)
class NeighboursPicture:
    """One plate's neighbours with one instrument, as a JPEG."""

    instrument: str
    plate_id: str
    picture: bytes


def neighbour_pictures(rows: pl.DataFrame, thumbnail: Callable[[str], bytes | None]) -> Iterator[NeighboursPicture]:
    """A few plates of each instrument, spread over the library, with the plates most alike by cosine.

    Args:
        rows: current rows of `result_columns.EMBEDDING`, whole plates only are looked at.
        thumbnail: a plate's thumbnail, or None; a plate without one is left out.
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
    """float64 [N, dim], each of length 1; a vector of zeros stays one."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float64).tiny)


def _strip(index: int, plate_ids: list[str], units: np.ndarray, thumbnail: Callable[[str], bytes | None]) -> bytes:
    cosines = units @ units[index]
    cosines[index] = -np.inf
    nearest = np.argsort(-cosines, kind="stable")[: min(NEIGHBOURS_SHOWN, len(plate_ids) - 1)]
    captions = [(index, plate_ids[index]), *((near, f"{plate_ids[near]}  {cosines[near]:.3f}") for near in nearest)]
    pictures = [(thumbnail(plate_ids[position]), caption) for position, caption in captions]
    return neighbours_strip([(picture, caption) for picture, caption in pictures if picture is not None])

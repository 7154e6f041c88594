"""Pictures of nearest neighbours: which plates each space finds similar, and where spaces disagree about a plate."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from atlas_assets.ui.plots import neighbours_strip, stacked

PLATES_SHOWN = 2  # per space
NEIGHBOURS_SHOWN = 4
SPACES_SHOWN = 5  # in one picture
MOST_PICTURES = 12  # the UI stores each picture twice, up to 20 kB

Thumbnail = Callable[[str], bytes | None]


@dataclass(frozen=True)
class NeighboursPicture:
    """One plate's neighbours in one space, as a JPEG."""

    space: str
    plate_id: str
    picture: bytes


def neighbour_pictures(neighbours: pl.DataFrame, thumbnail: Thumbnail) -> Iterator[NeighboursPicture]:
    """Yields a few plates of each space, spread over the library, with their nearest plates.

    Args:
        neighbours: rows of the ledger `neighbours`.
        thumbnail: returns a plate's thumbnail, or None. A plate without one is left out.
    """
    asked = []
    for (space,), rows in neighbours.sort("space").group_by("space", maintain_order=True):
        plate_ids = [one for one in rows["plate_id"].unique().sort() if thumbnail(one) is not None]
        places = {(2 * number + 1) * len(plate_ids) // (2 * PLATES_SHOWN) for number in range(PLATES_SHOWN)}
        asked += [(str(space), plate_ids[place]) for place in sorted(places) if place < len(plate_ids)]
    yield from _pictures(neighbours, asked, thumbnail)


def disagreement_pictures(
    neighbours: pl.DataFrame, plate_ids: Sequence[str], thumbnail: Thumbnail
) -> Iterator[tuple[str, bytes]]:
    """Yields each plate's id with a JPEG: its nearest plates in each of the first spaces, a row for a space.

    Args:
        neighbours: rows of the ledger `neighbours`.
        plate_ids: the plates, in the order that they are shown in.
        thumbnail: as of `neighbour_pictures`.
    """
    spaces = neighbours["space"].unique().sort().to_list()[:SPACES_SHOWN]
    for plate_id in plate_ids:
        strips = [(space, _strip(neighbours, space, plate_id, thumbnail)) for space in spaces]
        if shown := [(space, strip) for space, strip in strips if strip is not None]:
            yield plate_id, stacked(shown)


def _pictures(
    neighbours: pl.DataFrame, asked: Sequence[tuple[str, str]], thumbnail: Thumbnail
) -> Iterator[NeighboursPicture]:
    """At most MOST_PICTURES, of the plates that have a thumbnail and a neighbour that has one."""
    made = 0
    for space, plate_id in asked:
        strip = _strip(neighbours, space, plate_id, thumbnail) if made < MOST_PICTURES else None
        if strip is not None:
            made += 1
            yield NeighboursPicture(space, plate_id, strip)


def _strip(neighbours: pl.DataFrame, space: str, plate_id: str, thumbnail: Thumbnail) -> bytes | None:
    """A plate with its nearest plates in a space; None if it, or each of them, has no thumbnail."""
    rows = neighbours.filter(space=space, plate_id=plate_id).sort("rank").select("neighbour_id", "cosine")
    near = [(thumbnail(one), f"{one}  {cosine:.3f}") for one, cosine in rows.iter_rows()]
    shown = [(picture, caption) for picture, caption in near if picture is not None][:NEIGHBOURS_SHOWN]
    own = thumbnail(plate_id)
    return neighbours_strip([(own, plate_id), *shown]) if own is not None and shown else None

"""How a picture too large to copy is walked: in strips of whole rows. What is done to a strip lies elsewhere."""

from collections.abc import Iterator


def row_strips(height: int, width: int, strip_pixels: int) -> Iterator[slice]:
    """Yields slices of consecutive rows, top to bottom, that together cover each row once.

    Args:
        height: rows of the picture.
        width: pixels in a row.
        strip_pixels: most pixels of a strip; a strip has at least one row, however wide.
    """
    rows = max(1, strip_pixels // max(1, width))
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))

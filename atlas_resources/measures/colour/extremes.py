"""White, black and clipped pixels, counted at the depth that a scan's samples have."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Definition of `input_image.json`: every channel of a black pixel is at most this share of the range, 10 of 255.
BLACK_NUMERATOR, BLACK_DENOMINATOR = 10, 255


@dataclass(frozen=True)
class Extremes:
    """Numbers of pixels at the ends of the samples' range, 0 to 255 or 0 to 65535.

    Attributes:
        white_px: all channels at the maximum.
        black_px: all channels at most 10/255 of the maximum: 10 at 8 bits, 2570 at 16 bits.
        clipped_low_px: any channel at 0.
        clipped_high_px: any channel at the maximum.
    """

    white_px: int
    black_px: int
    clipped_low_px: int
    clipped_high_px: int

    def __add__(self, other: "Extremes") -> "Extremes":
        """The counts of both sets of pixels together."""
        return Extremes(
            self.white_px + other.white_px,
            self.black_px + other.black_px,
            self.clipped_low_px + other.clipped_low_px,
            self.clipped_high_px + other.clipped_high_px,
        )


def count_extremes(
    samples: NDArray[np.uint8] | NDArray[np.uint16], counts: NDArray[np.int64] | None = None
) -> Extremes:
    """Counts the pixels at the ends of the range of their type.

    Args:
        samples: uint8 or uint16 [N, C], a row for each pixel or distinct colour, a column for each colour channel.
        counts: int64 [N], pixels of each row; None counts each row once.

    Raises:
        ValueError: the samples are not of that dtype and shape.
    """
    if samples.dtype not in (np.uint8, np.uint16) or samples.ndim != 2:
        raise ValueError(f"count_extremes needs uint8 or uint16 [N, C], found {samples.dtype} {list(samples.shape)}")
    maximum = int(np.iinfo(samples.dtype).max)
    lowest, highest = samples[:, 0], samples[:, 0]
    for channel in range(1, samples.shape[1]):
        lowest = np.minimum(lowest, samples[:, channel])
        highest = np.maximum(highest, samples[:, channel])

    def pixels(holds: NDArray[np.bool_]) -> int:
        return int(np.count_nonzero(holds) if counts is None else counts[holds].sum())

    return Extremes(
        white_px=pixels(lowest == maximum),
        black_px=pixels(highest <= maximum * BLACK_NUMERATOR // BLACK_DENOMINATOR),
        clipped_low_px=pixels(lowest == 0),
        clipped_high_px=pixels(highest == maximum),
    )

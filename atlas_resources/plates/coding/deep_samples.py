"""The samples of 16-bit scans: read at their full depth, counted at it, and rounded to 8 bits.

Pillow loads 16-bit gray whole, but of colours only the high byte of each sample. Their low bytes are decoded here.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile

from atlas_resources.measures.colour.extremes import Extremes, count_extremes
from atlas_resources.measures.windows import row_strips

MAXIMUM = 65535

# Bounds the temporary arrays, some 60 bytes a pixel.
STRIP_PIXELS = 1 << 20

# The end of Pillow's raw mode that takes the other byte of each sample. B takes the first of two bytes, L the second,
# and N, of libtiff, the high one in memory, which is the second on the little-endian machines that Atlas runs on.
OTHER_BYTE = {"B": "L", "L": "B", "N": "B"}

Reopen = Callable[[], ImageFile.ImageFile]
Strips = Iterator[tuple[slice, NDArray[np.uint16]]]


@dataclass(frozen=True)
class Rounded:
    """A 16-bit scan at 8 bits, each sample round(sample / 257).

    Attributes:
        image: Mode L, LA, RGB, RGBA or CMYK, with the `info` of the scan; black is 0, and alpha is not premultiplied.
        extremes: Of the 16-bit samples, alpha composited over white; None for CMYK, whose samples are inks.
    """

    image: Image.Image
    extremes: Extremes | None


def round_to_8_bits(image: ImageFile.ImageFile, reopen: Reopen, *, is_white_zero: bool) -> Rounded:
    """Rounds a loaded 16-bit scan to 8 bits.

    Args:
        image: Loaded, of mode I;16, I;16B, RGB, RGBA or CMYK.
        reopen: Opens the same page of the same file again, without loading it.
        is_white_zero: Whether 0 is white in 16-bit gray.

    Raises:
        ValueError: Pillow reads the samples in an unknown arrangement.
    """
    if image.mode.startswith("I;16"):
        has_alpha = "transparency" in image.info
        mode, strips = "LA" if has_alpha else "L", _gray_strips(image, is_white_zero)
    elif _raw_mode(opened := reopen()) == "LA;16B":
        mode, strips = "LA", _gray_alpha_strips(_loaded_as(opened, "RGBA"))
    else:
        mode, strips = image.mode, _colour_strips(image, reopen)
    rounded, extremes = Image.new(mode, image.size), Extremes(0, 0, 0, 0)
    for rows, samples in strips:
        eight_bits = ((samples.astype(np.uint32) + 128) // 257).astype(np.uint8)
        size = (image.width, rows.stop - rows.start)
        rounded.paste(Image.frombytes(mode, size, eight_bits.tobytes()), (0, rows.start))
        extremes += count_extremes(_over_white(samples, mode).reshape(-1, len(mode.removesuffix("A"))))
    rounded.info = {name: value for name, value in image.info.items() if name != "transparency"}
    return Rounded(rounded, None if mode == "CMYK" else extremes)


def _gray_strips(image: Image.Image, is_white_zero: bool) -> Strips:
    """Samples [h, W, 1] of 16-bit gray; [h, W, 2] with the alpha of its one transparent level, if it has one."""
    for rows in row_strips(image.height, image.width, STRIP_PIXELS):
        gray = np.asarray(_strip(image, rows)).astype(np.uint16)
        level = MAXIMUM - gray if is_white_zero else gray
        if "transparency" not in image.info:
            yield rows, level[..., None]
        else:
            alpha = np.where(gray == image.info["transparency"], 0, MAXIMUM).astype(np.uint16)
            yield rows, np.stack([level, alpha], axis=2)


def _gray_alpha_strips(image: Image.Image) -> Strips:
    """Samples [h, W, 2] of gray and alpha, loaded as four bytes a pixel: both bytes of gray, then of alpha."""
    for rows in row_strips(image.height, image.width, STRIP_PIXELS):
        yield rows, _joined(*(np.asarray(_strip(image, rows))[..., first::2] for first in (0, 1)))


def _colour_strips(image: Image.Image, reopen: Reopen) -> Strips:
    """Samples [h, W, 3 or 4] of RGB, RGBA or CMYK. Premultiplied alpha is divided out."""
    raw_mode = _raw_mode(reopen())
    is_premultiplied = raw_mode.startswith("RGBa")
    raw_mode = raw_mode.replace("RGBa", "RGBA")
    high = _loaded_as(reopen(), raw_mode) if is_premultiplied else image
    low = _loaded_as(reopen(), raw_mode[:-1] + OTHER_BYTE[raw_mode[-1]])
    for rows in row_strips(image.height, image.width, STRIP_PIXELS):
        samples = _joined(np.asarray(_strip(high, rows)), np.asarray(_strip(low, rows)))
        yield rows, _without_premultiplied_alpha(samples) if is_premultiplied else samples


def _raw_mode(image: ImageFile.ImageFile) -> str:
    """Pillow's name of how a file's 16-bit samples are arranged. Raises ValueError for one that is not known here."""
    arguments = image.tile[0].args
    raw_mode = arguments if isinstance(arguments, str) else str(arguments and arguments[0])
    if raw_mode[-4:-1] != ";16" or raw_mode[-1] not in OTHER_BYTE:
        raise ValueError(f"16-bit samples arranged as {raw_mode}")
    return raw_mode


def _loaded_as(image: ImageFile.ImageFile, raw_mode: str) -> Image.Image:
    """Loads an opened file whose bytes are arranged as another raw mode than its header says."""
    tiles = []
    for tile in image.tile:
        arguments = raw_mode if isinstance(tile.args, str) or tile.args is None else (raw_mode, *tile.args[1:])
        tiles.append(tile._replace(args=arguments))
    image.tile = tiles
    image.load()
    return image


def _strip(image: Image.Image, rows: slice) -> Image.Image:
    return image.crop((0, rows.start, image.width, rows.stop))


def _joined(high: NDArray[np.uint8], low: NDArray[np.uint8]) -> NDArray[np.uint16]:
    joined = high.astype(np.uint16)
    joined <<= 8
    joined |= low
    return joined


def _without_premultiplied_alpha(samples: NDArray[np.uint16]) -> NDArray[np.uint16]:
    """RGBA [h, W, 4] whose colours were multiplied by alpha, divided by it; rounded, at most MAXIMUM."""
    alpha = samples[..., 3:].astype(np.uint64)
    colour = (samples[..., :3] * np.uint64(MAXIMUM) + alpha // 2) // np.maximum(alpha, 1)
    return np.concatenate([np.minimum(colour, MAXIMUM).astype(np.uint16), samples[..., 3:]], axis=2)


def _over_white(samples: NDArray[np.uint16], mode: str) -> NDArray[np.uint16]:
    """The colour channels [h, W, C]; with alpha, composited over white and rounded."""
    if not mode.endswith("A"):
        return samples
    colour, alpha = samples[..., :-1].astype(np.uint64), samples[..., -1:].astype(np.uint64)
    return ((colour * alpha + MAXIMUM * (MAXIMUM - alpha) + MAXIMUM // 2) // MAXIMUM).astype(np.uint16)

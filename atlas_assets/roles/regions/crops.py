"""Kept segments cut out of their plate, as an instrument that is shown segments declares it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from atlas_assets.roles.declared import ContractBroken
from atlas_assets.roles.embedding import Box
from atlas_assets.roles.regions.plate_segments import PlateSegments, declared_region
from atlas_assets.ui.regions import RegionCard
from atlas_resources.instruments.spec.input import Crop
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.measures.colour.census import count_colours
from atlas_resources.measures.colour.lab import srgb8_of
from atlas_resources.measures.colour.paper import split_paper
from atlas_resources.measures.masks.crops import CropBox, crop_box, cut_out

SHOWN_PX = 96  # longest side of a crop on the preview sheet


@dataclass(frozen=True)
class CutSegment:
    """A segment as a model sees it.

    Attributes:
        segment_id: its id in the raw set.
        box: of the segment itself, in source pixels.
        pixels: the crop, uint8 sRGB [h, w, 3].
    """

    segment_id: str
    box: Box
    pixels: np.ndarray


def declared_crop(spec: Spec) -> Crop:
    """The crop that the spec declares. Raises ContractBroken without one."""
    crop = declared_region(spec).crop
    if crop is None:
        raise ContractBroken(f"{spec.key}: an instrument that is shown segments must declare a crop")
    return crop


def cut_segments(segments: PlateSegments, crop: Crop) -> Iterator[CutSegment]:
    """Yields the kept segments by rank, cut out. One is in memory at a time."""
    beyond = _tone_beyond(segments.pixels, crop)
    for segment in segments.segments():
        box = Box(*(segment.row[name] for name in Box._fields))
        around = crop_box(CropBox(*box), crop.padding_ratio, crop.shape)
        mask = None if crop.surroundings == "as_scanned" else segment.mask
        yield CutSegment(segment.segment_id, box, cut_out(segments.pixels, around, beyond, mask))


def card_of(cut: CutSegment) -> RegionCard:
    """A small image of a crop for the preview sheet."""
    image = Image.fromarray(cut.pixels)
    image.thumbnail((SHOWN_PX, SHOWN_PX))
    return RegionCard(cut.segment_id, np.asarray(image), ())


def _tone_beyond(pixels: np.ndarray, crop: Crop) -> tuple[int, int, int]:
    """sRGB of the pixels outside the mask; with `as_scanned`, only of those outside the image."""
    if crop.surroundings.startswith("#"):
        red, green, blue = bytes.fromhex(crop.surroundings[1:])
        return red, green, blue
    return srgb8_of(split_paper(count_colours(pixels)).tone)

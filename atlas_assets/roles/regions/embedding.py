"""Embeddings of segments: each kept segment is cut out as declared, then embedded as if it were a plate."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from atlas_assets.roles.declared import ContractBroken, declared_preprocessing
from atlas_assets.roles.embedding import Box, EmbeddingWork, Part, PreparedParts, embedding_rows
from atlas_assets.roles.regions.plate_segments import PlateSegments, RegionWork, declared_region
from atlas_assets.ui.regions import RegionCard, region_sheet
from atlas_resources.instruments.spec.input import Crop
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.measures.colour.census import count_colours
from atlas_resources.measures.colour.lab import srgb8_of
from atlas_resources.measures.colour.paper import split_paper
from atlas_resources.measures.masks.crops import CropBox, crop_box, cut_out
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.plates.plate import Plate
from atlas_resources.runs.sealing import Measurement
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import SealedResult

SHOWN_PX = 96  # longest side of a crop on the preview sheet


@dataclass(frozen=True)
class Crops:
    """A plate's segments, cut out: the model's inputs, and a small image of each."""

    prepared: PreparedParts
    cards: list[RegionCard]


class RegionEmbeddingWork:
    """One vector per kept segment, by the same code that embeds the parts of a plate."""

    def __init__(self, spec: Spec, load: Callable[[], Any]):
        self.spec = spec
        self._regions = RegionWork(spec, load)
        self._embedding = EmbeddingWork(spec, load)

    def load(self) -> None:
        """Loads the model and builds the preprocessing, which is applied after the crop."""
        crop = declared_region(self.spec).crop
        if crop is None:
            raise ContractBroken(f"{self.spec.key}: an embedding of segments must declare a crop")
        self._crop = crop
        self._preprocess = build_preprocess(declared_preprocessing(self.spec))
        self._embedding.load()

    def prepare(self, plate: Plate, upstream: SealedResult | None, stopwatch: Stopwatch) -> Crops:
        """The plate's crops, preprocessed. The plate is decoded once for all of them, and its pixels are not kept."""
        segments: PlateSegments = self._regions.prepare(plate, upstream, stopwatch)
        beyond = _tone_beyond(segments.pixels, self._crop)
        crops = Crops(PreparedParts([], []), [])
        for segment in segments.segments():
            box = Box(*(segment.row[name] for name in Box._fields))
            cut = Image.fromarray(_cut(segments.pixels, box, beyond, segment.mask, self._crop))
            crops.prepared.parts.append(Part("segment", box, segment.segment_id, crop_policy=self._crop.tag))
            crops.prepared.inputs.append(self._preprocess(cut))
            cut.thumbnail((SHOWN_PX, SHOWN_PX))
            crops.cards.append(RegionCard(segment.segment_id, np.asarray(cut), ()))
        return crops

    def measure(self, batch: list[Crops]) -> list[Measurement]:
        """One row per segment: its raw vector and L2 norm."""
        vectors = self._embedding.vectors_of([crops.prepared for crops in batch])
        return [self._measurement(crops, found) for crops, found in zip(batch, vectors, strict=True)]

    def _measurement(self, crops: Crops, vectors: list[np.ndarray]) -> Measurement:
        metrics = {"segment_count": len(vectors), "crop_policy": self._crop.tag}
        preview = region_sheet(crops.cards) if crops.cards else None
        return Measurement(embedding_rows(crops.prepared.parts, vectors), metrics, preview)


def _tone_beyond(pixels: np.ndarray, crop: Crop) -> tuple[int, int, int]:
    """sRGB of the pixels outside the mask; with `as_scanned`, only of those outside the image."""
    if crop.surroundings.startswith("#"):
        red, green, blue = bytes.fromhex(crop.surroundings[1:])
        return red, green, blue
    return srgb8_of(split_paper(count_colours(pixels)).tone)


def _cut(pixels: np.ndarray, box: Box, beyond: tuple[int, int, int], mask: np.ndarray, crop: Crop) -> np.ndarray:
    around = crop_box(CropBox(*box), crop.padding_ratio, crop.shape)
    return cut_out(pixels, around, beyond, None if crop.surroundings == "as_scanned" else mask)

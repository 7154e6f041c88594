"""Embeddings of segments: each kept segment is cut out as declared, then embedded as if it were a plate."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from atlas_assets.roles.declared import declared_preprocessing
from atlas_assets.roles.embedding import EmbeddingWork, Part, PreparedParts, embedding_rows
from atlas_assets.roles.regions.crops import card_of, cut_segments, declared_crop
from atlas_assets.roles.regions.plate_segments import PlateSegments, RegionWork
from atlas_assets.ui.regions import RegionCard, region_sheet
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.plates.plate import Plate
from atlas_resources.runs.sealing import Measurement
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import SealedResult


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
        self._crop = declared_crop(self.spec)
        self._preprocess = build_preprocess(declared_preprocessing(self.spec))
        self._embedding.load()

    def prepare(self, plate: Plate, upstream: SealedResult | None, stopwatch: Stopwatch) -> Crops:
        """The plate's crops, preprocessed. The plate is decoded once for all of them, and its pixels are not kept."""
        segments: PlateSegments = self._regions.prepare(plate, upstream, stopwatch)
        crops = Crops(PreparedParts([], []), [])
        for cut in cut_segments(segments, self._crop):
            part = Part("segment", cut.box, cut.segment_id, crop_policy=self._crop.tag)
            crops.prepared.parts.append(part)
            crops.prepared.inputs.append(self._preprocess(Image.fromarray(cut.pixels)))
            crops.cards.append(card_of(cut))
        return crops

    def measure(self, batch: list[Crops]) -> list[Measurement]:
        """One row per segment: its raw vector and L2 norm."""
        vectors = self._embedding.vectors_of([crops.prepared for crops in batch])
        return [self._measurement(crops, found) for crops, found in zip(batch, vectors, strict=True)]

    def _measurement(self, crops: Crops, vectors: list[np.ndarray]) -> Measurement:
        metrics = {"segment_count": len(vectors), "crop_policy": self._crop.tag}
        preview = region_sheet(crops.cards) if crops.cards else None
        return Measurement(embedding_rows(crops.prepared.parts, vectors), metrics, preview)

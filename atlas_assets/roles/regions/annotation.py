"""Annotations of segments: each kept segment is cut out as declared, then described as if it were a plate."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from atlas_assets.roles.embedding import Box
from atlas_assets.roles.regions.crops import CutSegment, card_of, cut_segments, declared_crop
from atlas_assets.roles.regions.plate_segments import PlateSegments, RegionWork
from atlas_assets.roles.text.answering import Asked, Interview, metrics_of
from atlas_assets.ui.regions import RegionCard, region_sheet
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.protocols import TextLine
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import ServerRecord
from atlas_resources.runs.sealing import Measurement
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import SealedResult
from atlas_resources.tables.table import frame_of
from atlas_resources.tables.text_columns import ANSWER, TEXT


@dataclass(frozen=True)
class SegmentsToDescribe:
    """A plate's kept segments, cut out, and a small image of each."""

    cuts: list[CutSegment]
    cards: list[RegionCard]


class RegionAnnotationWork:
    """Asks a model about each kept segment, by the same code that asks about plates."""

    def __init__(self, spec: Spec, load: Callable[[], Any]):
        self.spec = spec
        self._regions = RegionWork(spec, load)
        self._interview = Interview(spec, load)
        self._crop = declared_crop(spec)

    def load(self) -> None:
        """Loads the model."""
        self._interview.load()

    def prepare(self, plate: Plate, upstream: SealedResult | None, stopwatch: Stopwatch) -> SegmentsToDescribe:
        """The crops by rank. The plate is decoded once for all of them, and its pixels are not kept."""
        segments: PlateSegments = self._regions.prepare(plate, upstream, stopwatch)
        cuts = list(cut_segments(segments, self._crop))
        return SegmentsToDescribe(cuts, [card_of(cut) for cut in cuts])

    @property
    def server(self) -> ServerRecord | None:
        """The server that answers for the loaded model; None for a model of this process."""
        return getattr(self._interview.model, "server", None)

    @property
    def device_map(self) -> dict[str, str] | None:
        """Which part of the loaded model is where; None for a model on one device."""
        return getattr(self._interview.model, "device_map", None)

    def measure(self, batch: list[SegmentsToDescribe]) -> list[Measurement]:
        """A row per segment, question and attempt. Regions that a model finds on a crop are not placed on the plate."""
        return [self._measure_one(segments) for segments in batch]

    def _measure_one(self, segments: SegmentsToDescribe) -> Measurement:
        rows: list[dict[str, Any]] = []
        attempts: list[Asked] = []
        for cut in segments.cuts:
            asked = self._interview.ask(cut.pixels, {})
            attempts += asked
            own: dict[str, Any] = {"before": f"{cut.segment_id}-", "segment_id": cut.segment_id}
            rows += [self._interview.rows(one, place=_place(cut.box), **own)[0] for one in asked]
        metrics = {**metrics_of(attempts), "segment_count": len(segments.cuts), "crop_policy": self._crop.tag}
        preview = region_sheet(segments.cards) if segments.cards else None
        return Measurement(frame_of((*TEXT, *ANSWER), rows), metrics, preview)


def _place(box: Box) -> TextLine:
    """The segment's box as a place: corners clockwise from the upper left, source pixels."""
    left, top, right, bottom = box
    return TextLine("", None, np.array([[left, top], [right, top], [right, bottom], [left, bottom]], np.float64))

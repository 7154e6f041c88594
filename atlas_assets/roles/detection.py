"""Detections: labelled boxes on a plate, in its source's pixels."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from atlas_assets.roles.declared import ContractBroken, declared_preprocessing, require_finite, source_pixels
from atlas_assets.ui.boxes import box_overlay
from atlas_assets.ui.encoding import shrink
from atlas_resources.instruments.prompts import prompt_columns
from atlas_resources.instruments.spec.output import BoxesOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.protocols import Detection, Detector
from atlas_resources.plates.plate import Plate
from atlas_resources.runs.sealing import Measurement
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import SealedResult
from atlas_resources.tables.result_columns import DETECTION
from atlas_resources.tables.table import frame_of

PREVIEW_PX = 320


@dataclass(frozen=True)
class PlateToSearch:
    """A detector's input, float32 [3, H, W]; a small image of the plate; and the source's size in pixels."""

    pixels: Any
    picture: Image.Image
    source_width_px: int
    source_height_px: int


class DetectionWork:
    """Finds boxes, one plate at a time, so that no plate is padded to others in its batch."""

    def __init__(self, spec: Spec, load: Callable[[], Any]):
        self.spec = spec
        self._load = load

    def load(self) -> None:
        """Loads the model and builds the preprocessing."""
        self.model: Detector = self._load()
        self._preprocess = build_preprocess(declared_preprocessing(self.spec))

    def prepare(self, plate: Plate, upstream: SealedResult | None, stopwatch: Stopwatch) -> PlateToSearch:
        """The preprocessed pixels, and a small image for the preview."""
        source = source_pixels(plate, stopwatch)
        return PlateToSearch(self._preprocess(source), shrink(source, PREVIEW_PX), *source.size)

    def measure(self, batch: list[PlateToSearch]) -> list[Measurement]:
        """One row per box, highest score first."""
        return [self._measure_one(plate) for plate in batch]

    def _measure_one(self, plate: PlateToSearch) -> Measurement:
        if not isinstance(self.spec.output, BoxesOutput):
            raise ContractBroken(f"{self.spec.key}: a detection must declare an output of boxes")
        found = [_require_box(self.spec, box) for box in self.model.detect(plate.pixels)]
        if len(found) > self.spec.output.max_boxes:
            raise ContractBroken(
                f"{self.spec.key}: expected at most {self.spec.output.max_boxes} boxes, found {len(found)}"
            )
        found.sort(key=lambda box: (-box.score, *box.corners.tolist(), box.label))
        rows = [_row(number, box, plate) for number, box in enumerate(found, start=1)]
        metrics = {
            "detection_count": len(found),
            "label_count": len({box.shown_label for box in found}),
            "top_label": found[0].shown_label if found else None,
            "top_label_id": found[0].label_id if found else None,
            "top_score": found[0].score if found else None,
        }
        shown = [(tuple(box.corners.tolist()), f"{box.shown_label} {box.score:.2f}") for box in found]
        return Measurement(frame_of(DETECTION, rows), metrics, box_overlay(plate.picture, shown))


def _require_box(spec: Spec, box: Detection) -> Detection:
    """Returns the box. Raises ContractBroken for wrong corners, and for a score outside 0 to 1."""
    left, top, right, bottom = require_finite(spec, "a box", box.corners, (4,))
    if not (left <= right and top <= bottom):
        raise ContractBroken(f"{spec.key}: expected left <= right and top <= bottom in a box, found {box.corners}")
    if not 0 <= box.score <= 1:
        raise ContractBroken(f"{spec.key}: expected a score of 0 to 1, found {box.score}")
    return box


def _row(number: int, box: Detection, plate: PlateToSearch) -> dict[str, Any]:
    left, top, right, bottom = box.corners.astype(np.float64).tolist()
    return {
        "detection_id": f"box-{number:04d}",
        "label": box.label,
        "label_id": box.label_id,
        "score": box.score,
        "x_min": left * plate.source_width_px,
        "y_min": top * plate.source_height_px,
        "x_max": right * plate.source_width_px,
        "y_max": bottom * plate.source_height_px,
        "x_min_ratio": left,
        "y_min_ratio": top,
        "x_max_ratio": right,
        "y_max_ratio": bottom,
        **prompt_columns(box.prompt),
    }

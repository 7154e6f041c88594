"""What each role does with plates: prepare one, measure a batch, hold the result against the spec.

No Dagster, no runs.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from PIL import Image

from atlas_assets.pictures import mask_overlay, scores_plot
from atlas_resources.dataset import Dataset
from atlas_resources.images import decode
from atlas_resources.inference import Embedder, Mask, Scorer, Segmenter, build_preprocess, resize
from atlas_resources.runs import Measurement
from atlas_resources.specs import MasksOutput, Preprocessing, ScoresOutput, Spec, VectorOutput

PALETTE_COLOURS = 5  # per segment


class ContractBroken(ValueError):
    """A model gave something other than its spec declares."""


def _declared(spec: Spec) -> Preprocessing:
    if spec.preprocessing is None:
        raise ContractBroken(f"{spec.key}: preprocessing is not declared; see `atlas models check`")
    return spec.preprocessing


def _source_pixels(dataset: Dataset, plate_id: str) -> Image.Image:
    """The plate's 8-bit sRGB pixels, its bytes held against the registered digest."""
    return decode(dataset.source_path(plate_id), expected_sha256=dataset.source_sha256(plate_id)).image


def _require_finite(spec: Spec, name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    if values.shape != shape or values.dtype != np.float32:
        found = f"{values.dtype} {list(values.shape)}"
        raise ContractBroken(f"{spec.key}: expected {name} of float32 {list(shape)}, found {found}")
    if not np.isfinite(values).all():
        raise ContractBroken(
            f"{spec.key}: {name} has {np.count_nonzero(~np.isfinite(values))} values that are not finite"
        )
    return values


class TensorWork:
    """Shared way of a plate to a model that takes one tensor: decode, preprocess as declared, stack."""

    def __init__(self, spec: Spec, dataset: Dataset, load: Callable[[], Any]):
        self.spec = spec
        self.dataset = dataset
        self._load = load

    def load(self) -> None:
        """Loads the model and builds the preprocessing."""
        self.model = self._load()
        self._preprocess = build_preprocess(_declared(self.spec))

    def prepare(self, plate_id: str) -> Any:
        """float32 [3, H, W]."""
        return self._preprocess(_source_pixels(self.dataset, plate_id))

    def stack(self, batch: list[Any]) -> Any:
        """float32 [N, 3, H, W]."""
        import torch

        return torch.stack(batch)


class EmbeddingWork(TensorWork):
    """A vector per plate."""

    model: Embedder

    def measure(self, batch: list[Any]) -> list[Measurement]:
        """One row a plate: raw vector, its length."""
        if not isinstance(self.spec.output, VectorOutput):
            raise ContractBroken(f"{self.spec.key}: an embedding declares a vector")
        dim = self.spec.output.dim
        vectors = self.model.embed(self.stack(batch))
        return [self._measurement(_require_finite(self.spec, "a vector", vector, (dim,))) for vector in vectors]

    def _measurement(self, vector: np.ndarray) -> Measurement:
        l2_norm = float(np.linalg.norm(vector.astype(np.float64)))
        rows = pl.DataFrame(
            {
                "scope": ["plate"],
                "segment_id": [None],
                "vector_dim": [vector.size],
                "vector": [vector],
                "l2_norm": [l2_norm],
            },
            schema_overrides={"segment_id": pl.String, "vector": pl.List(pl.Float32)},
        )
        return Measurement(rows, {"vector_dim": vector.size, "l2_norm": l2_norm})


class ProbeWork(TensorWork):
    """A score per label and plate."""

    model: Scorer

    def measure(self, batch: list[Any]) -> list[Measurement]:
        """One row a label: logit and score, all of them, in the model's order."""
        output = self.spec.output
        if not isinstance(output, ScoresOutput):
            raise ContractBroken(f"{self.spec.key}: a probe declares scores")
        if len(self.model.labels) != output.count:
            raise ContractBroken(f"{self.spec.key}: expected {output.count} labels, found {len(self.model.labels)}")
        logits, scores = self.model.score(self.stack(batch))
        shape = (output.count,)
        return [
            self._measurement(
                output,
                _require_finite(self.spec, "logits", plate_logits, shape),
                _require_finite(self.spec, "scores", plate_scores, shape),
            )
            for plate_logits, plate_scores in zip(logits, scores, strict=True)
        ]

    def _measurement(self, output: ScoresOutput, logits: np.ndarray, scores: np.ndarray) -> Measurement:
        labels = self.model.labels
        rows = pl.DataFrame(
            {
                "label_index": np.arange(output.count, dtype=np.int32),
                "label_id": [label.label_id for label in labels],
                "label": [label.name for label in labels],
                "logit": logits,
                "score": scores,
            }
        ).with_columns(
            calibration=pl.lit(output.calibration),
            failure_modes=pl.lit("; ".join(mode.fact for mode in self.spec.failure_modes)),
        )
        best = np.argsort(-scores, kind="stable")[:5]
        names = [labels[index].name.split(",")[0] for index in best]
        metrics = {"top_label": names[0], "top_score": float(scores[best[0]])}
        return Measurement(rows, metrics, scores_plot(names, [float(scores[index]) for index in best]))


@dataclass(frozen=True)
class WorkingRaster:
    """A plate as a segmenter sees it: uint8 sRGB [h, w, 3], and the size of the source it came from."""

    pixels: np.ndarray
    source_width_px: int
    source_height_px: int


class SegmentationWork:
    """Masks of a plate, mapped back to its source's pixels."""

    def __init__(self, spec: Spec, dataset: Dataset, load: Callable[[], Any]):
        self.spec = spec
        self.dataset = dataset
        self._load = load

    def load(self) -> None:
        """Loads the model."""
        self.model: Segmenter = self._load()

    def prepare(self, plate_id: str) -> WorkingRaster:
        """The declared working raster."""
        source = _source_pixels(self.dataset, plate_id)
        working = resize(source, _declared(self.spec))
        return WorkingRaster(np.asarray(working), *source.size)

    def measure(self, batch: list[WorkingRaster]) -> list[Measurement]:
        """One row a mask, ids in order of area, then position."""
        return [self._measure_one(raster) for raster in batch]

    def _measure_one(self, raster: WorkingRaster) -> Measurement:
        masks = [_require_mask(self.spec, mask, raster) for mask in self.model.segment(raster.pixels)]
        rows = [(row, mask) for mask in masks if (row := _segment_row(mask, raster)) is not None]
        rows.sort(key=lambda pair: (-pair[0]["area_px"], pair[0]["y_min"], pair[0]["x_min"], pair[0]["mask_sha256"]))
        for number, (row, _) in enumerate(rows, start=1):
            row["segment_id"] = f"mask-{number:04d}"
        covered = np.any([mask.pixels for _, mask in rows], axis=0) if rows else np.zeros(1, dtype=bool)
        metrics = {
            "segment_count": len(rows),
            "covered_ratio": float(np.mean(covered)),
            "largest_area_ratio": rows[0][0]["area_ratio"] if rows else 0.0,
        }
        shown = [mask.pixels for _, mask in rows if mask.class_name != "paper"]
        preview = mask_overlay(Image.fromarray(raster.pixels), shown)
        return Measurement(_segment_frame([row for row, _ in rows]), metrics, preview)


def _require_mask(spec: Spec, mask: Mask, raster: WorkingRaster) -> Mask:
    """The mask, if it is what the spec declares."""
    shape = raster.pixels.shape[:2]
    if mask.pixels.shape != shape or mask.pixels.dtype != np.bool_:
        found = f"{mask.pixels.dtype} {list(mask.pixels.shape)}"
        raise ContractBroken(f"{spec.key}: expected a mask of bool {list(shape)}, found {found}")
    classes = spec.output.classes if isinstance(spec.output, MasksOutput) else []
    if mask.class_name not in (classes or [None]):
        raise ContractBroken(f"{spec.key}: expected a class of {classes or 'none'}, found {mask.class_name!r}")
    for name, value in (("predicted_iou", mask.predicted_iou), ("stability_score", mask.stability_score)):
        if value is not None and not np.isfinite(value):
            raise ContractBroken(f"{spec.key}: expected a finite {name}, found {value}")
    return mask


def at_source_size(mask: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """A working mask bool [h, w] on the source's pixels [height_px, width_px]: each takes the nearest working pixel."""
    rows = (np.arange(height_px) * 2 + 1) * mask.shape[0] // (2 * height_px)
    columns = (np.arange(width_px) * 2 + 1) * mask.shape[1] // (2 * width_px)
    return mask[rows[:, None], columns[None, :]]


def _segment_row(mask: Mask, raster: WorkingRaster) -> dict[str, Any] | None:
    """What is measured of one mask; None for one that has no pixel at the source's size."""
    from atlas_assets.measures.census import (
        count_colours,
    )  # SciPy and scikit-image load slowly; the graph needs neither
    from atlas_assets.measures.palette import dominant_colours
    from atlas_assets.measures.segments import encode_mask, measure_mask

    source_mask = at_source_size(mask.pixels, raster.source_width_px, raster.source_height_px)
    if not source_mask.any():
        return None
    encoded = encode_mask(source_mask)
    shape = asdict(measure_mask(source_mask))
    return {
        **shape,
        "touches_border": shape["is_touching_border"],
        "class_name": mask.class_name,
        "mask_rle": encoded.counts,
        "mask_sha256": encoded.sha256,
        "height_px": encoded.height,
        "width_px": encoded.width,
        "predicted_iou": mask.predicted_iou,
        "stability_score": mask.stability_score,
        "palette": [
            asdict(colour) for colour in dominant_colours(count_colours(raster.pixels, mask.pixels), PALETTE_COLOURS)
        ],
    }


def _segment_frame(rows: list[dict[str, Any]]) -> pl.DataFrame:
    from atlas_resources.tables import SEGMENT

    schema = {column.name: column.dtype for column in SEGMENT}
    return pl.DataFrame([{name: row[name] for name in schema} for row in rows], schema=schema)

"""Embeddings: a vector per plate, and one per tile where the spec declares a grid."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
import polars as pl
from PIL import Image

from atlas_assets.roles.declared import ContractBroken, declared_pixels, require_finite
from atlas_assets.roles.tensors import TensorWork
from atlas_resources.instruments.spec.output import VectorOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.measures.tiles import tile_grid
from atlas_resources.models.inputs import ModelInput
from atlas_resources.models.memory import is_out_of_memory
from atlas_resources.models.protocols import Embedder
from atlas_resources.plates.plate import Plate
from atlas_resources.runs.sealing import Measurement
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import SealedResult
from atlas_resources.tables.result_columns import EMBEDDING
from atlas_resources.tables.table import frame_of


class Box(NamedTuple):
    """A box in source pixels: left and top inclusive, right and bottom exclusive."""

    x_min: int
    y_min: int
    x_max: int
    y_max: int


@dataclass(frozen=True)
class Part:
    """The part of a plate that a vector describes: the whole plate, or the box of a segment or a tile."""

    scope: Literal["plate", "segment", "tile"]
    box: Box | None = None
    segment_id: str | None = None
    tile_id: str | None = None
    crop_policy: str | None = None


WHOLE_PLATE = Part("plate")


def embedding_rows(parts: Sequence[Part], vectors: Sequence[np.ndarray]) -> pl.DataFrame:
    """One row per part: its raw float32 vector, and the vector's L2 norm computed in float64."""
    rows = [
        {
            "scope": part.scope,
            "segment_id": part.segment_id,
            "tile_id": part.tile_id,
            **(part.box._asdict() if part.box else {}),
            "crop_policy": part.crop_policy,
            "vector_dim": vector.size,
            "vector": vector,
            "l2_norm": float(np.linalg.norm(vector.astype(np.float64))),
        }
        for part, vector in zip(parts, vectors, strict=True)
    ]
    return frame_of(EMBEDDING, rows)


@dataclass(frozen=True)
class PreparedParts:
    """The parts of a plate to embed, the whole plate first, and a model input, float32 [3, H, W], for each."""

    parts: list[Part]
    inputs: list[ModelInput]


def parts_of(spec: Spec, width_px: int, height_px: int) -> list[Part]:
    """The whole plate, then the tiles of each declared grid. Raises ValueError for a plate too small for a grid."""
    if spec.tiles is None:
        return [WHOLE_PLATE]
    tiles = [
        tile for grid in spec.tiles.grids for tile in tile_grid(width_px, height_px, grid, spec.tiles.overlap_ratio)
    ]
    return [WHOLE_PLATE, *(Part("tile", Box(*tile[1:]), tile_id=tile.tile_id) for tile in tiles)]


def prepare_parts(spec: Spec, image: Image.Image, preprocess: Callable[[Image.Image], ModelInput]) -> PreparedParts:
    """Cuts a plate into its parts and preprocesses each as if it were a plate. One crop is in memory at a time."""
    parts = parts_of(spec, *image.size)
    return PreparedParts(parts, [preprocess(image.crop(part.box) if part.box else image) for part in parts])


Map = Callable[[Callable[[Image.Image], ModelInput], Iterable[Image.Image]], Iterable[ModelInput]]


class EmbeddingWork(TensorWork):
    """One vector per plate, and one per tile."""

    model: Embedder

    def load(self) -> None:
        """Loads the model and builds the preprocessing."""
        super().load()
        self._batch_limit = self.spec.batch_size

    def prepare(self, plate: Plate, upstream: SealedResult | None, stopwatch: Stopwatch) -> PreparedParts:
        """Decodes the plate once for all of its parts. Only the model's inputs are kept in memory."""
        if self._preprocess is None:
            return PreparedParts([WHOLE_PLATE], [super().prepare(plate, upstream, stopwatch)])
        return prepare_parts(self.spec, declared_pixels(self.spec, plate, stopwatch), self._preprocess)

    def embed_picture(self, image: Image.Image) -> np.ndarray:
        """The raw vector of a whole picture, float32 [dim], preprocessed and checked as that of a plate.

        Args:
            image: 8-bit sRGB, as `plates.decode` gives it. It need not be of a plate.

        Raises:
            ContractBroken: the instrument reads no pixels, or its model breaks the declared output.
        """
        return self.embed_pictures([image])[0]

    def embed_pictures(self, images: Sequence[Image.Image], each: Map = map) -> np.ndarray:
        """The raw vectors of whole pictures, float32 [pictures, dim], which go through the model together.

        Args:
            images: as of `embed_picture`; prepared, they must have one shape if there are several.
            each: how preprocessing is mapped over them: `map`, or that of a pool of threads.

        Raises:
            ContractBroken: see `embed_picture`.
        """
        if self._preprocess is None:
            raise ContractBroken(f"{self.spec.key}: expected an instrument that reads pixels, not {self.spec.upstream}")
        prepared = [PreparedParts([WHOLE_PLATE], [one]) for one in each(self._preprocess, images)]
        return np.stack([vector for (vector,) in self.vectors_of(prepared)])

    def measure(self, batch: list[PreparedParts]) -> list[Measurement]:
        """One row per part: its raw vector and L2 norm."""
        vectors = self.vectors_of(batch)
        return [self._measurement(plate.parts, found) for plate, found in zip(batch, vectors, strict=True)]

    def vectors_of(self, batch: Sequence[PreparedParts]) -> list[list[np.ndarray]]:
        """The raw vectors of each plate's parts. Parts of all plates go through the model together."""
        if not isinstance(self.spec.output, VectorOutput):
            raise ContractBroken(f"{self.spec.key}: an embedding must declare an output of a vector")
        dim = self.spec.output.dim
        inputs = [tensor for plate in batch for tensor in plate.inputs]
        found = iter(self._embed(inputs, is_alone=len(batch) == 1))
        return [[require_finite(self.spec, "a vector", next(found), (dim,)) for _ in plate.parts] for plate in batch]

    def _embed(self, inputs: list[ModelInput], *, is_alone: bool) -> list[np.ndarray]:
        """One vector per input, `batch_size` at a time; fewer if the parts of one plate do not fit into the memory."""
        vectors: list[np.ndarray] = []
        while len(vectors) < len(inputs):
            some = inputs[len(vectors) : len(vectors) + self._batch_limit]
            is_too_large = False
            try:
                vectors += self._embed_together(some)
            except Exception as error:  # any error but one of memory is raised again
                is_too_large = is_alone and len(some) > 1 and is_out_of_memory(error)
                if not is_too_large:
                    raise
            if is_too_large:  # outside the handler, whose traceback would keep the inputs alive
                self._batch_limit = len(some) // 2
        return vectors

    def _embed_together(self, inputs: list[ModelInput]) -> list[np.ndarray]:
        found = list(self.model.embed(self.stack(inputs)))
        if len(found) != len(inputs):
            raise ContractBroken(f"{self.spec.key}: expected {len(inputs)} vectors, found {len(found)}")
        return found

    def _measurement(self, parts: Sequence[Part], vectors: list[np.ndarray]) -> Measurement:
        rows = embedding_rows(parts, vectors)
        metrics: dict[str, Any] = {"vector_dim": vectors[0].size, "l2_norm": rows["l2_norm"][0]}
        if self.spec.tiles:
            metrics["tile_count"] = len(parts) - 1
        return Measurement(rows, metrics)

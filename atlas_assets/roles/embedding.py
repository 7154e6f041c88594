"""Embeddings: a vector per plate."""

from typing import Any

import numpy as np
import polars as pl

from atlas_assets.roles.contract import ContractBroken, require_finite
from atlas_assets.roles.tensors import TensorWork
from atlas_resources.inference import Embedder
from atlas_resources.runs import Measurement
from atlas_resources.specs import VectorOutput


class EmbeddingWork(TensorWork):
    """A vector per plate."""

    model: Embedder

    def measure(self, batch: list[Any]) -> list[Measurement]:
        """One row a plate: raw vector, its length."""
        if not isinstance(self.spec.output, VectorOutput):
            raise ContractBroken(f"{self.spec.key}: an embedding declares a vector")
        dim = self.spec.output.dim
        vectors = self.model.embed(self.stack(batch))
        return [self._measurement(require_finite(self.spec, "a vector", vector, (dim,))) for vector in vectors]

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

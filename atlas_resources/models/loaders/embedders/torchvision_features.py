"""ImageNet networks of torchvision without their classifiers, from the weight files that torchvision names."""

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
    """A network of torchvision, and its submodule after the pooled feature, which is removed."""

    name: str
    classifier: str
    pooled_feature: str = "global_average_pool"


ARCHITECTURE_OF_WEIGHTS = {
    "ResNet50_Weights": Architecture("resnet50", "fc"),
    "VGG16_Weights": Architecture("vgg16", "classifier"),
    "EfficientNet_B0_Weights": Architecture("efficientnet_b0", "classifier"),
    "EfficientNet_B4_Weights": Architecture("efficientnet_b4", "classifier"),
    # The classifier begins with a layer norm, which belongs to the feature.
    "ConvNeXt_Tiny_Weights": Architecture("convnext_tiny", "classifier.2", "global_average_pool_layer_norm"),
    "ConvNeXt_Small_Weights": Architecture("convnext_small", "classifier.2", "global_average_pool_layer_norm"),
}


def _require_declared(spec: Spec, own: WeightsEnum, architecture: Architecture, weights: LocatedWeights) -> None:
    """Raises unless the spec names the file and the feature of the weights in its model id."""
    file_name = own.url.rpartition("/")[2]
    if weights.only_file().name != file_name:
        raise WeightsMismatch(
            f"{spec.key}: {spec.model_id} is in {file_name}, model_specs/{spec.key}.yaml names "
            f"{weights.only_file().name}. Fix: correct weights.files or model_id."
        )
    if isinstance(spec.output, VectorOutput) and spec.output.pooled_feature != architecture.pooled_feature:
        raise ValueError(
            f"{spec.key}: the feature before the classifier of {architecture.name} is {architecture.pooled_feature}, "
            f"model_specs/{spec.key}.yaml declares {spec.output.pooled_feature}"
        )


def load(spec: Spec, weights: LocatedWeights, device: str) -> FeatureEmbedder:
    """Loads the network whose feature is the mean of the last feature map, after the layer norm if there is one.

    Builds the architecture, fills it with all weights, and removes the classifier. VGG-16 pools to 7 x 7 cells for its
    classifier; its pool is replaced by one to a single cell, as the other networks have.

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

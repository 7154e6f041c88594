"""AIMv2, loaded by timm, since the pinned weights are in the authors' layout and not in that of transformers."""

import timm
from timm.models.vision_transformer import checkpoint_filter_fn

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._state_dicts import build_empty, fill, read_tensors
from atlas_resources.models.loaders.embedders._features import FeatureEmbedder
from atlas_resources.models.weights import LocatedWeights

ARCHITECTURE_OF_MODEL = {"apple/aimv2-large-patch14-336-distilled": "aimv2_large_patch14_336"}


def load(spec: Spec, weights: LocatedWeights, device: str) -> FeatureEmbedder:
    """Loads the network whose feature is the mean over the patch tokens after the final norm.

    Builds timm's architecture without a classifier and fills it. timm converts the names of the weights.

    Raises:
        WeightsMismatch: see `_state_dicts.fill`.
        ValueError: the model is not in ARCHITECTURE_OF_MODEL.
    """
    if (architecture := ARCHITECTURE_OF_MODEL.get(spec.model_id)) is None:
        known = ", ".join(ARCHITECTURE_OF_MODEL)
        raise ValueError(
            f"{spec.key}: the loader aimv2 knows {known}, model_specs/{spec.key}.yaml names {spec.model_id}"
        )
    network = build_empty(lambda: timm.create_model(architecture, pretrained=False, num_classes=0, global_pool="avg"))
    path = weights.only_file()
    tensors = checkpoint_filter_fn(read_tensors(path), network)  # type: ignore[arg-type] # timm gives a plain module
    return FeatureEmbedder(fill(network, tensors, spec, path).to(device), device)

"""SigLIP's vision tower with its attention-pooling head, from the hub's own layout, by transformers."""

from transformers import SiglipVisionModel

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders.embedders.features import FeatureEmbedder
from atlas_resources.models.loaders.snapshots import load_whole
from atlas_resources.models.weights import LocatedWeights


def load(spec: Spec, weights: LocatedWeights, device: str) -> FeatureEmbedder:
    """What the head attends to, in the space SigLIP shares with text. No projection follows it.

    See `snapshots.load_whole` for what it raises.
    """
    network = load_whole(SiglipVisionModel, spec, weights).eval().to(device)
    return FeatureEmbedder(network, device, lambda output: output.pooler_output)

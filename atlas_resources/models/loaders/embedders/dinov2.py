"""DINOv2 from the hub's own layout, by transformers."""

from transformers import Dinov2Model

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders.embedders.features import FeatureEmbedder
from atlas_resources.models.loaders.snapshots import load_whole
from atlas_resources.models.weights import LocatedWeights


def load(spec: Spec, weights: LocatedWeights, device: str) -> FeatureEmbedder:
    """The class token after the final layer norm. See `snapshots.load_whole` for what it raises."""
    network = load_whole(Dinov2Model, spec, weights).eval().to(device)
    return FeatureEmbedder(network, device, lambda output: output.pooler_output)

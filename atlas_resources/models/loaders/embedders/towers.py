"""CLIP's vision tower with its projection, from the hub's own layout, by transformers."""

from transformers import CLIPVisionModelWithProjection

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders.embedders.features import FeatureEmbedder
from atlas_resources.models.loaders.snapshots import load_whole
from atlas_resources.models.weights import LocatedWeights


def load(spec: Spec, weights: LocatedWeights, device: str) -> FeatureEmbedder:
    """The projected image embedding, in the space CLIP shares with text.

    See `snapshots.load_whole` for what it raises.
    """
    network = load_whole(CLIPVisionModelWithProjection, spec, weights).eval().to(device)
    return FeatureEmbedder(network, device, lambda output: output.image_embeds)

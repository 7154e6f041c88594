"""Vision towers in the hub's own layout, loaded by transformers: CLIP, DINOv2 and SigLIP."""

from dataclasses import dataclass
from typing import Any

from transformers import CLIPVisionModelWithProjection, Dinov2Model, SiglipVisionModel

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._snapshots import load_whole
from atlas_resources.models.loaders.embedders._features import FeatureEmbedder
from atlas_resources.models.weights import LocatedWeights


@dataclass(frozen=True)
class Tower:
    """An architecture of transformers, the field of its output that is the embedding, and the model's other parts.

    The embedding is [N, dim]. `others` are beginnings of the names of weights that belong to the text tower.
    """

    architecture: type[Any]
    feature: str
    others: tuple[str, ...] = ()


TOWERS: dict[str, Tower] = {  # by the spec's loader
    # The projection of the pooled output, in the space that CLIP shares with text.
    "clip": Tower(CLIPVisionModelWithProjection, "image_embeds", ("text_model.", "text_projection.", "logit_scale")),
    # The class token after the final layer norm.
    "dinov2": Tower(Dinov2Model, "pooler_output"),
    # The output of the attention-pooling head, in the space that SigLIP shares with text. No projection follows it.
    "siglip": Tower(SiglipVisionModel, "pooler_output", ("text_model.", "logit_scale", "logit_bias")),
}


def load(spec: Spec, weights: LocatedWeights, device: str) -> FeatureEmbedder:
    """Loads the tower of the spec's loader from the pinned snapshot.

    Raises:
        WeightsMismatch: see `_snapshots.load_whole`.
    """
    tower = TOWERS[spec.loader or ""]
    network = load_whole(tower.architecture, spec, weights, tower.others).eval().to(device)
    return FeatureEmbedder(network, device, lambda output: getattr(output, tower.feature))

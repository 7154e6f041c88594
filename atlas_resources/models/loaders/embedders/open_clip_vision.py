"""Vision towers of open_clip with their projection, for weights that are not in the layout of transformers."""

import json
from typing import Any

import open_clip
import torch
from open_clip.model import CLIPTextCfg, CLIPVisionCfg

from atlas_resources.instruments.parameters.open_clip import OPEN_CLIP_SNAPSHOT, OpenClipParameters
from atlas_resources.instruments.spec.pins import is_pinned
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models._departures import require_same_steps
from atlas_resources.models.loaders._state_dicts import build_empty, fill, read_tensors
from atlas_resources.models.loaders.embedders._features import FeatureEmbedder
from atlas_resources.models.processor_steps import steps_of_open_clip
from atlas_resources.models.weights import LocatedWeights, WeightsMismatch

CONFIGURATION = "open_clip_config.json"
# open_clip builds a text tower in any case; this one is discarded.
LEAST_TEXT = CLIPTextCfg(context_length=1, vocab_size=1, width=1, heads=1, layers=1)


def configuration_of(spec: Spec, weights: LocatedWeights) -> tuple[dict[str, Any], dict[str, Any]]:
    """Returns the model's sizes and its `preprocess_cfg`: those of the declared name, or of the pinned snapshot.

    Raises:
        WeightsMismatch: the snapshot's configuration is not pinned by a digest, or the library has no such name.
    """
    stated = {name: spec.parameters[name] for name in OpenClipParameters.model_fields if name in spec.parameters}
    parameters = OpenClipParameters.model_validate(stated)  # loaders of text towers have further ones
    name, tag = parameters.architecture, parameters.pretrained_tag
    if name != OPEN_CLIP_SNAPSHOT:
        sizes = open_clip.get_model_config(name)
        known = open_clip.get_pretrained_cfg(name, tag) if tag else {}
        if sizes is None or (tag and not known):
            raise WeightsMismatch(f"{spec.key}: open_clip {open_clip.__version__} has no {name!r} with weights {tag!r}")
        return sizes, known
    path = weights.files.get(CONFIGURATION)
    if path is None or not is_pinned(spec, CONFIGURATION):
        raise WeightsMismatch(
            f"{spec.key}: expected {CONFIGURATION} with its sha256 among weights.files of model_specs/{spec.key}.yaml, "
            f"found none. Only this file says which activation the network has."
        )
    content = json.loads(path.read_text(encoding="utf-8"))
    return content["model_cfg"], content.get("preprocess_cfg", {})


def _vision_tower(configuration: dict[str, Any]) -> torch.nn.Module:
    """Builds the tower as open_clip reads the configuration. timm never downloads weights, whatever it says."""
    vision = CLIPVisionCfg(**{**configuration["vision_cfg"], "timm_model_pretrained": False})
    quick_gelu = configuration.get("quick_gelu", False)
    return open_clip.CLIP(configuration["embed_dim"], vision, LEAST_TEXT, quick_gelu=quick_gelu).visual


def load(spec: Spec, weights: LocatedWeights, device: str) -> FeatureEmbedder:
    """Loads the network whose feature is the projected image embedding, in the space shared with text.

    Builds the declared vision tower and fills it from the weights whose names begin with `visual.`.

    Raises:
        WeightsMismatch: see `_state_dicts.fill` and `configuration_of`.
        PreprocessingMismatch: the spec declares other steps than the model's own transforms.
    """
    configuration, settings = configuration_of(spec, weights)
    side_px: int = configuration["vision_cfg"]["image_size"]
    require_same_steps(spec, steps_of_open_clip(settings, side_px), "open_clip's transforms of it")
    path = weights.only_file()
    network = fill(build_empty(lambda: _vision_tower(configuration)), read_tensors(path, "visual."), spec, path)
    return FeatureEmbedder(network.to(device), device)

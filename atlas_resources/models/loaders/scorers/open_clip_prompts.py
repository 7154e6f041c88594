"""Text towers of open_clip that are a BERT of transformers with a projection, such as BiomedCLIP's.

open_clip reads such a tower's sizes from a second repository. Here they follow from the shapes of the pinned weights;
what no shape shows, the spec's parameters declare.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from open_clip.hf_model import HFTextEncoder
from open_clip.tokenizer import DEFAULT_CONTEXT_LENGTH, HFTokenizer
from transformers import BertConfig

from atlas_resources.instruments.parameters.open_clip import OpenClipTextParameters
from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._state_dicts import fill, read_tensors
from atlas_resources.models.loaders.embedders.open_clip_vision import configuration_of
from atlas_resources.models.loaders.scorers._text_towers import tower_or_scorer
from atlas_resources.models.protocols import TextEmbedder
from atlas_resources.models.weights import LocatedWeights, WeightsMismatch

TOWER = "text."
COMPUTED = "transformer.embeddings.position_ids"
"""A buffer of BERT that files saved before transformers 4.31 hold; open_clip drops it too."""
EMBEDDINGS, LAYERS = "transformer.embeddings.", "transformer.encoder.layer."


class OpenClipText:
    """Embeds texts in the space that an open_clip model's two towers share."""

    def __init__(self, network: torch.nn.Module, tokenizer: HFTokenizer, device: str):
        self.network = network
        self.tokenizer = tokenizer
        self.device = device

    @torch.inference_mode()
    def embed_text(self, texts: list[str]) -> np.ndarray:
        """Returns the projected text embeddings, not normalised: float32 [N, dim].

        Texts are cleaned, padded and truncated by open_clip's own tokenizer of such a model.
        """
        return self.network(self.tokenizer(texts).to(self.device)).float().cpu().numpy()


def bert_config(parameters: OpenClipTextParameters, shapes: Mapping[str, tuple[int, ...]]) -> BertConfig:
    """The configuration of the BERT: sizes by the shapes of its weights, the rest as the spec declares.

    Args:
        parameters: of the spec.
        shapes: by names such as `transformer.embeddings.word_embeddings.weight`.

    Raises:
        KeyError: a weight that every BERT has is missing.
    """
    vocabulary, width = shapes[f"{EMBEDDINGS}word_embeddings.weight"]
    numbers = [int(found[1]) for name in shapes if (found := re.match(rf"{re.escape(LAYERS)}(\d+)\.", name))]
    return BertConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        num_hidden_layers=max(numbers, default=-1) + 1,
        num_attention_heads=parameters.text_attention_heads,
        intermediate_size=shapes[f"{LAYERS}0.intermediate.dense.weight"][0],
        hidden_act=parameters.text_activation,
        layer_norm_eps=parameters.text_layer_norm_eps,
        max_position_embeddings=shapes[f"{EMBEDDINGS}position_embeddings.weight"][0],
        type_vocab_size=shapes[f"{EMBEDDINGS}token_type_embeddings.weight"][0],
        pad_token_id=parameters.text_pad_token_id,
    )


def _text_tower(
    spec: Spec, weights: LocatedWeights, configuration: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]
) -> torch.nn.Module:
    """open_clip's tower with the file's weights. Raises WeightsMismatch if the file holds no BERT or another one."""
    parameters = OpenClipTextParameters.model_validate(spec.parameters)
    text, path = configuration["text_cfg"], weights.only_file()
    kept = {name: value for name, value in tensors.items() if name != COMPUTED}
    try:
        config: Any = bert_config(parameters, {name: tuple(value.shape) for name, value in kept.items()})
    except (KeyError, ValueError) as error:
        raise WeightsMismatch(
            f"{spec.key}: {path}: expected the weights of a BERT under {TOWER}transformer, found none named {error}. "
            f"Name another loader in model_specs/{spec.key}.yaml."
        ) from error
    pooling = text.get("hf_pooler_type", "mean_pooler")
    network = HFTextEncoder(
        text.get("hf_model_name", ""),
        output_dim=configuration["embed_dim"],
        config=config,
        pooler_type=pooling,
        proj_type=text.get("hf_proj_type", "mlp"),
        pretrained=False,
    )
    if pooling != "cls_pooler":  # the only one that open_clip builds BERT's own pooling layer for
        network.transformer.pooler = None
    return fill(network.eval(), kept, spec, path)


def load(spec: Spec, weights: LocatedWeights, device: str, prompts: Sequence[AskedPrompt]) -> TextEmbedder:
    """Builds the text tower of the pinned snapshot and its tokenizer. No second repository is read.

    Logits are cosines times the model's scale, as open_clip's `get_logits`; scores are their softmax over each set.

    Raises:
        WeightsMismatch: see `_state_dicts.fill` and `open_clip_vision.configuration_of`; or the tower is no BERT.
        ValueError: see `_text_towers.tower_or_scorer`.
    """
    configuration, _ = configuration_of(spec, weights)
    tensors = read_tensors(weights.only_file())
    of_text = {name.removeprefix(TOWER): value for name, value in tensors.items() if name.startswith(TOWER)}
    network = _text_tower(spec, weights, configuration, of_text).to(device)
    text = configuration["text_cfg"]
    tokenizer = HFTokenizer(
        str(weights.folder),
        context_length=text.get("context_length", DEFAULT_CONTEXT_LENGTH),
        tokenizer_mode=text.get("tokenizer_mode"),
        local_files_only=True,
        trust_remote_code=False,
        **text.get("tokenizer_kwargs", {}),
    )
    scale = float(tensors["logit_scale"].float().exp())
    return tower_or_scorer(spec, OpenClipText(network, tokenizer, device), prompts, scale=scale)

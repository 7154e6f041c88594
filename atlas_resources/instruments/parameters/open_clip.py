"""Which architecture of open_clip holds the weights: the parameters of its loaders."""

from typing import Literal

from pydantic import Field

from atlas_resources.files.contract import Contract

OPEN_CLIP_SNAPSHOT = "snapshot"  # instead of the name of an architecture


class OpenClipParameters(Contract):
    """Parameters of `open_clip`: its architecture, and the weights whose preprocessing is compared."""

    architecture: str = Field(
        pattern=r"^[\w-]+$",
        description="A name of open_clip's own configurations, or `snapshot`: the pinned open_clip_config.json.",
    )
    pretrained_tag: str | None = Field(default=None, description="The library's name of the weights.")


class OpenClipTextParameters(OpenClipParameters):
    """Parameters of `open_clip_prompts`: what the shapes of a BERT's weights do not show, by transformers' names."""

    text_attention_heads: int = Field(gt=0)
    text_activation: Literal["gelu", "gelu_new", "relu"]
    text_layer_norm_eps: float = Field(gt=0, lt=1)
    text_pad_token_id: int = Field(ge=0, description="Token that is left out of attention.")

"""What a model gives: the part `output` of a spec."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from atlas_resources.files.contract import Contract, Sha256, is_null

OF_CONFIGURATION = "configuration"
"""The vocabulary of a model whose labels are those of its pinned config.json."""
LabelsSha256 = Annotated[
    Sha256 | None,
    Field(
        default=None,
        exclude_if=is_null,
        description="Of the labels in config.json, ids included; with labels of the `configuration` only. The loader "
        "compares it.",
    ),
]


def labels_sha256(labels: Mapping[int, str]) -> str:
    """Digest of a model's labels: of the JSON of pairs of id and name, by id."""
    return hashlib.sha256(json.dumps(sorted(labels.items()), ensure_ascii=False).encode()).hexdigest()


PooledFeature = Literal[
    "global_average_pool",
    "global_average_pool_layer_norm",
    "projected_image_embedding",
    "cls_token",
    "attention_pool",
    "patch_token_mean",
]


class VectorOutput(Contract):
    """An embedding."""

    kind: Literal["vector"]
    dim: int = Field(gt=0)
    dtype: Literal["float32", "float16"]
    pooled_feature: PooledFeature


Activation = Literal["softmax", "softmax_per_prompt_set", "sigmoid", "identity"]


class ScoresOutput(Contract):
    """A score per label; a single one for a rating."""

    kind: Literal["scores"]
    labels: Literal[
        "imagenet_1k",
        "places365",
        "wikiart",
        "wikiart_style",
        "wikiart_genre",
        "aesthetic_rating",
        "memorability_rating",
        "prompts",
        "configuration",
    ] = Field(description="Name of the list of labels; `configuration` for one that only the model's config.json has.")
    labels_sha256: LabelsSha256 = None
    count: int = Field(gt=0)
    dtype: Literal["float32"]
    calibration: str = Field(description="What the scores are calibrated to, or `uncalibrated`.")
    activation: Activation | None = Field(
        default=None, exclude_if=is_null, description="How a score follows from its logit; softmax over all if null."
    )
    label_names: list[str] | None = Field(
        default=None,
        exclude_if=is_null,
        description="The labels in the model's order, if they are known; its configuration must have the same.",
    )

    @model_validator(mode="after")
    def _as_many_names_as_labels(self) -> "ScoresOutput":
        if self.label_names is not None and len(self.label_names) != self.count:
            raise ValueError(f"{len(self.label_names)} label_names for a count of {self.count}")
        return self

    @model_validator(mode="after")
    def _digest_of_own_labels(self) -> Self:
        _require_digest_where_own(self.labels, self.labels_sha256)
        return self


def _require_digest_where_own(vocabulary: str | None, digest: str | None) -> None:
    if (vocabulary == OF_CONFIGURATION) != (digest is not None):
        raise ValueError(f"labels_sha256 is declared with labels of the {OF_CONFIGURATION}, and only then")


class MasksOutput(Contract):
    """Masks at the source's size."""

    kind: Literal["masks"]
    encoding: Literal["coco_rle"]
    classes: list[str] = Field(description="Class names; empty for class-agnostic masks.")
    vocabulary: Literal["ade20k_150", "configuration"] | None = Field(
        default=None, exclude_if=is_null, description="Name of a class list that is too long for `classes`."
    )
    labels_sha256: LabelsSha256 = None

    @model_validator(mode="after")
    def _digest_of_own_labels(self) -> Self:
        _require_digest_where_own(self.vocabulary, self.labels_sha256)
        return self


class BoxesOutput(Contract):
    """Labelled boxes: by centre and size as shares of the image's sides, or by corners in its pixels."""

    kind: Literal["boxes"]
    box_format: Literal["cxcywh_ratio", "xyxy_px"]
    labels: Literal["coco_91", "text_prompt", "face", "configuration"]
    labels_sha256: LabelsSha256 = None
    max_boxes: int = Field(gt=0, description="Boxes that the model proposes for one image, before any threshold.")
    dtype: Literal["float32"]

    @model_validator(mode="after")
    def _digest_of_own_labels(self) -> Self:
        _require_digest_where_own(self.labels, self.labels_sha256)
        return self


class TextOutput(Contract):
    """Text that the model reads or writes."""

    kind: Literal["text"]
    form: Literal[
        "transcription", "caption", "keywords", "ranking", "description", "regions", "caption_and_regions", "answer"
    ] = Field(
        description="What its texts are: `ranking` for keywords of another instrument in order; `caption_and_regions` "
        "for a model whose task is not chosen yet."
    )
    score_threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        exclude_if=is_null,
        description="Score below which what is read is mostly noise; rows below it are kept and marked.",
    )


class RegionsOutput(Contract):
    """A row per segment of another instrument's sealed set: what is kept, its colours, its polygons."""

    kind: Literal["verdicts", "colours", "outlines"]


class ImageOutput(Contract):
    """An image that the model generates."""

    kind: Literal["image"]
    width_px: int = Field(gt=0)
    height_px: int = Field(gt=0)


Output = Annotated[
    VectorOutput | ScoresOutput | MasksOutput | BoxesOutput | TextOutput | ImageOutput | RegionsOutput,
    Field(discriminator="kind"),
]

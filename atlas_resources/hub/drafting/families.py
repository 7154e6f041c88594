"""What a family of models always has, so that a draft can state it: loader, output contract, parameters, numeric mode.

Sizes and labels are of the model's own configuration. The rest is inherited from a packaged instrument of the family.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from atlas_resources.files.project import SPECS_FOLDER
from atlas_resources.hub.drafting.model_card import ModelCard
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.input import Preprocessing
from atlas_resources.instruments.spec.output import OF_CONFIGURATION, labels_sha256
from atlas_resources.instruments.spec.spec import Role, Spec
from atlas_resources.models.processor_steps import (
    PROCESSOR_CONFIG,
    StepsUnreadable,
    read_configuration,
    steps_of_configurations,
    steps_of_open_clip,
)

CONFIGURATION, OPEN_CLIP_CONFIGURATION = "config.json", "open_clip_config.json"
INHERITED = ("objective", "parameters", "prompts", "numeric", "failure_modes")
OVERCONFIDENT = {
    "fact": "Networks of this kind are overconfident: the probability of the first label is higher than its accuracy. "
    "A plate that shows none of the labels gets probabilities too.",
    "source": "C. Guo et al., On Calibration of Modern Neural Networks, arXiv 1706.04599",
}


class NotStated(ValueError):
    """A model's configuration does not say what an output contract needs."""


@dataclass(frozen=True)
class Family:
    """A family of models.

    Attributes:
        loader: its loader.
        role: what its instruments are.
        output: the output contract, from transformers' configuration or open_clip's own; raises NotStated.
        like: key of a packaged instrument, whose INHERITED fields hold for the family; None if there is none.
        stated: those that are not inherited.
        tokenizer: further files that the loader reads.
        only: the models that the loader knows, by id; empty for all.
        is_configured: whether the loader reads the model's configuration.
    """

    loader: str
    role: Role
    output: Callable[[Any], dict[str, Any]]
    like: str | None = None
    stated: tuple[tuple[str, Any], ...] = ()
    tokenizer: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    is_configured: bool = True

    @property
    def configuration(self) -> str:
        """The file that has the model's sizes."""
        return OPEN_CLIP_CONFIGURATION if self.loader == "open_clip" else CONFIGURATION

    @property
    def is_read_from_pickles(self) -> bool:
        """Whether its loader takes weights that are no safetensors; those of transformers do not."""
        return self.loader == "open_clip"

    def inherited(self) -> dict[str, Any]:
        """The fields of a spec that all its models share."""
        one: Spec | None = read_registry(SPECS_FOLDER).specs[self.like] if self.like else None
        content = one.model_dump(mode="json", exclude_none=True) if one else {}
        if content.get("numeric"):
            content["numeric"].pop("golden", None)
        return {name: content[name] for name in INHERITED if content.get(name)} | dict(self.stated)


def _at(configuration: Any, path: str) -> Any:
    return reduce(lambda holder, name: getattr(holder, name, None), path.split("."), configuration)


def _vector(pooled_feature: str, path: str) -> Callable[[Any], dict[str, Any]]:
    def output(configuration: Any) -> dict[str, Any]:
        dim = _at(configuration, path)
        if not isinstance(dim, int):
            raise NotStated(f"the configuration has no number {path}")
        return {"kind": "vector", "dim": dim, "dtype": "float32", "pooled_feature": pooled_feature}

    return output


def _own_labels(configuration: Any) -> dict[int, str]:
    labels = {int(number): str(name) for number, name in (configuration.id2label or {}).items()}
    if not labels or all(re.fullmatch(r"LABEL_\d+", name) for name in labels.values()):
        raise NotStated("config.json names no labels")
    return labels


def _scores(configuration: Any) -> dict[str, Any]:
    labels = _own_labels(configuration)
    if configuration.problem_type == "regression":
        raise NotStated("config.json has the problem_type regression, whose outputs are not probabilities")
    is_sigmoid = configuration.problem_type == "multi_label_classification" or len(labels) == 1
    return {
        "kind": "scores",
        "labels": OF_CONFIGURATION,
        "labels_sha256": labels_sha256(labels),
        "count": len(labels),
        "dtype": "float32",
        "calibration": "uncalibrated",
        **({"activation": "sigmoid"} if is_sigmoid else {}),
    }


def _own_boxes(configuration: Any) -> dict[str, Any]:
    own = {"labels": OF_CONFIGURATION, "labels_sha256": labels_sha256(_own_labels(configuration))}
    return _boxes(configuration) | own


def _boxes(configuration: Any) -> dict[str, Any]:
    """Of detectors that are asked for texts."""
    return {
        "kind": "boxes",
        "box_format": "cxcywh_ratio",
        "labels": "text_prompt",
        "max_boxes": configuration.num_queries,
        "dtype": "float32",
    }


def _classes(configuration: Any) -> dict[str, Any]:
    labels = _own_labels(configuration)
    if len(set(labels.values())) < len(labels):
        raise NotStated("config.json gives two classes one name")
    own = {"vocabulary": OF_CONFIGURATION, "labels_sha256": labels_sha256(labels)}
    return {"kind": "masks", "encoding": "coco_rle", "classes": [], **own}


def _masks(configuration: Any) -> dict[str, Any]:
    return {"kind": "masks", "encoding": "coco_rle", "classes": []}


def _open_clip_vector(configuration: Mapping[str, Any]) -> dict[str, Any]:
    dim = (configuration.get("model_cfg") or {}).get("embed_dim")
    if not isinstance(dim, int):
        raise NotStated(f"{OPEN_CLIP_CONFIGURATION} has no number model_cfg.embed_dim")
    return {"kind": "vector", "dim": dim, "dtype": "float32", "pooled_feature": "projected_image_embedding"}


CLASSIFIER = Family(
    "image_classifier",
    "probe",
    _scores,
    stated=(("numeric", {"dtype": "float32", "device": "cuda"}), ("failure_modes", [OVERCONFIDENT])),
)
OPEN_CLIP = Family(
    "open_clip",
    "embedding",
    _open_clip_vector,
    "clip_vit_huge_patch14_laion2b",
    stated=(("parameters", {"architecture": "snapshot"}),),
)
FAMILIES: Mapping[str, Family] = {  # by the model_type of config.json
    "aimv2": Family(
        "aimv2",
        "embedding",
        _vector("patch_token_mean", "hidden_size"),
        "aimv2_large_patch14_336",
        only=("apple/aimv2-large-patch14-336-distilled",),
        is_configured=False,
    ),
    "clip": Family(
        "clip", "embedding", _vector("projected_image_embedding", "projection_dim"), "clip_vit_large_patch14"
    ),
    "dinov2": Family("dinov2", "embedding", _vector("cls_token", "hidden_size"), "dinov2_large"),
    "siglip": Family(
        "siglip", "embedding", _vector("attention_pool", "vision_config.hidden_size"), "siglip_so400m_patch14_384"
    ),
    "detr": Family("detr", "detection", _own_boxes, "detr_resnet50"),
    "grounding-dino": Family(
        "grounding_dino",
        "detection",
        _boxes,
        "grounding_dino_base",
        tokenizer=("tokenizer.json", "tokenizer_config.json"),
    ),
    "mask2former": Family("mask2former", "segmentation", _classes, "mask2former_swin_large_ade"),
    "sam": Family("sam", "segmentation", _masks, "sam_vit_base_hub"),
    "sam_hq": Family("sam_hq", "segmentation", _masks, "sam_hq_vit_huge"),
}


def family_of(card: ModelCard) -> Family | None:
    """The family that a loader of this project serves; None for another."""
    configuration = card.configurations.get(CONFIGURATION, {})
    architectures = configuration.get("architectures") or []
    is_classifier = (card.pipeline_tag, card.library_name) == ("image-classification", "transformers")
    if is_classifier or any(str(name).endswith("ForImageClassification") for name in architectures):
        return CLASSIFIER
    found = FAMILIES.get(str(configuration.get("model_type")))
    if found is None and OPEN_CLIP_CONFIGURATION in card.configurations:
        return OPEN_CLIP
    return found if found and (not found.only or card.model_id in found.only) else None


def output_of(family: Family, card: ModelCard) -> dict[str, Any]:
    """The output contract by the model's own configuration. Raises NotStated."""
    own = card.configurations.get(family.configuration)
    if own is None:
        raise NotStated(f"there is no {family.configuration}")
    try:
        return family.output(own if family is OPEN_CLIP else read_configuration(own))
    except StepsUnreadable as error:
        raise NotStated(f"{family.configuration}: {error}") from error


def preprocessing_of(card: ModelCard, family: Family | None) -> Preprocessing | None:
    """The steps of the model's own processor; None where there is none, or a spec cannot state them."""
    try:
        if family is OPEN_CLIP:
            own = card.configurations[OPEN_CLIP_CONFIGURATION]
            return steps_of_open_clip(own.get("preprocess_cfg", {}), own["model_cfg"]["vision_cfg"]["image_size"])
        if PROCESSOR_CONFIG in card.configurations:
            return steps_of_configurations(card.configurations)
    except (StepsUnreadable, KeyError, TypeError):
        return None
    return None

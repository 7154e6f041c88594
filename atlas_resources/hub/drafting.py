"""Drafts a spec from what a hub states about a model, with the source of each fact, and null for everything else.

Nothing is guessed: the draft lists what a person must still declare.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from atlas_resources.hub.errors import HubError
from atlas_resources.hub.model_card import ModelCard, needed_files
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.spec.input import Preprocessing
from atlas_resources.instruments.spec.spec import Role, Spec
from atlas_resources.models.processor_steps import PROCESSOR_CONFIG, StepsUnreadable, steps_of_configurations

ROLE_OF_PIPELINE: dict[str, Role] = {  # the hub's pipeline tags
    "image-feature-extraction": "embedding",
    "feature-extraction": "embedding",
    "zero-shot-image-classification": "embedding",
    "image-segmentation": "segmentation",
    "mask-generation": "segmentation",
    "image-classification": "probe",
    "object-detection": "detection",
    "zero-shot-object-detection": "detection",
    "image-to-text": "text",
    "image-text-to-text": "text",
    "visual-question-answering": "text",
    "text-to-image": "generative",
}
SPDX_OF_TAG = {  # licence tags of the hub whose terms are clear: SPDX id, commercial use
    "mit": ("MIT", "yes"),
    "apache-2.0": ("Apache-2.0", "yes"),
    "bsd-2-clause": ("BSD-2-Clause", "yes"),
    "bsd-3-clause": ("BSD-3-Clause", "yes"),
    "cc0-1.0": ("CC0-1.0", "yes"),
    "cc-by-4.0": ("CC-BY-4.0", "yes"),
    "cc-by-sa-4.0": ("CC-BY-SA-4.0", "yes"),
    "cc-by-nc-4.0": ("CC-BY-NC-4.0", "no"),
    "cc-by-nc-sa-4.0": ("CC-BY-NC-SA-4.0", "no"),
    "cc-by-nc-nd-4.0": ("CC-BY-NC-ND-4.0", "no"),
}
DIMENSIONS = ("projection_dim", "hidden_size", "embed_dim", "hidden_sizes", "num_labels", "image_size", "patch_size")


@dataclass(frozen=True)
class Draft:
    """A spec's YAML, and what a person must still declare in it."""

    key: str
    text: str
    to_declare: list[str]


def key_of(model_id: str) -> str:
    """Makes a spec's key of a model's id: `openai/clip-vit-base-patch32` gives `clip_vit_base_patch32`."""
    name = re.sub(r"[^a-z0-9]+", "_", model_id.rpartition("/")[2].lower()).strip("_")
    return (name if name[:1].isalpha() else f"model_{name}")[:63]


def _format_of(path: str) -> str:
    return {"safetensors": "safetensors", "json": "json"}.get(path.rpartition(".")[2], "pickle")


def _loader_of(card: ModelCard, role: Role) -> str | None:
    """Returns the classifiers' loader, or the loader named as config.json's model_type, if it serves the role."""
    is_classifier = (card.pipeline_tag, card.library_name) == ("image-classification", "transformers")
    model_type = str(card.configurations.get("config.json", {}).get("model_type"))
    name = "image_classifier" if is_classifier else model_type
    return name if name in LOADERS and role in LOADERS[name].roles else None


def dimensions_of(configuration: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Returns the sizes in a configuration, by their path in it: candidates for the output and the input."""
    found = {f"{above}{name}": configuration[name] for name in DIMENSIONS if name in configuration}
    for name, part in configuration.items():
        if isinstance(part, dict) and name in {"vision_config", "model_cfg", "vision_cfg"}:
            found |= dimensions_of(part, f"{above}{name}.")
    return found


def preprocessing_of(configurations: Mapping[str, Any]) -> Preprocessing | None:
    """Reads the steps of preprocessor_config.json; None where there is none, or a spec cannot state them."""
    if PROCESSOR_CONFIG not in configurations:
        return None
    try:
        return steps_of_configurations(configurations)
    except StepsUnreadable:
        return None


def _weights_of(card: ModelCard) -> dict[str, Any]:
    files = [
        {"path": file.path, "format": _format_of(file.path), "sha256": file.sha256, "size_bytes": file.size_bytes}
        for file in needed_files(card.files)
    ]
    weights = {"kind": "hub", "repository": card.model_id, "revision": card.revision, "files": files}
    processor = next((file for file in card.files if file.path == PROCESSOR_CONFIG), None)
    if processor is None:
        return weights
    return weights | {"processor": {"path": processor.path, "format": "json", "sha256": processor.sha256}}


def _licence_of(card: ModelCard) -> dict[str, str] | None:
    if card.licence_tag not in SPDX_OF_TAG:
        return None
    spdx, commercial_use = SPDX_OF_TAG[card.licence_tag]
    return {"spdx": spdx, "commercial_use": commercial_use, "source": f"the hub's licence tag {card.licence_tag!r}"}


def _sources_of(card: ModelCard) -> list[str]:
    digests = {file.path: file.sha256 for file in card.files}
    at = f"{card.model_id} @{card.revision}"
    return [f"Revision, files and digests: the hub's metadata of {at}"] + [
        f"{path} of {at}, sha256 {digests[path]}" for path in card.configurations
    ]


def _to_declare(content: dict[str, Any], card: ModelCard) -> list[str]:
    stated = [
        f"{path} has {name} {value}"
        for path, configuration in card.configurations.items()
        for name, value in dimensions_of(configuration).items()
    ]
    candidates = f" ({'; '.join(stated)})" if stated else ""
    pickles = [file["path"] for file in content["weights"]["files"] if file["format"] == "pickle"]
    asked = {
        f"role: check it; the hub's pipeline tag is {card.pipeline_tag or 'not given'}": True,
        "description: what it measures, in a sentence or two": True,
        "loader: the family that loads it, or stay an idea": content["loader"] is None,
        f"licence: the hub's tag is {card.licence_tag or 'not given'}": content["licence"] is None,
        f"output: kind, size, and which pooled feature{candidates}": True,
        "preprocessing: no preprocessor_config.json whose steps a spec can state": content["preprocessing"] is None,
        "numeric: dtype and device": True,
        "failure_modes: at least one known failure mode, with its source": True,
        f"weights: no safetensors here; {', '.join(pickles)} is a pickle": bool(pickles),
        "weights: no weight file was recognised": not content["weights"]["files"],
    }
    return [_plain(line) for line, is_open in asked.items() if is_open]


def _plain(text: str) -> str:
    """Makes one printable line of it, so that text from a hub cannot end a comment or control a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def draft_spec(card: ModelCard, key: str | None = None) -> Draft:
    """Writes the YAML of a spec that reads as an idea, under a comment that lists what is still to be declared.

    Raises HubError where the facts make no valid spec.
    """
    role = ROLE_OF_PIPELINE.get(card.pipeline_tag or "", "embedding")
    steps = preprocessing_of(card.configurations)
    content: dict[str, Any] = {
        "key": key or key_of(card.model_id),
        "role": role,
        "title": card.model_id,
        "description": f"To be described. The hub's pipeline tag: {card.pipeline_tag}; library: {card.library_name}.",
        "model_id": card.model_id,
        "loader": _loader_of(card, role),
        "weights": _weights_of(card),
        "licence": _licence_of(card),
        "output": None,
        "preprocessing": steps and steps.model_dump(mode="json"),
        "numeric": None,
        "failure_modes": [],
        "sources": _sources_of(card),
    }
    try:
        Spec.model_validate(content)
    except ValidationError as error:
        wrong = error.errors()[0]
        field = ".".join(str(part) for part in wrong["loc"])
        raise HubError(f"{card.asked}: no valid spec can be drafted: {field}: found {wrong['input']!r}.") from None
    to_declare = _to_declare(content, card)
    comment = "".join(f"# - {line}\n" for line in to_declare)
    body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    opening = "# Drafted from what a hub states. A person must still declare:\n"
    return Draft(content["key"], opening + comment + body, to_declare)

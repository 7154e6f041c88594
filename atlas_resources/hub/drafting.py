"""Drafts a spec from what a hub says of a model: what it said with its source, null for the rest, nothing guessed.

Nothing is asked of a hub here: see `captures.py`. What a person must still declare is named, never filled in.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from atlas_resources.hub.errors import HubError
from atlas_resources.hub.model_card import Capture, needed_files
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
SPDX_OF_TAG = {  # the hub's licence tags whose terms are plain: SPDX id, commercial use
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
    """A spec's key from a model's id: `openai/clip-vit-base-patch32` gives `clip_vit_base_patch32`."""
    name = re.sub(r"[^a-z0-9]+", "_", model_id.rpartition("/")[2].lower()).strip("_")
    return (name if name[:1].isalpha() else f"model_{name}")[:63]


def _format_of(path: str) -> str:
    return {"safetensors": "safetensors", "json": "json"}.get(path.rpartition(".")[2], "pickle")


def _loader_of(seen: Capture, role: Role) -> str | None:
    """The loader of all classifiers, or that of the same name as config.json's model_type, if it serves the role."""
    is_classifier = (seen.pipeline_tag, seen.library_name) == ("image-classification", "transformers")
    model_type = str(seen.configurations.get("config.json", {}).get("model_type"))
    name = "image_classifier" if is_classifier else model_type
    return name if name in LOADERS and role in LOADERS[name].roles else None


def dimensions_of(configuration: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Sizes that a configuration states, by their path in it: candidates for the output and the input."""
    found = {f"{above}{name}": configuration[name] for name in DIMENSIONS if name in configuration}
    for name, part in configuration.items():
        if isinstance(part, dict) and name in {"vision_config", "model_cfg", "vision_cfg"}:
            found |= dimensions_of(part, f"{above}{name}.")
    return found


def preprocessing_of(configurations: Mapping[str, Any]) -> Preprocessing | None:
    """The steps of preprocessor_config.json; None where there is none, or where a spec cannot state them."""
    if PROCESSOR_CONFIG not in configurations:
        return None
    try:
        return steps_of_configurations(configurations)
    except StepsUnreadable:
        return None


def _weights_of(seen: Capture) -> dict[str, Any]:
    files = [
        {"path": file.path, "format": _format_of(file.path), "sha256": file.sha256, "size_bytes": file.size_bytes}
        for file in needed_files(seen.files)
    ]
    weights = {"kind": "hub", "repository": seen.model_id, "revision": seen.revision, "files": files}
    processor = next((file for file in seen.files if file.path == PROCESSOR_CONFIG), None)
    if processor is None:
        return weights
    return weights | {"processor": {"path": processor.path, "format": "json", "sha256": processor.sha256}}


def _licence_of(seen: Capture) -> dict[str, str] | None:
    if seen.licence_tag not in SPDX_OF_TAG:
        return None
    spdx, commercial_use = SPDX_OF_TAG[seen.licence_tag]
    return {"spdx": spdx, "commercial_use": commercial_use, "source": f"the hub's licence tag {seen.licence_tag!r}"}


def _sources_of(seen: Capture) -> list[str]:
    digests = {file.path: file.sha256 for file in seen.files}
    at = f"{seen.model_id} @{seen.revision}"
    return [f"Revision, files and digests: the hub's metadata of {at}"] + [
        f"{path} of {at}, sha256 {digests[path]}" for path in seen.configurations
    ]


def _to_declare(content: dict[str, Any], seen: Capture) -> list[str]:
    stated = [
        f"{path} says {name} {value}"
        for path, configuration in seen.configurations.items()
        for name, value in dimensions_of(configuration).items()
    ]
    candidates = f" ({'; '.join(stated)})" if stated else ""
    pickles = [file["path"] for file in content["weights"]["files"] if file["format"] == "pickle"]
    asked = {
        f"role: check it; the hub's pipeline tag is {seen.pipeline_tag or 'not given'}": True,
        "description: what it measures, in a sentence or two": True,
        "loader: the family that loads it, or stay an idea": content["loader"] is None,
        f"licence: the hub's tag is {seen.licence_tag or 'not given'}": content["licence"] is None,
        f"output: kind, size, and which pooled feature{candidates}": True,
        "preprocessing: no preprocessor_config.json whose steps a spec can state": content["preprocessing"] is None,
        "numeric: dtype and device": True,
        "failure_modes: one known way to be wrong at least, with its source": True,
        f"weights: no safetensors here; {', '.join(pickles)} is a pickle": bool(pickles),
        "weights: no weight file was recognised": not content["weights"]["files"],
    }
    return [_plain(line) for line, is_open in asked.items() if is_open]


def _plain(text: str) -> str:
    """One printable line: a hub's words end no comment and steer no terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def draft_spec(seen: Capture, key: str | None = None) -> Draft:
    """The YAML of a spec that reads as an idea, opened by a comment that names what is still to be declared."""
    role = ROLE_OF_PIPELINE.get(seen.pipeline_tag or "", "embedding")
    steps = preprocessing_of(seen.configurations)
    content: dict[str, Any] = {
        "key": key or key_of(seen.model_id),
        "role": role,
        "title": seen.model_id,
        "description": f"To be described. The hub's pipeline tag: {seen.pipeline_tag}; library: {seen.library_name}.",
        "model_id": seen.model_id,
        "loader": _loader_of(seen, role),
        "weights": _weights_of(seen),
        "licence": _licence_of(seen),
        "output": None,
        "preprocessing": steps and steps.model_dump(mode="json"),
        "numeric": None,
        "failure_modes": [],
        "sources": _sources_of(seen),
    }
    try:
        Spec.model_validate(content)
    except ValidationError as error:
        wrong = error.errors()[0]
        field = ".".join(str(part) for part in wrong["loc"])
        raise HubError(f"{seen.asked}: no spec can be made of it: {field}: found {wrong['input']!r}.") from None
    to_declare = _to_declare(content, seen)
    comment = "".join(f"# - {line}\n" for line in to_declare)
    body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    opening = "# Drafted from what a hub says. A person must still declare:\n"
    return Draft(content["key"], opening + comment + body, to_declare)

"""Drafts a spec from what a hub states about a model and what its family always has, with the source of each fact.

What neither says is null, and the draft lists it for a person.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from atlas_resources.hub.drafting.families import (
    INHERITED,
    OPEN_CLIP,
    Family,
    NotStated,
    family_of,
    output_of,
    preprocessing_of,
)
from atlas_resources.hub.drafting.model_card import HubFile, ModelCard, needed_files
from atlas_resources.hub.errors import HubError
from atlas_resources.instruments.aliases import key_of
from atlas_resources.instruments.loader_table import problems_with_loader
from atlas_resources.instruments.spec.spec import Role, Spec
from atlas_resources.models.processor_steps import PROCESSOR_CONFIG

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
OPENING, ITEM = "# Drafted from what a hub states. A person must still declare:\n", "# - "
GIVES: dict[Role, str] = {
    "embedding": "Image embedding",
    "segmentation": "Masks",
    "detection": "Labelled boxes",
    "probe": "Scores for the model's own labels",
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


def _format_of(path: str) -> str:
    return {"safetensors": "safetensors", "json": "json"}.get(path.rpartition(".")[2], "pickle")


def dimensions_of(configuration: dict[str, Any], above: str = "") -> dict[str, Any]:
    """Returns the sizes in a configuration, by their path in it: candidates for the output and the input."""
    found = {f"{above}{name}": configuration[name] for name in DIMENSIONS if name in configuration}
    for name, part in configuration.items():
        if isinstance(part, dict) and name in {"vision_config", "model_cfg", "vision_cfg"}:
            found |= dimensions_of(part, f"{above}{name}.")
    return found


def weights_of(card: ModelCard, family: Family | None) -> dict[str, Any]:
    """The part `weights` of a spec: the files that the family's loader reads, with the digests that the hub states."""
    wanted = needed_files(card.files, family is OPEN_CLIP, family.tokenizer if family else ())
    files = [_pinned(file) for file in wanted]
    weights = {"kind": "hub", "repository": card.model_id, "revision": card.revision, "files": files}
    processor = next((file for file in card.files if file.path == PROCESSOR_CONFIG), None)
    if processor is None:
        return weights
    return weights | {"processor": {"path": processor.path, "format": "json", "sha256": processor.sha256}}


def _pinned(file: HubFile) -> dict[str, Any]:
    return {"path": file.path, "format": _format_of(file.path), "sha256": file.sha256, "size_bytes": file.size_bytes}


def licence_of(card: ModelCard, declared: str | None = None) -> dict[str, str] | None:
    """The licence that a person declares, or that of the hub's tag if its terms are clear."""
    if declared:
        uses = {spdx: use for spdx, use in SPDX_OF_TAG.values()}
        return {
            "spdx": declared,
            "commercial_use": uses.get(declared, "unknown"),
            "source": f"declared when the spec was drafted; the hub's licence tag is {card.licence_tag or 'not given'}",
        }
    if card.licence_tag not in SPDX_OF_TAG:
        return None
    spdx, commercial_use = SPDX_OF_TAG[card.licence_tag]
    return {"spdx": spdx, "commercial_use": commercial_use, "source": f"the hub's licence tag {card.licence_tag!r}"}


def _sources_of(card: ModelCard, family: Family | None) -> list[str]:
    digests = {file.path: file.sha256 for file in card.files}
    at = f"{card.model_id} @{card.revision}"
    stated = [f"Revision, files and digests: the hub's metadata of {at}"]
    stated += [f"{path} of {at}, sha256 {digests[path]}" for path in card.configurations]
    return stated + ([family_source(family)] if family and family.like else [])


def family_source(family: Family) -> str:
    """Where the inherited fields come from."""
    names = ", ".join(name.replace("_", " ") for name in INHERITED if name in family.inherited())
    return f"As in {family.like}, of the same family: {names}"


def _to_declare(content: dict[str, Any], card: ModelCard, family: Family | None, reason: str) -> list[str]:
    """What stands between the draft and its admission, a line for each; empty for what is complete."""
    stated = [
        f"{path} has {name} {value}"
        for path, configuration in card.configurations.items()
        for name, value in dimensions_of(configuration).items()
    ]
    candidates = f" ({'; '.join(stated)})" if stated else ""
    files = content["weights"]["files"]
    pickles = [file["path"] for file in files if file["format"] == "pickle"]
    undigested = [file["path"] for file in files if file["format"] != "json" and file["sha256"] is None]
    tag = card.licence_tag or "not given"
    declare = f"`atlas models pin --fill {content['key']} --licence SPDX` (or `unknown`)"
    asked = {
        f"role: check it; the hub's pipeline tag is {card.pipeline_tag or 'not given'}": family is None,
        "loader: the family that loads it, or stay an idea": family is None,
        f"licence: the hub's tag is {tag}; {declare} declares one": content["licence"] is None,
        f"output: {reason or 'kind, size, and which pooled feature'}{candidates}": content["output"] is None,
        "preprocessing: no preprocessor_config.json whose steps a spec can state": content["preprocessing"] is None,
        "numeric: dtype and device": content["numeric"] is None,
        "failure_modes: at least one known failure mode, with its source": not content["failure_modes"],
        f"weights: no safetensors here; {', '.join(pickles)} is a pickle": bool(pickles) and family is not OPEN_CLIP,
        f"weights: the hub states no digest of {', '.join(undigested)}": bool(undigested),
        "weights: no weight file was recognised": not files,
    }
    return [_plain(line) for line, is_open in asked.items() if is_open]


def _plain(text: str) -> str:
    """Makes one printable line of it, so that text from a hub cannot end a comment or control a terminal."""
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def draft_spec(card: ModelCard, key: str | None = None, licence: str | None = None) -> Draft:
    """Writes the YAML of a spec: complete for a family that a loader serves, else under a list of what is missing.

    Args:
        card: what the hub states.
        key: the spec's key; by default made of the model's id.
        licence: SPDX id that a person declares.

    Raises HubError where the facts make no valid spec.
    """
    family = family_of(card)
    content, reason = _content(card, family, key or key_of(card.model_id), licence)
    to_declare = _to_declare(content, card, family, reason)
    if (
        family
        and not family.is_read_from_pickles
        and any(file["format"] == "pickle" for file in content["weights"]["files"])
    ):
        content["loader"] = None  # the family's loader would not read them
    _require_valid(card, content)
    body = yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=110)
    if not to_declare:
        return Draft(content["key"], body, [])
    comment = "".join(f"{ITEM}{line}\n" for line in to_declare)
    return Draft(content["key"], f"{OPENING}{comment}{body}", to_declare)


def without_declared(text: str, fields: Collection[str]) -> str:
    """The draft's text without the comments that ask for fields which it has now."""
    lines = [
        line
        for line in text.splitlines(keepends=True)
        if not (line.startswith(ITEM) and line.removeprefix(ITEM).partition(":")[0] in fields)
    ]
    is_asking = any(line.startswith(ITEM) for line in lines)
    return "".join(line for line in lines if is_asking or line != OPENING)


def _content(card: ModelCard, family: Family | None, key: str, licence: str | None) -> tuple[dict[str, Any], str]:
    """The fields of the spec, and why it has no output contract if it has none."""
    role = family.role if family else ROLE_OF_PIPELINE.get(card.pipeline_tag or "", "embedding")
    steps, output, reason = preprocessing_of(card, family), None, ""
    try:
        output = output_of(family, card) if family else None
    except NotStated as error:
        reason = str(error)
    inherited = family.inherited() if family else {}
    content: dict[str, Any] = {
        "key": key,
        "role": role,
        "title": card.model_id,
        "description": f"{GIVES[role]} by {card.model_id}, as its page at the hub describes it."
        if family
        else f"To be described. The hub's pipeline tag: {card.pipeline_tag}; library: {card.library_name}.",
        "model_id": card.model_id,
        "loader": family and family.loader,
        "objective": inherited.get("objective"),
        "weights": weights_of(card, family),
        "licence": licence_of(card, licence),
        "output": output,
        "preprocessing": steps and steps.model_dump(mode="json", exclude_defaults=True),
        "prompts": inherited.get("prompts"),
        "parameters": inherited.get("parameters"),
        "numeric": inherited.get("numeric"),
        "failure_modes": inherited.get("failure_modes", []),
        "sources": _sources_of(card, family),
    }
    optional = ("objective", "prompts", "parameters")
    return {name: value for name, value in content.items() if value is not None or name not in optional}, reason


def _require_valid(card: ModelCard, content: dict[str, Any]) -> None:
    try:
        spec = Spec.model_validate(content)
    except ValidationError as error:
        wrong = error.errors()[0]
        field = ".".join(str(part) for part in wrong["loc"])
        raise HubError(f"{card.asked}: no valid spec can be drafted: {field}: found {wrong['input']!r}.") from None
    if problems := problems_with_loader(f"{spec.key}.yaml", spec):
        raise HubError(f"{card.asked}: no valid spec can be drafted: {problems[0]}.")

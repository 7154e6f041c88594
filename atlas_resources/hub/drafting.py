"""Drafts a spec from what a hub says of a model: what it said with its source, null for the rest, nothing guessed.

Nothing is asked of a hub here: see `captures.py`. What a person must still declare is named, never filled in.
"""

import re
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from atlas_resources.hub.errors import HubError
from atlas_resources.hub.model_card import Capture, needed_files
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.spec.input import Preprocessing
from atlas_resources.instruments.spec.spec import Role, Spec

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
FILTER_OF_RESAMPLE = {
    0: "nearest",
    1: "lanczos",
    2: "bilinear",
    3: "bicubic",
    4: "box",
}  # numbers of PIL.Image.Resampling
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


def _side(size: Any, *names: str) -> int | None:
    """The side in pixels: an int, one of the names, or a square's height and width."""
    if isinstance(size, int):
        return size
    if not isinstance(size, dict):
        return None
    named = next((size[name] for name in names if name in size), None)
    return named or (size.get("height") if size.get("height") == size.get("width") else None)


def preprocessing_of(configuration: dict[str, Any]) -> dict[str, Any] | None:
    """preprocessor_config.json in the project's words; None where it leaves out or adds what they do not say."""
    try:
        steps = _steps_of(configuration)
        return None if steps is None else Preprocessing.model_validate(steps).model_dump(mode="json")
    except (TypeError, ValueError):  # values of another kind than the library writes
        return None


def _steps_of(configuration: dict[str, Any]) -> dict[str, Any] | None:
    size, has_crop = configuration.get("size"), bool(configuration.get("do_center_crop"))
    interpolation = FILTER_OF_RESAMPLE.get(configuration.get("resample", -1))
    side_px, crop_px = _side(size, "shortest_edge"), _side(configuration.get("crop_size"), "shortest_edge")
    mean, std = configuration.get("image_mean"), configuration.get("image_std")
    is_to_one = abs(configuration.get("rescale_factor", 1 / 255) * 255 - 1) < 1e-6
    is_bare_side = isinstance(size, int) and not has_crop  # a square for some families, the shortest side for others
    is_plain = (
        bool(configuration.get("do_resize") and side_px and interpolation)
        and configuration.get("do_rescale", True)
        and is_to_one
        and not is_bare_side
        and not (isinstance(size, dict) and "longest_edge" in size)
        and not (has_crop and not crop_px)
        and not (configuration.get("do_normalize") and not (mean and std))
        and not any(configuration.get(name) for name in ("do_pad", "crop_pct"))
    )
    if not is_plain:
        return None
    is_square = isinstance(size, dict) and "shortest_edge" not in size
    return {
        "raster": "source",
        "colour_policy": "srgb8-v1",
        "backend": "pillow",
        "resize": {"mode": "exact" if is_square else "shortest_side", "size_px": side_px},
        "interpolation": interpolation,
        "crop_px": crop_px if has_crop else None,
        "mean": mean if configuration.get("do_normalize") else None,
        "std": std if configuration.get("do_normalize") else None,
    }


def _weights_of(seen: Capture) -> dict[str, Any]:
    files = [
        {"path": file.path, "format": _format_of(file.path), "sha256": file.sha256, "size_bytes": file.size_bytes}
        for file in needed_files(seen.files)
    ]
    weights = {"kind": "hub", "repository": seen.model_id, "revision": seen.revision, "files": files}
    processor = next((file for file in seen.files if file.path == "preprocessor_config.json"), None)
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
        "preprocessing: preprocessor_config.json does not say it plainly": content["preprocessing"] is None,
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
        "preprocessing": preprocessing_of(seen.configurations.get("preprocessor_config.json", {})),
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

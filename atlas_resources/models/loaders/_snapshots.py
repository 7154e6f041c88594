"""Loads a transformers network from a pinned snapshot on disk, and refuses a snapshot that holds another model."""

from typing import Any

import torch

from atlas_resources.instruments.spec.output import labels_sha256
from atlas_resources.instruments.spec.pins import weight_files
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._narrow_weights import narrowed
from atlas_resources.models.weights import LocatedWeights, WeightsMismatch

SHOWN = 3  # names of weights in the message


BUFFERS = ("num_batches_tracked", "position_ids", "relative_position_index", "_float_tensor")
"""Last parts of names that older files have: counters of training, and what the network computes itself."""


def load_whole(
    architecture: type[Any],
    spec: Spec,
    weights: LocatedWeights,
    others: tuple[str, ...] = (),
    unread: tuple[str, ...] = (),
) -> torch.nn.Module:
    """Loads the network with float32 weights, or those of a declared narrow type, from safetensors.

    From a pickle only where the spec pins one; transformers then unpickles nothing but tensors. Code that comes with a
    repository is never run, even if its configuration asks for it.

    Args:
        architecture: a transformers model class, or one of its Auto classes.
        spec: the instrument.
        weights: the verified files.
        others: how the names of weights begin that belong to parts of the model which are not loaded, such as a text
            tower.
        unread: how the names of weights begin that the snapshot may lack, as no result depends on them.

    Raises:
        WeightsMismatch: the snapshot lacks a weight of the architecture or has it in another shape, and transformers
            would initialise it at random; or it has one that is neither of the architecture nor of `others`, and
            transformers would drop it; or config.json has other labels, or another value than `configuration`.
    """
    network, info = architecture.from_pretrained(
        weights.folder,
        local_files_only=True,
        use_safetensors=not any(file.format == "pickle" for file in weight_files(spec)),
        dtype=torch.float32,
        attn_implementation=spec.numeric and spec.numeric.attention,
        output_loading_info=True,
        ignore_mismatched_sizes=True,  # they are refused below, with the others
        trust_remote_code=False,
    )
    if mismatched := sorted(info["mismatched_keys"]):
        shapes = [f"{name} {list(expected)} as {list(found)}" for name, found, expected in mismatched]
        raise WeightsMismatch(_message(spec, weights, network, f"found {_listed(shapes)}"))
    if missing := sorted(name for name in info["missing_keys"] if not name.startswith(unread or ("\0",))):
        raise WeightsMismatch(_message(spec, weights, network, f"found none for {_listed(missing)}"))
    extra = [name for name in info["unexpected_keys"] if not name.startswith(others)]
    if extra := sorted(name for name in extra if name.rpartition(".")[2] not in BUFFERS):
        raise WeightsMismatch(_message(spec, weights, network, f"found others: {_listed(extra)}"))
    _require_configuration(spec, weights, network.config)
    _require_labels(spec, weights, network.config)
    return narrowed(network, spec)


def _require_configuration(spec: Spec, weights: LocatedWeights, configuration: Any) -> None:
    """Compares what the spec declares of config.json: heads and activations change vectors, and no weight's shape."""
    wrong = []
    for path, expected in (spec.configuration or {}).items():
        found = configuration
        for name in path.split("."):
            found = getattr(found, name, None)
        if found != expected:
            wrong.append(f"{path}: expected {expected}, found {found}")
    if wrong:
        raise WeightsMismatch(
            f"{spec.key}: {weights.folder}/config.json is not that of the pinned revision: {'; '.join(wrong)}. Fix: "
            f"fetch it again (delete it, then `atlas models pull {spec.key}`), or correct `configuration` in "
            f"model_specs/{spec.key}.yaml."
        )


def _require_labels(spec: Spec, weights: LocatedWeights, configuration: Any) -> None:
    """Compares the labels in config.json with the digest that the spec declares, if it has no list of a known name."""
    expected = getattr(spec.output, "labels_sha256", None)
    found = labels_sha256(configuration.id2label) if expected else None
    if found != expected:
        shown = list(configuration.id2label.values())[:SHOWN]
        raise WeightsMismatch(
            f"{spec.key}: {weights.folder}/config.json: expected labels of sha256 {expected}, found {found}: "
            f"{', '.join(shown)} ... Fix: fetch it again (delete it, then `atlas models pull {spec.key}`), or correct "
            f"output.labels_sha256 in model_specs/{spec.key}.yaml."
        )


def _message(spec: Spec, weights: LocatedWeights, network: torch.nn.Module, found: str) -> str:
    return (
        f"{spec.key}: {weights.folder}: expected every weight of {type(network).__name__} and no other, {found}. Pin a "
        f"revision that holds this model, or name its loader in model_specs/{spec.key}.yaml."
    )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"

"""Loads a transformers network from a pinned snapshot on disk, and refuses a snapshot that lacks a weight."""

from typing import Any

import torch

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.weights import LocatedWeights, WeightsMismatch

SHOWN = 3  # names of missing weights in the message


def load_whole(architecture: type[Any], spec: Spec, weights: LocatedWeights) -> torch.nn.Module:
    """Loads the network with float32 weights, from safetensors only. Weights of other architectures are left out.

    Code that comes with a repository is never run, whatever its configuration says.

    Args:
        architecture: a transformers model class, or one of its Auto classes.
        spec: the instrument.
        weights: the verified files.

    Raises:
        WeightsMismatch: the snapshot lacks a weight of the architecture. transformers would initialise it at random.
    """
    network, info = architecture.from_pretrained(
        weights.folder,
        local_files_only=True,
        use_safetensors=True,
        dtype=torch.float32,
        attn_implementation=spec.numeric and spec.numeric.attention,
        output_loading_info=True,
        trust_remote_code=False,
    )
    if missing := sorted(info["missing_keys"]):
        more = f" and {len(missing) - SHOWN} more" if len(missing) > SHOWN else ""
        raise WeightsMismatch(
            f"{spec.key}: {weights.folder}: expected every weight of {type(network).__name__}, found none for "
            f"{', '.join(missing[:SHOWN])}{more}. Pin a revision that holds this model, or name its loader in "
            f"model_specs/{spec.key}.yaml."
        )
    return network

"""A transformers network from a pinned snapshot on disk, with every weight of it. For the loaders of hub models."""

from typing import Any

import torch

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.weights import LocatedWeights, WeightsMismatch

SHOWN = 3  # of the missing weights, in the message


def load_whole(architecture: type[Any], spec: Spec, weights: LocatedWeights) -> torch.nn.Module:
    """Loads float32 weights from safetensors only. What the snapshot holds beyond the architecture is left out.

    Code that comes with a repository is never run, whatever its configuration asks for.

    Args:
        architecture: a transformers model class, or one of its Auto classes.
        spec: the instrument.
        weights: its verified files.

    Raises:
        WeightsMismatch: the snapshot lacks a weight of the architecture, which transformers would draw at random.
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

"""How many numbers a model's weight files hold. Reads shapes, not weights."""

import json
import math
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from atlas_resources.instruments.spec.pins import weight_files
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.weights import is_on_disk, require_weights


def count_numbers(spec: Spec) -> int | None:
    """The numbers in a model's weight files: its parameters, and the buffers that are saved with them.

    A file may hold more than the instrument computes with, such as the text tower beside that of images.

    Returns:
        0 for an algorithm; None where files are not on disk, or are of a format other than safetensors and pickle.

    Raises:
        WeightsMismatch: a file is not the pinned one.
    """
    pinned = weight_files(spec)
    if any(file.format not in ("safetensors", "pickle") for file in pinned) or not is_on_disk(spec):
        return None
    located = require_weights(spec).files
    counts = [_count(located[file.path], file.format) for file in pinned]
    return None if None in counts else sum(count for count in counts if count is not None)


def _count(path: Path, form: str) -> int | None:
    if form == "safetensors":
        return sum(math.prod(shape) for shape in _safetensors_shapes(path))
    import torch

    try:
        state = torch.load(path, map_location="meta", weights_only=True)
    except pickle.UnpicklingError:  # it holds more than tensors, which its loader reads in another way
        return None
    return sum(tensor.numel() for tensor in _tensors(state))


def _safetensors_shapes(path: Path) -> Iterator[list[int]]:
    """The shapes in a file's header: its length, unsigned 64 bits little-endian, then JSON (the format's README)."""
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return (tensor["shape"] for name, tensor in header.items() if name != "__metadata__")


def _tensors(state: Any) -> Iterator[Any]:
    """Every tensor of a checkpoint, whose dictionaries may be nested."""
    import torch

    if isinstance(state, torch.Tensor):
        yield state
    elif isinstance(state, dict):
        for part in state.values():
            yield from _tensors(part)

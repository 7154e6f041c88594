"""How numbers are computed: an instrument's declared mode, in force while its model loads and works, and only then.

Imports torch when a mode asks for it, not before.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from atlas_resources.instruments.spec.spec import Numeric

VERBS = ("embed", "score", "segment", "detect", "describe", "embed_text", "cosines")

Model = TypeVar("Model")


@contextmanager
def numeric_mode(numeric: Numeric | None) -> Iterator[None]:
    """The declared precision inside the block; what was there before comes back after it, whatever happens.

    Weights stay float32. In bfloat16 and float16 torch.autocast chooses which operations are computed in the narrow
    type. A declared matmul precision also says whether cuDNN's convolutions may round to TF32: only below `highest`.
    """
    if numeric is None or (numeric.dtype == "float32" and numeric.matmul_precision is None):
        yield
        return
    import torch

    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    if numeric.matmul_precision is not None:
        torch.set_float32_matmul_precision(numeric.matmul_precision)
        torch.backends.cudnn.allow_tf32 = numeric.matmul_precision != "highest"
    narrow = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(numeric.dtype)
    try:
        with torch.autocast(numeric.device, dtype=narrow, enabled=narrow is not None):
            yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def in_mode(model: Model, numeric: Numeric | None) -> Model:
    """The model, each of whose verbs now works in the declared mode."""
    for verb in VERBS:
        if hasattr(model, verb):
            setattr(model, verb, numeric_mode(numeric)(getattr(model, verb)))
    return model

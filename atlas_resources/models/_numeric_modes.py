"""The numeric mode that an instrument declares, in force while its model loads and computes, and only then.

torch is imported only when a mode needs it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from atlas_resources.instruments.spec.spec import Numeric

VERBS = ("embed", "score", "segment", "detect", "describe", "embed_text", "cosines")

Model = TypeVar("Model")


@contextmanager
def numeric_mode(numeric: Numeric | None) -> Iterator[None]:
    """Sets the declared precision inside the block and restores the previous one after it, also after an error.

    Weights stay float32. With bfloat16 and float16, torch.autocast chooses which operations are computed in the narrow
    type. A declared matmul precision below `highest` also lets cuDNN's convolutions round to TF32.
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
    """Makes each of the model's verbs compute in the declared mode. Changes the model and returns it.

    A network to be compiled is compiled at its first batch.
    """
    if numeric is not None and numeric.compile is not None:
        model.network.compile(backend=numeric.compile)  # type: ignore[attr-defined] # of every loader with can_compile
    for verb in VERBS:
        if hasattr(model, verb):
            setattr(model, verb, numeric_mode(numeric)(getattr(model, verb)))
    return model

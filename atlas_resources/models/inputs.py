"""What a model takes: a float32 tensor of one image or of one vector, and batches of them.

Importing this module does not import torch, so no other room has to import it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

if TYPE_CHECKING:
    import torch

ModelInput: TypeAlias = "torch.Tensor"
"""float32 on the CPU: [3, H, W] of an image, [dim] of a vector, with a first axis N for a batch."""


def stack_inputs(inputs: Sequence[ModelInput]) -> ModelInput:
    """Stacks inputs of one shape along a new first axis: [N, 3, H, W] or [N, dim].

    Where a CUDA device is in use, into pinned memory, from which it copies without waiting for the CPU.

    Raises:
        RuntimeError: the shapes differ, or there is no input.
    """
    import torch

    if not inputs or not torch.cuda.is_initialized():
        return torch.stack(list(inputs))
    shape, dtype = (len(inputs), *inputs[0].shape), inputs[0].dtype
    return torch.stack(list(inputs), out=torch.empty(shape, dtype=dtype, pin_memory=True))


def vector_input(vector: np.ndarray) -> ModelInput:
    """Copies a vector [dim] into a tensor of the same dtype."""
    import torch

    return torch.tensor(vector)

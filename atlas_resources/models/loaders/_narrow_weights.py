"""Keeps the weights of matrix products and convolutions in the declared narrow type, as autocast would cast them."""

import torch
from torch import nn

from atlas_resources.instruments.spec.spec import Spec

NARROW = {"float16": torch.float16, "bfloat16": torch.bfloat16}
CAST_BY_AUTOCAST = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
"""Layers whose weights torch.autocast casts to the narrow type at each call. A subclass may compute with them first."""


def narrowed(network: nn.Module, spec: Spec) -> nn.Module:
    """Casts the weights of plain linear and convolution layers to the declared type; changes and returns the network.

    Under autocast the numbers are the same, with half of the memory and no cast at each call. Every other weight stays
    float32, as does one that another kind of layer shares.
    """
    dtype = NARROW.get(spec.numeric.dtype) if spec.numeric else None
    if dtype is None:
        return network
    layers = [module for module in network.modules() if type(module) in CAST_BY_AUTOCAST]
    shared = {
        id(weight)
        for module in network.modules()
        if type(module) not in CAST_BY_AUTOCAST
        for weight in module.parameters(recurse=False)
    }
    for layer in layers:
        if not any(id(weight) in shared for weight in layer.parameters(recurse=False)):
            layer.to(dtype)
    return network

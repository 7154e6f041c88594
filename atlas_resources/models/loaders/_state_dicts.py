"""Fills a network that a library builds with the tensors of a weight file, for weights not in the hub's layout."""

from collections.abc import Callable, Mapping
from itertools import chain
from pathlib import Path

import torch
from safetensors import safe_open

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders._narrow_weights import narrowed
from atlas_resources.models.weights import WeightsMismatch

COUNTER = "num_batches_tracked"
SHOWN = 3  # names of weights that do not fit in the message


def read_tensors(path: Path, prefix: str = "") -> dict[str, torch.Tensor]:
    """Reads the tensors whose names begin with the prefix, onto the CPU, by the rest of their names.

    Only tensors are unpickled from a pickle. The digest of the file must have been checked before.
    """
    if path.suffix == ".safetensors":
        with safe_open(path, framework="pt", device="cpu") as file:
            names = [name for name in file.keys() if name.startswith(prefix)]  # noqa: SIM118 - a handle is no mapping
            return {name.removeprefix(prefix): file.get_tensor(name) for name in names}
    tensors = torch.load(path, map_location="cpu", weights_only=True)
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def build_empty(build: Callable[[], torch.nn.Module]) -> torch.nn.Module:
    """Builds the network in evaluation mode, without allocating memory for the weights that `fill` replaces."""
    with torch.device("meta"):
        return build().eval()


def fill(network: torch.nn.Module, tensors: Mapping[str, torch.Tensor], spec: Spec, path: Path) -> torch.nn.Module:
    """Replaces the weights of the network by the tensors, as float32 or narrowed, and returns it without gradients.

    A batch norm's `num_batches_tracked`, which counts batches in training and has no part in inference, may be absent
    and is then 0: files saved before torch 0.4.1 have none. No other name may be absent or left over.

    Args:
        network: in evaluation mode; from `build_empty`, if all it computes with is in its state dict.
        tensors: by the names of the network's state dict.
        spec: the instrument, for the message.
        path: the file of the tensors, for the message.

    Raises:
        WeightsMismatch: the names or shapes of the tensors are not exactly those of the network; or the network has a
            buffer that is in no state dict.
    """
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    absent = [name for name in expected if name.rpartition(".")[2] == COUNTER and name not in tensors]
    tensors = {**tensors, **{name: torch.zeros((), dtype=torch.int64) for name in absent}}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    if expected != found:
        raise WeightsMismatch(
            f"{spec.key}: {path}: expected the weights of {type(network).__name__}, found others: "
            f"{_differences(expected, found)}. Pin a file that holds this model, or name its loader in "
            f"model_specs/{spec.key}.yaml."
        )
    as_float32 = {name: value.float() if value.is_floating_point() else value for name, value in tensors.items()}
    network.load_state_dict(as_float32, strict=True, assign=True)
    if any(tensor.is_meta for tensor in chain(network.parameters(), network.buffers())):
        raise WeightsMismatch(f"{spec.key}: {type(network).__name__} computes with tensors that are not in {path}")
    return narrowed(network.requires_grad_(False), spec)


def _differences(expected: Mapping[str, tuple[int, ...]], found: Mapping[str, tuple[int, ...]]) -> str:
    """Lists the first names that differ, with the shape expected and the shape found."""
    names = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    shown = [
        f"{name} ({expected.get(name, 'not expected')}, found {found.get(name, 'none')})" for name in names[:SHOWN]
    ]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return "; ".join(shown) + more

"""A network that is too large for one device, spread over several by accelerate, as its spec declares.

A module is never cut: it computes on one device, with the weights that it would have had elsewhere. Those that are kept
in the machine's memory or on its disk are brought to a device of the declared class for each call. So the numbers are
those of one device, and the map is no part of the fingerprint.
"""

import shutil
import warnings
import weakref
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, TypeVar

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.devices import DeviceUnavailable

if TYPE_CHECKING:
    from torch import nn

Network = TypeVar("Network", bound="nn.Module")
MAP = "hf_device_map"
"""Attribute in which accelerate keeps a network's map, and in which transformers looks for it."""
INNER = "model"
"""Where a network of transformers that writes keeps the model without its head."""


class MapMismatch(ValueError):
    """The declared map does not fit the network, or leaves it without a device of the declared class."""


def is_spread(network: Any) -> bool:
    """Whether a network was spread. It must not be moved then."""
    return hasattr(network, MAP)


def places_of(network: Any) -> dict[str, str] | None:
    """Where each part of a spread network is, such as `cuda:1`, `cpu` or `disk`, by its path; None if it is whole."""
    if not is_spread(network):
        return None
    return {name: place if isinstance(place, str) else f"cuda:{place}" for name, place in getattr(network, MAP).items()}


def spread(network: Network, spec: Spec, device: str) -> Network:
    """Spreads a network over devices as the spec's device map declares; changes and returns it. Nothing without a map.

    The whole network is read into the machine's memory first, in the declared types: a snapshot is compared with its
    architecture there, and narrow types are cast there.

    Args:
        network: on the CPU, with all its weights.
        spec: the instrument.
        device: where inputs are given and what is offloaded is computed, such as `cuda:0`.

    Raises:
        MapMismatch: the map leaves out a part of the network or names one that is not there; or by `auto` nothing fits
            on a CUDA device.
        DeviceUnavailable: accelerate is not installed.
    """
    declared = spec.numeric.device_map if spec.numeric else None
    if declared is None:
        return network
    try:
        from accelerate import dispatch_model
    except ImportError:
        raise DeviceUnavailable(
            f"{spec.key} declares numeric.device_map, which needs accelerate. Fix: pip install 'atlas-plates[spread]'"
        ) from None
    main: Any = int(device.partition(":")[2]) if device.startswith("cuda") else "cpu"
    places: dict[str, Any] = _filled(network, spec) if declared == "auto" else {**declared}
    _require_modules(network, spec, places)
    own = _own_weights(network)
    places |= dict.fromkeys(_unplaced(own, spec, places, main), main)
    _require_all(network, spec, places)
    folder = mkdtemp(prefix="atlas-offloaded-") if "disk" in places.values() else None
    if folder is not None:
        weakref.finalize(network, shutil.rmtree, folder, ignore_errors=True)
    with warnings.catch_warnings():
        # Of a weight that has a place of its own, which is moved below; that every name is right is checked above.
        warnings.filterwarnings("ignore", "The following device_map keys do not match", UserWarning)
        dispatched: Any = dispatch_model(network, places, main_device=main, offload_dir=folder, force_hooks=True)
    for name in own:
        if places.get(name) == main:
            weight = dispatched.get_parameter(name)
            weight.data = weight.data.to(device)
    return dispatched


def _filled(network: "nn.Module", spec: Spec) -> dict[str, Any]:
    """The map by which accelerate fills the CUDA devices evenly, then the machine's memory."""
    from accelerate import infer_auto_device_map
    from accelerate.utils import get_balanced_memory

    whole = list(getattr(network, "_no_split_modules", None) or [])  # layers that transformers never cuts
    room = get_balanced_memory(network, no_split_module_classes=whole)
    places = infer_auto_device_map(network, max_memory=room, no_split_module_classes=whole)
    if not any(isinstance(place, int) for place in places.values()):
        raise MapMismatch(f"{spec.key}: numeric.device_map: auto: no part of the network fits on a CUDA device")
    return places


def _own_weights(network: "nn.Module") -> list[str]:
    """Weights of the network itself and of its inner model, such as the vector that ends image rows in LLaVA-NeXT.

    transformers uses them in methods beside `forward`, for which alone offloaded weights are brought to a device.
    """
    outer = {path: module for path, module in network.named_modules() if path in ("", INNER)}
    return [
        f"{path}.{name}" if path else name
        for path, module in outer.items()
        for name, _ in module.named_parameters(recurse=False)
    ]


def _unplaced(own: list[str], spec: Spec, places: dict[str, Any], main: int | str) -> list[str]:
    """Those of the weights that no place covers, or that are named themselves: they belong on the main device.

    Raises:
        MapMismatch: one would be offloaded together with its module.
    """
    found = []
    for name in own:
        part = max((part for part in places if _is_in(name, part)), key=len, default=name)
        if part == name:
            found.append(name)
        elif places[part] == "disk" or (places[part] == "cpu" and main != "cpu"):
            raise MapMismatch(
                f"{_where(spec)}: {part or 'the network'} cannot be on {places[part]} as a whole, as {name} is used "
                f"outside of its parts. Fix: state a place for each of its parts"
            )
    return found


def _require_modules(network: "nn.Module", spec: Spec, places: dict[str, Any]) -> None:
    known = {name for name, _ in network.named_modules()} | {name for name, _ in network.named_parameters()}
    if unknown := sorted(set(places) - known):
        raise MapMismatch(f"{_where(spec)}: the network has no {', '.join(unknown)}")


def _require_all(network: "nn.Module", spec: Spec, places: dict[str, Any]) -> None:
    homeless = [name for name, _ in network.named_parameters() if not any(_is_in(name, part) for part in places)]
    if homeless:
        raise MapMismatch(f"{_where(spec)}: expected a place for {homeless[0]} and {len(homeless) - 1} other weights")


def _is_in(name: str, part: str) -> bool:
    return part in ("", name) or name.startswith(f"{part}.")


def _where(spec: Spec) -> str:
    return f"{spec.key}: numeric.device_map of model_specs/{spec.key}.yaml"

"""The device that an instrument computes on: which one it is on this machine, and what is known of it.

torch is imported only for an instrument that is declared for CUDA.
"""

import os
import re
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.numeric import pinned_modes
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.cards.leases import take_all, take_card
from atlas_resources.models.memory import free_memory_bytes
from atlas_resources.plates.run_contracts import Accelerator

CHOSEN_INDEX = "ATLAS_CUDA_DEVICE"
"""Environment variable with which a person chooses one of several CUDA devices."""
FORCED_TF32 = "NVIDIA_TF32_OVERRIDE"
"""Environment variable with which NVIDIA's libraries ignore what torch asks of them."""
DRIVER_FILES = (Path("/sys/module/nvidia/version"), Path("/proc/driver/nvidia/version"))


class DeviceUnavailable(RuntimeError):
    """This machine does not have the device that the instrument declares."""


def require_device(spec: Spec) -> str:
    """Returns the spec's device on this machine: `cpu`, or `cuda:<index>`. There is no fallback.

    A card is this process's own from then on (see `cards.leases`): the one that is chosen or declared; else the first
    that no other process of Atlas uses, and if there is none, waits for one. Of a spec with a device map it is the
    first of its cards, which are all taken.

    Raises:
        DeviceUnavailable: the device is missing; or an environment variable would change the numbers.
    """
    if spec.numeric is None or spec.numeric.device == "cpu":
        return "cpu"
    import torch

    present = torch.cuda.is_available()
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())] if present else []
    named = choose_index(spec, names, os.environ)
    uuids = [str(torch.cuda.get_device_properties(index).uuid) for index in range(len(names))]
    if spec.numeric.device_map is not None:
        cards = cards_of(spec, names, os.environ)
        take_all(uuids, cards)
        return f"cuda:{cards[0]}"
    among = range(len(names)) if named is None else [named]
    return f"cuda:{take_card(uuids, among, may_share=CHOSEN_INDEX in os.environ)}"


def cards_of(spec: Spec, names: Sequence[str], variables: Mapping[str, str]) -> list[int]:
    """Returns the indices of the cards that the spec's device map uses, the one of the first module first.

    Args:
        spec: the instrument, which declares a device map.
        names: of the machine's CUDA devices, by index.
        variables: the environment.

    Raises:
        DeviceUnavailable: a card is missing, or ATLAS_CUDA_DEVICE names one card for a model that is spread.
    """
    declared = spec.numeric.device_map if spec.numeric else None
    if CHOSEN_INDEX in variables:
        raise DeviceUnavailable(
            f"{spec.key}: {CHOSEN_INDEX}={variables[CHOSEN_INDEX]} names one CUDA device, and numeric.device_map "
            f"spreads the model over several. Unset it; CUDA_VISIBLE_DEVICES limits those that a process sees"
        )
    if declared is None or declared == "auto":
        return list(range(len(names)))
    cards = list(dict.fromkeys(place for place in declared.values() if isinstance(place, int)))
    if missing := [index for index in cards if index >= len(names)]:
        raise DeviceUnavailable(
            f"{spec.key}: numeric.device_map of model_specs/{spec.key}.yaml: expected indices below {len(names)}, the "
            f"number of CUDA devices here, found {', '.join(map(str, missing))}"
        )
    return cards


def choose_index(spec: Spec, names: Sequence[str], variables: Mapping[str, str]) -> int | None:
    """Returns the index of the CUDA device: the one chosen by ATLAS_CUDA_DEVICE, else the declared one, else None.

    Args:
        spec: the instrument.
        names: of the machine's CUDA devices, by index.
        variables: the environment.

    Raises:
        DeviceUnavailable: see `require_device`.
    """
    key = spec.key
    if not names:
        raise DeviceUnavailable(
            f"{key} is declared for cuda and this machine has no CUDA device that torch can use{_why_none()}. Run it "
            f"on one that has, or {_on_the_cpu(spec)}."
        )
    if FORCED_TF32 in variables:
        raise DeviceUnavailable(
            f"{key}: {FORCED_TF32}={variables[FORCED_TF32]} is set, which changes numbers without being part of any "
            f"fingerprint. Unset it."
        )
    chosen, where = variables.get(CHOSEN_INDEX), CHOSEN_INDEX
    if chosen is None:
        declared = spec.numeric.device_index if spec.numeric else None
        if declared is None:
            return None
        chosen, where = str(declared), f"numeric.device_index of model_specs/{key}.yaml"
    if not re.fullmatch(r"\d+", chosen) or int(chosen) >= len(names):
        present = ", ".join(f"{index} ({name})" for index, name in enumerate(names))
        raise DeviceUnavailable(f"{key}: {where}: expected the index of a CUDA device, {present}; found {chosen!r}")
    return int(chosen)


def _on_the_cpu(spec: Spec) -> str:
    """Which admitted instruments compute the same model on the CPU; else the command that derives one."""
    registry, root = read_registry(), spec.variant_of or spec.key
    same = [*([registry.specs[root]] if root in registry.specs else []), *registry.variants_of(root)]
    there = [
        one.key
        for one in same
        if one.numeric
        and one.numeric.device == "cpu"
        and one.preprocessing == spec.preprocessing  # a variant over a working raster gives other vectors
        and one.key in registry.instruments
    ]
    if there:
        return f"run {' or '.join(there)}, which computes it on the CPU"
    return f"derive an instrument for the CPU: `atlas models derive {spec.key} --device cpu`"


def _why_none() -> str:
    """What a person needs to tell a missing device from a driver that is too old."""
    import torch

    if torch.version.cuda is None:
        return f" (torch {torch.__version__} is built without CUDA)"
    found = driver_version() or "none"
    return f" (torch {torch.__version__} is built for CUDA {torch.version.cuda}; NVIDIA driver: {found})"


def driver_version(files: Sequence[Path] = DRIVER_FILES) -> str | None:
    """Returns the version of NVIDIA's kernel driver, such as `580.95.05`; None where no file states it."""
    for path in files:
        with suppress(OSError):
            if found := re.search(r"\b\d{3,}\.\d+(\.\d+)?\b", path.read_text(encoding="utf-8")):
                return found.group()
    return None


def start_on(device: str) -> None:
    """Makes the device torch's current one, and counts its peak of memory from now on. Does nothing for the CPU.

    Computes one number on it first, so that a card for which torch has no kernels is found before any plate fails.

    Raises:
        DeviceUnavailable: torch cannot compute on the device, or an earlier error has made it unusable in this process.
    """
    if device == "cpu":
        return
    import torch

    try:
        torch.cuda.set_device(device)
        torch.zeros(1, device=device).add_(1).item()
        torch.cuda.reset_peak_memory_stats()
    except torch.AcceleratorError as error:
        raise DeviceUnavailable(f"{device} cannot be used in this process: {error}") from error


def free_bytes_on_device(spec: Spec) -> int:
    """Memory, in bytes, that is free on the spec's device: the machine's for the CPU, else the card's.

    Raises:
        DeviceUnavailable: see `require_device`.
    """
    device = require_device(spec)
    if device == "cpu":
        return free_memory_bytes()
    import torch

    return torch.cuda.mem_get_info(device)[0]


def describe_accelerator(spec: Spec) -> Accelerator | None:
    """Returns what is known of the CUDA device in use and of its software; None for the CPU, or if none is in use."""
    torch = sys.modules.get("torch")
    if spec.numeric is None or spec.numeric.device == "cpu" or torch is None or not torch.cuda.is_initialized():
        return None
    index = torch.cuda.current_device()
    properties = torch.cuda.get_device_properties(index)
    return Accelerator(
        name=properties.name,
        index=index,
        uuid=str(properties.uuid),
        capability=f"{properties.major}.{properties.minor}",
        memory_bytes=properties.total_memory,
        driver=driver_version(),
        cuda=str(torch.version.cuda),
        cudnn=torch.backends.cudnn.version(),
        modes=pinned_modes(spec.numeric),
    )

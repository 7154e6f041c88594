"""Memory of this process and of its accelerator: how much was used, whether it ran out or was lost, giving it back.

Imports no torch.
"""

import atexit
import gc
import re
import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from atlas_resources.instruments.spec.pins import pinned_files
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import Algorithm
from atlas_resources.models.weights import WeightsMissing, weights_folder

NO_MEMORY = re.compile(
    # torch's allocator for the machine; CUDA itself; and libraries that allocate beside torch, by the names in
    # cublas_api.h and cudnn_graph.h (CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED and its older name).
    r"DefaultCPUAllocator|CUDA error: out of memory|CU[A-Z]+_STATUS_\w*ALLOC(ATION)?_FAILED"
)

CGROUP = Path("/sys/fs/cgroup")
"""Where Linux states how much memory a container may use (cgroup v2)."""

LOST = (  # by cudaGetErrorString of CUDA 13.0: after these, every call of the process fails
    "an illegal memory access was encountered",
    "device-side assert triggered",
    "an illegal instruction was encountered",
    "misaligned address",
    "operation not supported on global/shared address space",
    "invalid program counter",
    "unspecified launch failure",
    "hardware stack error",
    "the launch timed out and was terminated",
    "uncorrectable ECC error encountered",
    "uncorrectable NVLink error",
    "Invalid access of peer GPU memory",
    "CUDA-capable device(s) is/are busy or unavailable",
    "context is destroyed",
)


class ModelLost(RuntimeError):
    """A loaded model cannot be used any more in this process: nothing else can be measured with it.

    Attributes:
        lost: what is lost, after "this process has lost".
        fix: what a person can do, as a sentence.
    """

    lost = "its model"
    fix = "Run it again in a new process."


class DeviceLost(ModelLost):
    """The accelerator cannot be used any more in this process: nothing else can be measured on it."""

    lost = "its device"


def is_out_of_memory(error: BaseException) -> bool:
    """Whether the machine or the accelerator had no memory left.

    torch raises OutOfMemoryError for its own allocator on an accelerator, and other RuntimeErrors for the rest, which
    only their messages tell apart. All are recognised by name: torch may not be loaded.
    """
    is_torch = any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__)
    return isinstance(error, MemoryError) or is_torch or bool(NO_MEMORY.search(str(error)))


@cache
def freeze_imports() -> None:
    """Exempts what this process has imported from collections of garbage, once.

    Each instrument of a run ends with a collection, which would walk over half a million objects that stay anyway.
    """
    gc.collect()
    gc.freeze()
    atexit.register(gc.unfreeze)  # libraries that count their objects at the end, such as DuckDB's, would miss some


def release_cached_memory() -> None:
    """Frees unreachable objects, and gives the accelerator's memory that torch caches back to the device.

    A model refers to itself by its verbs (see `_numeric_modes.in_mode`), so only a collection frees it.
    """
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        try:
            torch.cuda.empty_cache()
        except torch.AcceleratorError as error:
            if not is_device_lost(error):  # a lost device has no memory to give back
                raise


def is_device_lost(error: BaseException) -> bool:
    """Whether an error of CUDA leaves the process without its device.

    An error that surfaces in a library, such as CUBLAS_STATUS_EXECUTION_FAILED, may be of either kind. The device is
    then asked.
    """
    message = str(error)
    if "CUDA error" in message and any(words in message for words in LOST):
        return True
    is_cuda = re.search(r"CUDA error|CU[A-Z]+_STATUS_", message) is not None
    return is_cuda and not is_out_of_memory(error) and not _answers()


def _answers() -> bool:
    """Whether the CUDA device still finishes its work; true if none is in use."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return True
    try:
        torch.cuda.synchronize()
    except torch.AcceleratorError:
        return False
    return True


def free_memory_bytes(cgroup: Path = CGROUP) -> int:
    """Memory of the machine, or of this process's container, that can be used without swapping, in bytes.

    Args:
        cgroup: the folder with `memory.max` and `memory.current`, whose file caches count as free.
    """
    return min([psutil.virtual_memory().available, *_free_in_container(cgroup)])


def _free_in_container(cgroup: Path) -> Iterator[int]:
    with suppress(OSError, ValueError):  # no container; or `max`, which is no limit
        most, used = (int((cgroup / name).read_text()) for name in ("memory.max", "memory.current"))
        stated = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())
        yield max(0, most - used + int(stated.get("inactive_file", 0)))


def weights_bytes(spec: Spec) -> int:
    """Bytes of the spec's weight files that are on disk, about what its model takes; 0 for an algorithm."""
    if spec.weights is None or isinstance(spec.weights, Algorithm):
        return 0
    with suppress(WeightsMissing):
        folder = weights_folder(spec.weights)
        paths = [folder / file.path for file in pinned_files(spec.weights)]
        return sum(path.stat().st_size for path in paths if path.is_file())
    return 0


def peak_memory_bytes() -> int:
    """Most memory that this process has had in use, in bytes: its resident set's high-water mark.

    Linux: `VmHWM` of /proc/self/status, which begins anew with each program, whereas `ru_maxrss` is inherited from
    the process that started this one. macOS: `ru_maxrss`, there in bytes.
    """
    if sys.platform != "linux":
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def peak_device_memory_bytes() -> int | None:
    """Most memory that torch has had allocated on the current CUDA device, in bytes; None if it uses no such device.

    Counted from the loading of the newest model.
    """
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return torch.cuda.max_memory_allocated()


@dataclass(frozen=True)
class DeviceMemory:
    """Memory that torch has allocated on one CUDA device.

    Attributes:
        index: of the device, among those that the process sees.
        allocated_bytes: now.
        peak_bytes: at most, counted from the loading of the newest model there.
    """

    index: int
    allocated_bytes: int
    peak_bytes: int


def device_memory() -> list[DeviceMemory]:
    """Of each CUDA device on which this process has allocated memory; empty if it uses none. Any thread may ask."""
    torch: Any = sys.modules.get("torch")
    if not hasattr(torch, "cuda") or not hasattr(torch.cuda, "is_initialized"):  # another thread is importing it
        return []
    if not torch.cuda.is_initialized():
        return []
    found = [
        DeviceMemory(index, torch.cuda.memory_allocated(index), torch.cuda.max_memory_allocated(index))
        for index in range(torch.cuda.device_count())
    ]
    return [one for one in found if one.peak_bytes]

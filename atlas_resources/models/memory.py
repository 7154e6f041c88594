"""Memory of this process and of its accelerator: how much was used, whether it ran out, giving back what torch keeps.

Imports no torch.
"""

import resource
import sys
from pathlib import Path


def is_out_of_memory(error: Exception) -> bool:
    """Whether the machine or the accelerator had no memory left.

    torch raises OutOfMemoryError for an accelerator, and a plain RuntimeError of its DefaultCPUAllocator for the
    machine. Both are recognised by name: torch may not be loaded.
    """
    is_torch = type(error).__name__ == "OutOfMemoryError" or "DefaultCPUAllocator" in str(error)
    return isinstance(error, MemoryError) or is_torch


def release_cached_memory() -> None:
    """Gives the accelerator's memory that torch caches back to the device. Does nothing if torch is not loaded."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()


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
    """Most memory that torch has had allocated on the current CUDA device, in bytes; None if it uses no such device."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return None
    return torch.cuda.max_memory_allocated()

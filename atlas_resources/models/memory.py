"""Whether the machine or the accelerator ran out of memory, and giving back what torch keeps. Imports no torch."""

import sys


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

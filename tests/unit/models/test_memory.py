"""Errors of memory and lost devices are told from others, and a released model is freed.

The errors are torch's own classes with the messages that it gives on a GPU.
"""

import gc
import sys
import weakref
from types import SimpleNamespace

import psutil
import pytest
import torch
from support.made_specs import project_spec

from atlas_resources.models.loading import load_model
from atlas_resources.models.memory import (
    DeviceMemory,
    device_memory,
    free_memory_bytes,
    is_device_lost,
    is_out_of_memory,
    release_cached_memory,
    weights_bytes,
)
from atlas_resources.models.weights import require_weights

HINT = "\nCUDA kernel errors might be asynchronously reported at some other API call."
NO_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    torch.AcceleratorError(f"CUDA error: out of memory{HINT}"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory"),
    MemoryError(),
    type("Refined", (torch.OutOfMemoryError,), {})("refined"),
]
LOST = [
    torch.AcceleratorError(f"CUDA error: device-side assert triggered{HINT}"),
    torch.AcceleratorError(f"CUDA error: an illegal memory access was encountered{HINT}"),
    torch.AcceleratorError(f"CUDA error: unspecified launch failure{HINT}"),
    torch.AcceleratorError(f"CUDA error: misaligned address{HINT}"),
    RuntimeError("CUDA error: uncorrectable ECC error encountered"),
]
NEITHER = [
    RuntimeError("stack expects each tensor to be equal size"),
    torch.AcceleratorError(f"CUDA error: invalid configuration argument{HINT}"),
    RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(...)`"),  # the device is asked
    ValueError("the plate shows a misaligned address"),
    FileNotFoundError("out of memory.tif"),
]


@pytest.mark.parametrize("error", NO_MEMORY, ids=str)
def test_errors_of_memory_are_recognised(error: Exception):
    assert (is_out_of_memory(error), is_device_lost(error)) == (True, False)


@pytest.mark.parametrize("error", LOST, ids=str)
def test_errors_after_which_every_call_fails_are_recognised(error: Exception):
    assert (is_out_of_memory(error), is_device_lost(error)) == (False, True)


@pytest.mark.parametrize("error", NEITHER, ids=str)
def test_other_errors_are_neither(error: Exception):
    assert (is_out_of_memory(error), is_device_lost(error)) == (False, False)


def test_a_released_model_is_freed_although_it_refers_to_itself():
    model = load_model(project_spec("efficientnet_lite0"))
    network = weakref.ref(model.network)  # type: ignore[union-attr] # the loader's own attribute
    gc.disable()
    try:
        del model
        release_cached_memory()
        assert network() is None
    finally:
        gc.enable()


class TestFreeMemory:
    def folder(self, tmp_path, most: str, used: int):
        (tmp_path / "memory.max").write_text(f"{most}\n")
        (tmp_path / "memory.current").write_text(f"{used}\n")
        (tmp_path / "memory.stat").write_text("anon 700\nfile 250\ninactive_file 200\n")
        return tmp_path

    def test_a_container_has_what_its_limit_leaves_and_its_unused_file_cache(self, tmp_path):
        assert free_memory_bytes(self.folder(tmp_path, "1000", 950)) == 250

    def test_without_a_limit_it_is_the_machine_s(self, tmp_path, monkeypatch):
        monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=12345))
        assert free_memory_bytes(self.folder(tmp_path, "max", 950)) == 12345
        assert free_memory_bytes(tmp_path / "missing") == 12345


def test_weights_take_the_bytes_of_their_files_and_algorithms_none():
    lite = project_spec("efficientnet_lite0")
    located = require_weights(lite)
    assert weights_bytes(lite) == sum(path.stat().st_size for path in located.files.values()) > 10_000_000
    assert weights_bytes(project_spec("otsu_luma")) == 0


def test_memory_is_read_of_each_device_that_is_in_use_and_by_its_index(monkeypatch: pytest.MonkeyPatch):
    """A machine with three cards as torch describes it; the second is not in use."""
    allocated, peak = {0: 100, 1: 0, 2: 50}, {0: 300, 1: 0, 2: 50}
    for name, value in {
        "is_initialized": lambda: True,
        "device_count": lambda: 3,
        "memory_allocated": allocated.__getitem__,
        "max_memory_allocated": peak.__getitem__,
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    assert device_memory() == [DeviceMemory(0, 100, 300), DeviceMemory(2, 50, 50)]


def test_a_torch_that_another_thread_is_importing_has_no_devices_yet(monkeypatch: pytest.MonkeyPatch):
    for unfinished in (SimpleNamespace(), SimpleNamespace(cuda=SimpleNamespace())):
        monkeypatch.setitem(sys.modules, "torch", unfinished)
        assert device_memory() == []

"""The numeric mode that an instrument declares, in force while its model loads and computes, and only then.

torch is imported only when a mode needs it.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from operator import attrgetter
from typing import Any, TypeVar, cast

from atlas_resources.instruments.spec.numeric import DETERMINISTIC, Numeric, switches_of

VERBS = ("embed", "score", "segment", "detect", "read_page", "read_lines", "describe", "embed_text", "cosines")
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"

Model = TypeVar("Model")


@contextmanager
def numeric_mode(numeric: Numeric | None, device: str = "cpu") -> Iterator[None]:
    """Sets the declared precision inside the block and restores the previous one after it, also after an error.

    With bfloat16 and float16, torch.autocast chooses which operations are computed in the narrow type. Everything else
    is float32 and rounds no further, unless the spec declares a matmul precision below `highest`. On CUDA, torch takes
    deterministic algorithms, and warns of an operation that has none.

    Args:
        numeric: the declared mode.
        device: of the model, such as `cuda:1`. It is torch's current device inside the block.
    """
    if numeric is None or (not _needs_torch(numeric) and "torch" not in sys.modules):
        yield
        return
    import torch

    narrow = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(numeric.dtype)
    on_device = torch.cuda.device(device) if device.startswith("cuda") else nullcontext()
    in_narrow = torch.autocast(numeric.device, dtype=narrow, enabled=narrow is not None)
    with _switched(numeric), _deterministic_compiler(numeric), on_device, in_narrow:
        yield


def _needs_torch(numeric: Numeric) -> bool:
    """Whether the mode differs from torch's defaults, which hold in a process that has not imported it."""
    return numeric.device == "cuda" or numeric.dtype != "float32" or numeric.matmul_precision is not None


@contextmanager
def _switched(numeric: Numeric) -> Iterator[None]:
    """Sets torch's switches inside the block. They are of the process: other threads compute with them too."""
    import torch

    precision = numeric.matmul_precision or "highest"
    switches = switches_of(numeric)
    before = {path: attrgetter(path)(torch.backends) for path in switches}
    named, may_round = _named_precisions()
    determinism, memory = torch.get_deterministic_debug_mode(), cast(Any, torch.utils.deterministic)
    fills = memory.fill_uninitialized_memory
    try:
        _set(precision, precision != "highest", switches)
        if numeric.device == "cuda":
            os.environ[WORKSPACE] = DETERMINISTIC[WORKSPACE]  # cuBLAS reads it once, when it is first used
            torch.set_deterministic_debug_mode(DETERMINISTIC["deterministic_algorithms"])
            memory.fill_uninitialized_memory = False  # changes no result and takes time
        yield
    finally:
        _set(named, may_round, before)
        torch.set_deterministic_debug_mode(determinism)
        memory.fill_uninitialized_memory = fills


def _deterministic_compiler(numeric: Numeric) -> AbstractContextManager[object]:
    """Keeps torch.compile from choosing a GPU's kernels by their time. Its settings take a second to import."""
    if numeric.compile is None or numeric.device != "cuda":
        return nullcontext()
    import torch._inductor.config as settings

    return settings.patch(deterministic=True)  # type: ignore[attr-defined] # added to the module as it is imported


def _named_precisions() -> tuple[str | None, bool | None]:
    """torch's older names of the same precisions; None where it gives none, as only newer switches were set."""
    import torch

    named = may_round = None
    with suppress(RuntimeError):
        named = torch.get_float32_matmul_precision()
    with suppress(RuntimeError):
        may_round = torch.backends.cudnn.allow_tf32
    return named, may_round


def _set(named: str | None, may_round: bool | None, switches: Mapping[str, Any]) -> None:
    """Sets the older names first, since they set some of the switches too."""
    import torch

    if named is not None:
        torch.set_float32_matmul_precision(named)
    if may_round is not None:
        torch.backends.cudnn.allow_tf32 = may_round
    for path, value in switches.items():
        owner, _, name = path.rpartition(".")
        setattr(attrgetter(owner)(torch.backends), name, value)


def in_mode(model: Model, numeric: Numeric | None, device: str = "cpu") -> Model:
    """Makes each of the model's verbs compute in the declared mode. Changes the model and returns it.

    A network to be compiled is compiled at its first batch.
    """
    if numeric is not None and numeric.compile is not None:
        model.network.compile(backend=numeric.compile)  # type: ignore[attr-defined] # of every loader with can_compile
    for verb in VERBS:
        if hasattr(model, verb):
            setattr(model, verb, numeric_mode(numeric, device)(getattr(model, verb)))
    return model

"""An instrument for CUDA finds its device, or fails before anything is read with a message that says what exists."""

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from support.made_specs import project_spec

from atlas_resources.files.locking import locked
from atlas_resources.instruments.spec.numeric import Numeric, pinned_modes
from atlas_resources.models.cards import leases
from atlas_resources.models.devices import (
    DeviceUnavailable,
    choose_index,
    describe_accelerator,
    driver_version,
    require_device,
)
from atlas_resources.models.loading import load_model
from atlas_resources.models.memory import is_device_lost, release_cached_memory

KEY = "clip_vit_large_patch14"
TWO = ("NVIDIA H100", "NVIDIA L4")
CUDA = Numeric(dtype="float32", device="cuda")
SECOND = CUDA.model_copy(update={"device_index": 1})
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")


def chosen(numeric: Numeric, names: tuple[str, ...] = TWO, **variables: str) -> int | None:
    return choose_index(project_spec(KEY).model_copy(update={"numeric": numeric}), names, variables)


def test_an_index_is_declared_or_chosen():
    assert (chosen(CUDA), chosen(SECOND)) == (None, 1)
    assert chosen(CUDA, ATLAS_CUDA_DEVICE="1") == 1
    assert chosen(SECOND, ATLAS_CUDA_DEVICE="0") == 0


@pytest.mark.parametrize("index", ["2", "-1", "cuda:1", ""])
def test_an_index_that_does_not_exist_is_refused_with_what_exists(index: str):
    with pytest.raises(DeviceUnavailable) as caught:
        chosen(CUDA, ATLAS_CUDA_DEVICE=index)
    assert str(caught.value) == (
        f"{KEY}: ATLAS_CUDA_DEVICE: expected the index of a CUDA device, 0 (NVIDIA H100), 1 (NVIDIA L4); "
        f"found {index!r}"
    )


def test_a_declared_index_that_does_not_exist_names_its_spec():
    with pytest.raises(DeviceUnavailable, match=rf"numeric.device_index of model_specs/{KEY}.yaml: .* found '1'"):
        chosen(SECOND, TWO[:1])


def test_a_variable_that_changes_numbers_is_refused():
    with pytest.raises(DeviceUnavailable, match=r"NVIDIA_TF32_OVERRIDE=0 is set.*Unset it"):
        chosen(CUDA, NVIDIA_TF32_OVERRIDE="0")


def test_without_a_device_the_message_states_torchs_cuda_and_the_driver():
    with pytest.raises(DeviceUnavailable, match=rf"{KEY} is declared for cuda .* no CUDA device .*torch .*driver"):
        chosen(CUDA, ())


@without_cuda
def test_a_missing_device_is_found_before_any_weights_are_looked_for(monkeypatch: pytest.MonkeyPatch):
    """Nothing of the spec is on disk: weights that were looked for first would be the error."""
    monkeypatch.setenv("HF_HUB_CACHE", "/nowhere")
    spec = project_spec("clip_vit_base_patch32").model_copy(update={"numeric": CUDA})
    with pytest.raises(DeviceUnavailable, match=r"^clip_vit_base_patch32 is declared for cuda"):
        load_model(spec)


@without_cuda
@pytest.mark.parametrize("key", ["efficientnet_lite0", "otsu_luma"])
def test_an_instrument_for_the_cpu_needs_no_device(key: str):
    assert require_device(project_spec(key)) == "cpu"


@pytest.mark.parametrize(
    "text",
    [
        "580.95.05\n",
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.95.05  Tue Sep 23 10:11:16 UTC 2025\nGCC 13.3.0\n",
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.95.05  Release Build\n",
    ],
)
def test_the_drivers_version_is_read_from_the_kernels_files(tmp_path: Path, text: str):
    (tmp_path / "version").write_text(text)
    assert driver_version([tmp_path / "missing", tmp_path / "version"]) == "580.95.05"


def test_a_machine_without_the_driver_states_no_version(tmp_path: Path):
    assert driver_version([tmp_path / "missing"]) is None


@without_cuda
def test_a_variant_for_the_cpu_is_named():
    with pytest.raises(DeviceUnavailable, match="or run clip_vit_large_patch14_cpu, which computes it on the CPU"):
        load_model(project_spec("clip_vit_large_patch14"))


@without_cuda
def test_of_a_variant_for_a_gpu_the_instrument_for_the_cpu_is_named():
    on_gpu = {"key": "efficientnet_lite0_cuda", "variant_of": "efficientnet_lite0", "numeric": CUDA}
    with pytest.raises(DeviceUnavailable, match="or run efficientnet_lite0, which computes it on the CPU"):
        load_model(project_spec("efficientnet_lite0").model_copy(update=on_gpu))


@without_cuda
@pytest.mark.parametrize("key", ["dinov2_giant", "sam_vit_large_dinov2_large"])
def test_without_one_the_command_that_derives_it_is_named(key: str):
    with pytest.raises(DeviceUnavailable, match=f"or derive .*: `atlas models derive {key} --device cpu`"):
        load_model(project_spec(key))


@without_cuda
def test_of_a_variant_for_a_gpu_the_instrument_that_it_varies_is_named():
    numeric = Numeric(dtype="float32", device="cuda")
    varied = project_spec("otsu_luma").model_copy(
        update={"key": "otsu_cuda", "variant_of": "otsu_luma", "numeric": numeric}
    )
    with pytest.raises(DeviceUnavailable, match="or run otsu_luma, which computes it on the CPU"):
        load_model(varied)


def test_a_variant_runs_on_the_device_that_it_declares():
    assert require_device(project_spec("clip_vit_large_patch14_cpu")) == "cpu"


LOST = torch.AcceleratorError("CUDA error: device-side assert triggered")


@pytest.fixture
def two_cards(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A machine with two cards, as torch describes it; nothing can be computed on them."""
    monkeypatch.delenv("ATLAS_CUDA_DEVICE", raising=False)
    monkeypatch.setattr(leases, "FOLDERS", (tmp_path,))
    facts = {"major": 9, "minor": 0, "total_memory": 85_000_000_000}
    for name, value in {
        "is_available": lambda: True,
        "is_initialized": lambda: True,
        "device_count": lambda: 2,
        "current_device": lambda: 1,
        "get_device_name": lambda index: TWO[index],
        "get_device_properties": lambda index: SimpleNamespace(name=TWO[index], uuid=f"8a0{index}", **facts),
    }.items():
        monkeypatch.setattr(torch.cuda, name, value)
    yield
    leases.give_back()


def raises(error: Exception) -> Callable[..., Any]:
    def raising(*given: object) -> Any:
        raise error

    return raising


def test_the_chosen_card_is_named_as_torch_names_devices(two_cards: None, monkeypatch: pytest.MonkeyPatch):
    spec = project_spec(KEY)
    assert require_device(spec) == "cuda:0"
    monkeypatch.setenv("ATLAS_CUDA_DEVICE", "1")
    assert require_device(spec) == "cuda:1"


def test_a_process_takes_the_card_that_no_other_process_uses(two_cards: None, tmp_path: Path):
    with locked(tmp_path / "atlas-cuda-8a00.lock"):
        assert require_device(project_spec(KEY)) == "cuda:1"
    assert require_device(project_spec(KEY)) == "cuda:1"  # its own, although the other is free now


def test_a_device_map_takes_all_its_cards_and_begins_on_the_first_that_it_names(two_cards: None):
    spread = CUDA.model_copy(update={"device_map": {"vision": 1, "words": 0, "head": "cpu"}})
    assert require_device(project_spec(KEY).model_copy(update={"numeric": spread})) == "cuda:1"
    assert sorted(leases.held()) == ["8a00", "8a01"]


def test_a_device_map_needs_its_cards_and_no_chosen_one(two_cards: None, monkeypatch: pytest.MonkeyPatch):
    spec = project_spec(KEY)
    third = spec.model_copy(update={"numeric": CUDA.model_copy(update={"device_map": {"": 2}})})
    with pytest.raises(DeviceUnavailable, match="expected indices below 2, the number of CUDA devices here, found 2"):
        require_device(third)
    monkeypatch.setenv("ATLAS_CUDA_DEVICE", "1")
    with pytest.raises(DeviceUnavailable, match="ATLAS_CUDA_DEVICE=1 names one CUDA device"):
        require_device(spec.model_copy(update={"numeric": CUDA.model_copy(update={"device_map": "auto"})}))


def test_what_is_known_of_the_card_in_use_is_described(two_cards: None):
    spec = project_spec(KEY)
    found = describe_accelerator(spec)
    assert found is not None
    assert (found.name, found.index, found.uuid, found.capability) == ("NVIDIA L4", 1, "8a01", "9.0")
    assert (found.cuda, found.cudnn) == (torch.version.cuda, torch.backends.cudnn.version())
    assert found.modes == pinned_modes(spec.numeric)
    assert found.modes["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"


def test_an_instrument_for_the_cpu_has_no_card_even_where_there_is_one(two_cards: None):
    assert describe_accelerator(project_spec("efficientnet_lite0")) is None


@pytest.mark.parametrize(
    "message", ["CUDA error: device-side assert triggered", "CUDA error: no kernel image is available for execution"]
)
def test_a_card_on_which_nothing_can_be_computed_is_unavailable_before_any_plate(
    message: str, two_cards: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "set_device", raises(torch.AcceleratorError(message)))
    with pytest.raises(DeviceUnavailable, match=f"cuda:0 cannot be used in this process: {message}"):
        load_model(project_spec(KEY))


def test_an_error_of_a_library_loses_the_device_if_the_device_does_not_answer(
    two_cards: None, monkeypatch: pytest.MonkeyPatch
):
    error = RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm(...)`")
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    assert not is_device_lost(error)
    monkeypatch.setattr(torch.cuda, "synchronize", raises(LOST))
    assert is_device_lost(error)


def test_a_lost_device_has_no_memory_to_give_back_and_another_error_is_raised(
    two_cards: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(torch.cuda, "empty_cache", raises(LOST))
    release_cached_memory()
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", raises(torch.AcceleratorError("CUDA error: invalid argument")))
    with pytest.raises(torch.AcceleratorError, match="invalid argument"):
        release_cached_memory()

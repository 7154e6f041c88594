"""Runs on a GPU: what they record, what they do without memory or without the device, and what they leave behind."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import torch
from support.fake_instruments import fake_registry
from support.gpu_cases import on
from support.made_datasets import make_dataset, run_folders
from support.made_results import build_ledgers, run_instrument
from support.made_specs import project_spec
from support.wants_gpu import WANTS_GPU

from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.instruments.registry import read_registry
from atlas_resources.models.devices import DeviceUnavailable, require_device
from atlas_resources.models.inputs import stack_inputs
from atlas_resources.models.loading import load_model
from atlas_resources.models.memory import is_out_of_memory, release_cached_memory
from atlas_resources.resources import build_instrument_resource
from atlas_resources.runs.measuring import Measurer
from atlas_resources.runs.sealing import Measurement

pytestmark = WANTS_GPU

GIB = 1 << 30


def on_gpu() -> Any:
    """EfficientNet-Lite0 with its packaged weights, on a GPU, alone in a registry."""
    return fake_registry(on(project_spec("efficientnet_lite0"), "cuda"))


def test_a_sealed_run_states_the_card_its_software_and_what_is_pinned(tmp_path: Path):
    dataset, registry = make_dataset(tmp_path, "red", "teal", "blue"), on_gpu()
    assert run_instrument(dataset, registry, "efficientnet_lite0") == ["complete"] * 3
    runs = build_ledgers(dataset, registry)["runs"]
    assert runs["accelerator"].to_list() == [torch.cuda.get_device_name(0)] * 3
    assert runs["accelerator_index"].to_list() == [0] * 3
    assert runs["cuda"].to_list() == [torch.version.cuda] * 3
    assert runs["cudnn"].to_list() == [torch.backends.cudnn.version()] * 3
    assert runs["modes"].str.contains('"cudnn.conv.fp32_precision": "ieee"').all()
    assert runs["packages"].str.contains("nvidia-cublas").all()
    assert (runs["peak_device_memory_bytes"] > 1 << 20).all()


class Hungry:
    """Allocates memory on the device for each plate of a batch."""

    def __init__(self, bytes_per_plate: int):
        self.bytes_per_plate = bytes_per_plate
        self.sizes: list[int] = []

    def load(self) -> None:
        pass

    def prepare(self, plate: Any, upstream: object, stopwatch: object) -> Any:
        raise NotImplementedError  # only `measure` is called

    def measure(self, batch: list[Any]) -> list[Measurement]:
        self.sizes.append(len(batch))
        block = torch.empty(len(batch) * self.bytes_per_plate, dtype=torch.uint8, device="cuda")
        return [Measurement(pl.DataFrame(), {"number": number, "bytes": block.numel()}) for number in batch]


@pytest.fixture
def one_gib():
    """At most one GiB of the device for torch."""
    release_cached_memory()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + GIB) / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


def test_a_batch_that_does_not_fit_is_halved_and_its_memory_is_given_back(one_gib):
    notices: list[str] = []
    work = Hungry(GIB * 3 // 10)
    results = Measurer(work, 8, notices.append).measure([1, 2, 3, 4, 5, 6, 7, 8])
    assert [result.metrics["number"] for result in results if isinstance(result, Measurement)] == list(range(1, 9))
    assert work.sizes == [8, 4, 2, 2, 2, 2]
    assert all(notice.startswith("out of memory with") for notice in notices)


def test_a_plate_that_does_not_fit_alone_fails_and_the_next_one_does_not(one_gib):
    with pytest.raises(torch.OutOfMemoryError) as caught:
        torch.empty(2 * GIB, device="cuda")
    assert is_out_of_memory(caught.value)
    results = Measurer(Hungry(2 * GIB), 1, print).measure([1])
    assert [getattr(result, "type", None) for result in results] == ["OutOfMemoryError"]
    assert isinstance(Measurer(Hungry(GIB // 2), 1, print).measure([2])[0], Measurement)


def test_a_lost_device_ends_the_run_and_seals_no_plate_as_failed(tmp_path: Path):
    """In a process of its own, which cannot use the device afterwards."""
    dataset = make_dataset(tmp_path, "red", "green", "blue", "ochre", "teal")
    done = subprocess.run(
        [sys.executable, "-m", "support.lost_device", str(dataset.root), "cuda"],
        env={**os.environ, "PYTHONPATH": str(PROJECT_ROOT / "tests")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ended by: this process has lost its device while measuring plate-003, plate-004: " in done.stdout, done
    assert "then: cuda:0 cannot be used in this process: " in done.stdout, done
    assert [len(run_folders(dataset, plate_id)) for plate_id in dataset.plate_ids()] == [1, 1, 0, 0, 0]


def test_a_released_model_leaves_no_memory_on_the_device():
    """After a first use, since cuBLAS keeps the workspace that it then takes."""
    instrument = on_gpu().instruments["efficientnet_lite0"]
    resource = build_instrument_resource(instrument)
    left = []
    for _ in range(2):
        resource.load(instrument).embed(torch.rand(2, 3, 224, 224))
        used = torch.cuda.memory_allocated()
        resource.release()
        left.append(torch.cuda.memory_allocated())
        assert used - left[-1] > 10 << 20  # 13.5 MB of weights in float32
    assert left[0] == left[1]


def test_a_chosen_device_that_exists_is_used_and_another_is_refused(monkeypatch: pytest.MonkeyPatch):
    spec = on(project_spec("efficientnet_lite0"), "cuda")
    count = torch.cuda.device_count()
    monkeypatch.setenv("ATLAS_CUDA_DEVICE", str(count - 1))
    model: Any = load_model(spec)
    assert {str(weight.device) for weight in model.network.parameters()} == {f"cuda:{count - 1}"}
    assert torch.cuda.current_device() == count - 1
    monkeypatch.setenv("ATLAS_CUDA_DEVICE", str(count))
    with pytest.raises(DeviceUnavailable, match=torch.cuda.get_device_name(0)):
        require_device(spec)


def test_inputs_are_stacked_in_pinned_memory():
    torch.cuda.init()
    stacked = stack_inputs([torch.full((3, 2, 2), 1.0), torch.full((3, 2, 2), 2.0)])
    assert stacked.is_pinned()
    assert torch.equal(stacked, torch.stack([torch.full((3, 2, 2), 1.0), torch.full((3, 2, 2), 2.0)]))


def test_the_projects_instruments_for_a_gpu_find_it():
    wanted = [instrument.spec for instrument in read_registry().instruments.values() if instrument.is_gpu]
    assert {require_device(spec) for spec in wanted} == {"cuda:0"}

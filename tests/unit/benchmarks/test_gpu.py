"""The benchmark of GPUs runs through the real loaders on the CPU, with small networks, and never makes up a figure."""

import re

import huggingface_hub.constants
import pytest
import torch
from segment_anything import sam_model_registry
from torch import nn

from benchmarks import gpu

FIGURES = r"[\d.]+ \| \d+% \| [\d.]+ \| \d+% \| not measured \|"


@pytest.fixture(autouse=True)
def caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The benchmark makes this process look for weights elsewhere."""
    monkeypatch.setenv("TORCH_HOME", "unset")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", "unset")


def test_operations_are_counted_for_one_image():
    """Eight 2 x 2 filters over three channels at four places: 2 x 8 x 12 x 4 operations."""
    assert gpu.flops_of(nn.Conv2d(3, 8, 2, stride=2, bias=False), 4) == 768


@pytest.mark.timeout(300)
def test_a_small_network_is_measured_and_one_without_a_small_form_is_not():
    lines = gpu.table(["CLIP L/14", "AIMv2-L"], gpu.settings("cpu", "float32", is_small=True))
    assert re.fullmatch(rf"\| CLIP L/14 \| {FIGURES}", lines[-2]), lines
    assert lines[-1].startswith("| AIMv2-L | not measured: timm's aimv2_large_patch14_336 has one size |")


@pytest.mark.system
@pytest.mark.timeout(900)
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_small_sam_is_measured(dtype: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sam_model_registry, "vit_b", sam_model_registry["vit_b"])  # put back afterwards
    line = gpu.table(["SAM ViT-B"], gpu.settings("cpu", dtype, is_small=True))[-1]
    assert re.fullmatch(
        r"\| SAM ViT-B \| [\d.]+ \(encoder\) \| \d+% \| [\d.]+ \(all masks\) \| - \| not measured \|", line
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_without_a_gpu_no_row_has_a_figure(capsys: pytest.CaptureFixture[str]):
    assert gpu.main([]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert len(rows) == len(gpu.EMBEDDERS) + len(gpu.SEGMENTERS)
    assert all(" | not measured: this machine has no CUDA device | - | - | - | - |" in row for row in rows)

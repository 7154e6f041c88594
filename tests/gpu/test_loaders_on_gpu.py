"""Every loader gives on a GPU what it gives on the CPU, the same each time, and in narrow types what autocast gives.

Warnings are errors here too, so an operation without a deterministic algorithm fails its case.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.gpu_cases import CASES, Case, distance, load_on, of_images, on, result_of
from support.made_datasets import draw_scans
from support.made_specs import project_spec
from support.wants_gpu import WANTS_GPU

from atlas_assets.cli.models.golden_measurement import compare, cosines
from atlas_resources.instruments.spec.numeric import Numeric
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models._numeric_modes import numeric_mode
from atlas_resources.models.protocols import Scorer

pytestmark = WANTS_GPU

NARROW = sorted(name for name, case in CASES.items() if case.compute is of_images)
BFLOAT16_COSINE = 0.99
"""bfloat16 keeps 8 bits of each number; of seeded networks of a few layers the cosine to float32 stays above this."""


@pytest.fixture(params=CASES)
def made(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Case, Spec]:
    case = CASES[request.param]
    return case, case.make(tmp_path, monkeypatch)


def test_it_gives_what_the_cpu_gives(made: tuple[Case, Spec]):
    case, spec = made
    assert distance(result_of(case, on(spec, "cuda")), result_of(case, on(spec, "cpu"))) < case.tolerance


def test_two_loads_give_the_same_bits(made: tuple[Case, Spec]):
    case, spec = made
    first, second = result_of(case, on(spec, "cuda")), result_of(case, on(spec, "cuda"))
    assert all(np.array_equal(*pair) for pair in zip(first, second, strict=True))


@pytest.mark.filterwarnings("ignore:Mismatch dtype between input and weight:UserWarning")
@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
@pytest.mark.parametrize("name", NARROW)
def test_narrow_weights_give_what_autocast_gives_of_wide_ones(
    name: str, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    case = CASES[name]
    spec = case.make(tmp_path, monkeypatch)
    narrow = on(spec, "cuda", dtype=dtype)
    wide: Any = load_on(on(spec, "cuda"))
    device = str(wide.device)
    verb = "score" if isinstance(wide, Scorer) else "embed"
    delattr(wide, verb)  # leaves the class's own, which is in no mode
    with numeric_mode(narrow.numeric, device):
        expected = case.compute(wide, spec)
    found = result_of(case, narrow)
    assert all(np.array_equal(*pair) for pair in zip(found, expected, strict=True))
    exact = result_of(case, on(spec, "cuda"))[0]
    assert not np.array_equal(found[0], exact)
    assert cosines(exact, found[0]).min() > BFLOAT16_COSINE


def test_the_golden_test_measures_a_fast_mode_on_the_gpu(tmp_path: Path):
    """EfficientNet-Lite0 in bfloat16 is near float32 and not equal, as it is on a CPU (0.991)."""
    spec = on(project_spec("efficientnet_lite0"), "cuda", dtype="bfloat16")
    found = compare(spec, draw_scans(tmp_path, "red", "teal"))
    assert all(0.95 < plate.cosine < 1 - 1e-7 for plate in found)


LARGEST_IN_FLOAT32 = 2e-6
"""Relative error of a sum of 576 or 1024 products of numbers in 0..1, each rounded to 2**-24. TF32 rounds factors to
2**-11, which leaves about 1e-5 of such a sum."""


def errors(numeric: Numeric) -> tuple[float, float]:
    """Of a convolution and of a product on the GPU, relative to float64."""
    random = torch.Generator().manual_seed(0)
    images, kernels = torch.rand(2, 64, 32, 32, generator=random), torch.rand(64, 64, 3, 3, generator=random)
    one, other = torch.rand(1024, 1024, generator=random), torch.rand(1024, 1024, generator=random)
    with numeric_mode(numeric, "cuda:0"):
        convolved = torch.nn.functional.conv2d(images.cuda(), kernels.cuda()).cpu()
        product = (one.cuda() @ other.cuda()).cpu()
    exact = torch.nn.functional.conv2d(images.double(), kernels.double()), one.double() @ other.double()
    pairs = zip((convolved, product), exact, strict=True)
    first, second = (float((found - wanted).norm() / wanted.norm()) for found, wanted in pairs)
    return first, second


@pytest.mark.parametrize("precision", [None, "highest"])
def test_float32_does_not_round_to_tf32(precision: Any):
    assert max(errors(Numeric(dtype="float32", device="cuda", matmul_precision=precision))) < LARGEST_IN_FLOAT32


@pytest.mark.parametrize("precision", ["high", "medium"])
def test_a_declared_lower_precision_takes_effect(precision: Any):
    if torch.cuda.get_device_capability() < (8, 0):
        pytest.skip("this device has no TF32")
    assert errors(Numeric(dtype="float32", device="cuda", matmul_precision=precision))[1] > LARGEST_IN_FLOAT32

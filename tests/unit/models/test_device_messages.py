"""An instrument whose device is missing names another one to run, or the command that makes one."""

import pytest
import torch
from support.made_specs import PROJECT

from atlas_resources.models.loading import DeviceUnavailable, load_model, require_device

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")


def test_a_variant_for_the_cpu_is_named():
    with pytest.raises(DeviceUnavailable, match="or run clip_vit_large_patch14_cpu, which computes it on the CPU"):
        load_model(PROJECT.specs["clip_vit_large_patch14"])


@pytest.mark.parametrize("key", ["dinov2_giant", "sam_vit_large_dinov2_large"])
def test_without_one_the_command_that_derives_it_is_named(key: str):
    with pytest.raises(DeviceUnavailable, match=f"or derive .*: `atlas models derive {key} --device cpu`"):
        load_model(PROJECT.specs[key])


def test_a_variant_runs_on_the_device_that_it_declares():
    assert require_device(PROJECT.specs["clip_vit_large_patch14_cpu"]) == "cpu"

"""Runs with real weights, which come with a package, are repeated bit for bit."""

import pytest
from support.made_datasets import make_dataset
from support.made_reproductions import repeat, run_of
from support.made_results import run_instrument

from atlas_resources.instruments.registry import read_registry
from atlas_resources.models.weights import has_weights

REGISTRY = read_registry()
KEYS = ("efficientnet_lite0", "efficientnet_lite0_imagenet", "otsu_luma", "otsu_luma_kept", "otsu_luma_palette")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("real"), "red", "green")


@pytest.mark.parametrize("key", KEYS)
def test_a_run_with_the_packaged_weights_comes_out_again(measured, key):
    instrument = REGISTRY.instruments[key]
    if not has_weights(instrument):
        pytest.skip(f"the weights of {key} are not on disk")
    assert run_instrument(measured, REGISTRY, key) == ["complete"] * 2
    result = repeat(measured, run_of(measured, key))
    assert [(plate.verdict, plate.has_same_bytes) for plate in result.plates] == [("identical", True)] * 2
    assert result.changes == []


def test_a_plate_measured_in_a_smaller_batch_is_identical_or_within_the_tolerance(measured):
    """oneDNN takes other kernels for other batch sizes; the difference was 3e-7 of the vector's length."""
    key = "efficientnet_lite0"
    if not has_weights(REGISTRY.instruments[key]):
        pytest.skip(f"the weights of {key} are not on disk")
    run_instrument(measured, REGISTRY, key, is_forced=True)
    (plate,) = repeat(measured, run_of(measured, key), "plate-002").plates
    assert plate.verdict in ("identical", "within_tolerance")
    assert all(difference.largest < 1e-5 for difference in plate.differences)

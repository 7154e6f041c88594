"""Tests on a GPU start processes that compute on the device which the tests' own process holds: they share it."""

import pytest


@pytest.fixture(autouse=True)
def shared_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first device, named, which does not wait for other processes."""
    monkeypatch.setenv("ATLAS_CUDA_DEVICE", "0")

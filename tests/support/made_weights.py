"""Caches of weights in a folder of the test's: empty at first, then with empty files of the pinned names."""

from collections.abc import Iterable
from pathlib import Path

import huggingface_hub.constants
import pytest

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.spec.pins import pinned_files
from atlas_resources.instruments.spec.weights import Algorithm, SystemWeights
from atlas_resources.models.weights import weights_folder


def use_caches(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Looks for weights in empty caches. Those that are part of an installed package stay where they are."""
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder / "hub"))
    patch.setenv("TORCH_HOME", str(folder / "torch"))


def put_weights(instruments: Iterable[Instrument]) -> None:
    """Puts an empty file where each pinned file is looked for: enough for the graph, and refused by every loader.

    Files of the operating system's packages are left alone: they are outside every test's folder.
    """
    for instrument in instruments:
        weights = instrument.spec.weights
        if weights is None or isinstance(weights, Algorithm | SystemWeights):
            continue
        for file in pinned_files(weights):
            path = weights_folder(weights) / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

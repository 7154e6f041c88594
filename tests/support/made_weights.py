"""Caches of weights in a folder of the test's: empty at first, then with empty files of the pinned names."""

from collections.abc import Iterable
from pathlib import Path

import huggingface_hub.constants
import pytest

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.spec.pins import pinned_files
from atlas_resources.instruments.spec.weights import Algorithm
from atlas_resources.models import weights
from atlas_resources.models.weights import weights_folder


def use_caches(patch: pytest.MonkeyPatch, folder: Path) -> None:
    """Looks for weights in empty caches. Those that are part of an installed package stay where they are."""
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder / "hub"))
    patch.setattr(weights, "SYSTEM_ROOT", folder / "system")
    patch.setenv("TORCH_HOME", str(folder / "torch"))


def put_weights(instruments: Iterable[Instrument]) -> None:
    """Puts an empty file where each pinned file is looked for: enough for the graph, and refused by every loader."""
    for instrument in instruments:
        pinned = instrument.spec.weights
        if pinned is None or isinstance(pinned, Algorithm):
            continue
        for file in pinned_files(pinned):
            path = weights_folder(pinned) / file.path
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()

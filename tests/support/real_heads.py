"""The real aesthetic heads in the folder `shared` next to the repository. Tests that need them are skipped without."""

from pathlib import Path

import huggingface_hub.constants
import pytest

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import GitWeights
from atlas_resources.models.weights import weights_folder
from support.shared import SHARED

FOLDER = SHARED / "weights"

wants_real_heads = pytest.mark.skipif(not FOLDER.is_dir(), reason=f"no real heads: {FOLDER} is absent")


def put_real_head(spec: Spec, cache: Path, patch: pytest.MonkeyPatch) -> Path:
    """A link to the real file where `atlas models pull` would put it."""
    patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    assert isinstance(spec.weights, GitWeights)
    path = weights_folder(spec.weights) / spec.weights.files[0].path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(FOLDER / path.name)
    return path

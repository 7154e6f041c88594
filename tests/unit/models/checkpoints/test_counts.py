"""The numbers in weight files are those of the network that was saved, or that its loader reads."""

from pathlib import Path

import pytest
import torch
from support.fake_instruments import EMBEDDER, fake_spec
from support.made_checkpoints import clip_of_letters, put_in_hub_cache
from support.made_specs import project_spec
from support.made_weights import use_caches

from atlas_resources.models.checkpoints.counts import count_numbers
from atlas_resources.models.weights import require_weights


def test_of_safetensors_they_are_the_saved_networks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = clip_of_letters()
    placed = put_in_hub_cache(made, project_spec("clip_vit_base_patch32"), tmp_path, monkeypatch)
    assert count_numbers(placed) == sum(tensor.numel() for tensor in made.state_dict().values())


def test_of_a_pickle_they_are_its_tensors():
    spec = project_spec("efficientnet_lite0")
    state = torch.load(require_weights(spec).only_file(), weights_only=True)
    assert count_numbers(spec) == sum(tensor.numel() for tensor in state.values())


def test_an_algorithm_has_none():
    assert count_numbers(fake_spec(EMBEDDER)) == 0


def test_without_the_files_they_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use_caches(monkeypatch, tmp_path)
    assert count_numbers(project_spec("clip_vit_base_patch32")) is None

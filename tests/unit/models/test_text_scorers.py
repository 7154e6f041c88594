"""CLIP's text tower scores sealed vectors as transformers' pipeline scores their images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.made_checkpoints import SIDE_PX, clip_of_letters, letters, put_in_hub_cache, snapshot_folder
from support.made_detectors import drawn
from support.made_specs import project_spec
from transformers import CLIPImageProcessorPil, pipeline

from atlas_resources.instruments.prompts import read_prompts
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import TextScorer

KEY, CLIP = "clip_vit_base_patch32_prompts", "clip_vit_base_patch32"


@pytest.fixture
def tower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The project's spec over a tiny CLIP: the spec, and the network that was saved."""
    made, spec = clip_of_letters(), project_spec(KEY)
    placed = put_in_hub_cache(made, spec, tmp_path / "hub", monkeypatch)
    letters().save_pretrained(snapshot_folder(spec, tmp_path / "hub"))
    return placed, made


def scorer(spec: Any) -> TextScorer:
    model = load_model(spec, read_prompts().asked(spec.prompts or []))
    assert isinstance(model, TextScorer)
    return model


PROCESSOR = CLIPImageProcessorPil(size={"shortest_edge": SIDE_PX}, crop_size={"height": SIDE_PX, "width": SIDE_PX})


@torch.inference_mode()
def image_vectors(made: Any) -> torch.Tensor:
    inputs = [PROCESSOR(image, return_tensors="pt")["pixel_values"] for image in drawn(4)]
    return torch.cat([made.get_image_features(pixel_values=batch).pooler_output for batch in inputs])


def test_probabilities_are_the_pipelines_set_by_set(tower):
    spec, made = tower
    model = scorer(spec)
    _, scores = model.score(image_vectors(made))
    reference = pipeline("zero-shot-image-classification", model=made, tokenizer=letters(), image_processor=PROCESSOR)
    for name in ("medium_v1", "atmosphere_v1", "valence_v1"):
        texts = [prompt.text for prompt in read_prompts().sets[name].prompts]
        columns = [column for column, label in enumerate(model.labels) if label.name in texts]
        for row, image in enumerate(drawn(4)):
            expected = {
                one["label"]: one["score"]
                for one in reference(image, candidate_labels=texts, hypothesis_template="{}")  # type: ignore[union-attr] # dicts
            }
            np.testing.assert_allclose(scores[row, columns], [expected[text] for text in texts], atol=1e-3)


def test_cosines_and_logits_are_the_networks(tower):
    spec, made = tower
    model = scorer(spec)
    batch = image_vectors(made)
    with torch.inference_mode():
        inputs = letters()([label.name for label in model.labels], padding=True, return_tensors="pt")
        words = made.get_text_features(**inputs).pooler_output
    expected = torch.nn.functional.cosine_similarity(batch[:, None], words[None], dim=2).numpy()
    np.testing.assert_allclose(model.cosines(batch), expected, atol=1e-4)
    np.testing.assert_allclose(model.score(batch)[0], expected * float(made.logit_scale.detach().exp()), atol=1e-3)


def test_every_row_names_its_prompt(tower):
    model = scorer(tower[0])
    assert len(model.labels) == 17
    prompts = [label.prompt for label in model.labels]
    assert [prompt.id for prompt in prompts if prompt and prompt.set == "medium"] == ["engraving", "photograph", "scan"]
    assert all(prompt and prompt.version == 1 and len(prompt.sha256) == 64 for prompt in prompts)

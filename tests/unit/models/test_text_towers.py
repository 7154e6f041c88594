"""SigLIP's and BiomedCLIP's text towers give what their libraries' own calls give, to TOLERANCE in float32."""

from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image
from support.made_checkpoints import SIDE_PX
from support.made_detectors import drawn
from support.made_text_towers import MadeTower, biomedclip_tower, siglip_tower
from transformers import SiglipImageProcessorPil, pipeline

from atlas_resources.instruments.prompts import read_prompts
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import TemplateEmbedder, TextScorer
from atlas_resources.models.weights import WeightsMismatch

TOLERANCE = 1e-5
TEXTS = ["an engraving of a heron", "An Engraving, of a HERON!", "snow", "x" * 300]


@pytest.fixture
def siglip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeTower:
    return siglip_tower(tmp_path / "hub", monkeypatch)


@pytest.fixture
def biomedclip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeTower:
    return biomedclip_tower(tmp_path / "hub", monkeypatch)


def scorer(spec: Spec) -> TextScorer:
    model = load_model(spec, read_prompts().asked(spec.prompts or []))
    assert isinstance(model, TextScorer)
    return model


PROCESSOR = SiglipImageProcessorPil(size={"height": SIDE_PX, "width": SIDE_PX})


@torch.inference_mode()
def siglip_vectors(network: Any, images: list[Image.Image]) -> torch.Tensor:
    inputs = [PROCESSOR(image, return_tensors="pt")["pixel_values"] for image in images]
    return torch.cat([network.get_image_features(pixel_values=batch).pooler_output for batch in inputs])


def test_siglips_text_features_are_the_networks_padded_to_64_tokens(siglip: MadeTower):
    with torch.inference_mode():
        inputs = siglip.tokenizer(TEXTS, padding="max_length", max_length=64, truncation=True, return_tensors="pt")
        assert inputs["input_ids"].shape == (4, 64)
        expected = siglip.network.get_text_features(input_ids=inputs["input_ids"]).pooler_output.numpy()
    found = scorer(siglip.spec).embed_text(TEXTS)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)


def test_siglip_takes_no_notice_of_case_and_punctuation(siglip: MadeTower):
    found = scorer(siglip.spec).embed_text(TEXTS)
    np.testing.assert_allclose(found[0], found[1], atol=TOLERANCE)
    assert np.abs(found[0] - found[2]).max() > 100 * TOLERANCE


def test_a_text_has_the_same_features_alone_as_beside_a_longer_one(siglip: MadeTower):
    model = scorer(siglip.spec)
    np.testing.assert_allclose(model.embed_text(TEXTS)[2:3], model.embed_text(["snow"]), atol=TOLERANCE)


def test_padding_is_masked_as_the_tokenizers_own_configuration_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    masked = siglip_tower(tmp_path / "masked", monkeypatch, ("input_ids", "attention_mask"))
    with torch.inference_mode():
        inputs = masked.tokenizer(TEXTS, padding="max_length", max_length=64, truncation=True, return_tensors="pt")
        expected = masked.network.get_text_features(**inputs).pooler_output.numpy()
        unmasked = masked.network.get_text_features(input_ids=inputs["input_ids"]).pooler_output.numpy()
    np.testing.assert_allclose(scorer(masked.spec).embed_text(TEXTS), expected, atol=TOLERANCE)
    assert np.abs(expected - unmasked).max() > 100 * TOLERANCE


def test_siglips_probabilities_are_the_pipelines_each_by_itself(siglip: MadeTower):
    model = scorer(siglip.spec)
    logits, scores = model.score(siglip_vectors(siglip.network, drawn(4)))
    classify = pipeline(
        "zero-shot-image-classification",
        model=siglip.network,
        tokenizer=siglip.tokenizer,
        image_processor=PROCESSOR,
    )
    texts = [label.name for label in model.labels]
    for row, image in enumerate(drawn(4)):
        answers: Any = classify(image, candidate_labels=texts, hypothesis_template="{}")
        expected = {one["label"]: one["score"] for one in answers}
        np.testing.assert_allclose(scores[row], [expected[text] for text in texts], atol=TOLERANCE)
    assert np.ptp(logits) > 0.01
    assert not np.allclose(scores.sum(axis=1), 1)


def test_siglips_logits_are_cosines_with_its_scale_and_bias(siglip: MadeTower):
    model = scorer(siglip.spec)
    batch = siglip_vectors(siglip.network, drawn(2))
    scale, bias = (float(value.detach()) for value in (siglip.network.logit_scale.exp(), siglip.network.logit_bias))
    np.testing.assert_allclose(model.score(batch)[0], model.cosines(batch) * scale + bias, atol=TOLERANCE)


def test_a_declared_activation_that_is_not_the_models_is_refused(siglip: MadeTower):
    output: Any = siglip.spec.output
    wrong = siglip.spec.model_copy(update={"output": output.model_copy(update={"activation": "softmax"})})
    with pytest.raises(ValueError, match=r"expected output\.activation 'sigmoid', as siglip_prompts computes"):
        scorer(wrong)


def test_biomedclips_text_features_are_open_clips(biomedclip: MadeTower):
    with torch.inference_mode():
        expected = biomedclip.network.encode_text(biomedclip.tokenizer(TEXTS)).numpy()
    found = scorer(biomedclip.spec).embed_text(TEXTS)
    assert found.shape == (4, 24)
    np.testing.assert_allclose(found, expected, atol=TOLERANCE)
    assert np.abs(found[0] - found[2]).max() > 100 * TOLERANCE


@torch.inference_mode()
def test_biomedclips_logits_and_probabilities_are_open_clips_set_by_set(biomedclip: MadeTower):
    model, network = scorer(biomedclip.spec), biomedclip.network
    images = torch.randn(3, 3, 160, 160, generator=torch.Generator().manual_seed(1))
    expected, _ = network.eval().get_logits(images, biomedclip.tokenizer([label.name for label in model.labels]))
    logits, scores = model.score(network.encode_image(images))
    np.testing.assert_allclose(logits, expected.numpy(), atol=TOLERANCE * float(network.logit_scale.exp()))
    np.testing.assert_allclose(scores[:, :3], torch.softmax(expected[:, :3], dim=1).numpy(), atol=TOLERANCE)
    np.testing.assert_allclose(scores.sum(axis=1), 7, atol=1e-4)  # seven sets


def test_biomedclips_second_repository_is_not_read(biomedclip: MadeTower, tmp_path: Path):
    for path in (tmp_path / "hub" / "bert").iterdir():
        path.unlink()
    assert scorer(biomedclip.spec).embed_text(["snow"]).shape == (1, 24)


def test_other_heads_than_the_declared_ones_are_another_tower(biomedclip: MadeTower):
    """Nothing but the declaration says how many heads there are, so it must change the result."""
    other = {**biomedclip.spec.parameters, "text_attention_heads": 2}
    found = scorer(biomedclip.spec.model_copy(update={"parameters": other})).embed_text(TEXTS)
    assert np.abs(found - scorer(biomedclip.spec).embed_text(TEXTS)).max() > 100 * TOLERANCE


def test_a_file_without_a_bert_is_refused(biomedclip: MadeTower):
    vision = {name: value for name, value in biomedclip.network.state_dict().items() if not name.startswith("text.")}
    path = biomedclip.folder / "open_clip_pytorch_model.bin"
    torch.save(vision, path)
    from support.made_checkpoints import pinned

    with pytest.raises(WeightsMismatch, match=r"expected the weights of a BERT under text\.transformer"):
        scorer(pinned(biomedclip.spec, biomedclip.folder))


def test_a_tower_that_ranks_has_no_prompts_of_its_own(siglip: MadeTower):
    from atlas_resources.instruments.texts.rankings import ranking_fields

    pins = [pin for pin in siglip.spec.prompts or []][:1]
    spec = siglip.spec.model_copy(update=ranking_fields(siglip.spec, None, pins))
    model = load_model(spec, read_prompts().asked(pins))
    assert isinstance(model, TemplateEmbedder)
    assert not isinstance(model, TextScorer)
    assert [template.text for template in model.templates] == [
        "an engraving",
        "a photograph",
        "a scan of a printed page",
    ]
    np.testing.assert_allclose(model.embed_text(TEXTS), scorer(siglip.spec).embed_text(TEXTS), atol=TOLERANCE)


def test_open_clip_is_the_version_whose_tower_is_built():
    assert open_clip.__version__ == "3.3.0"

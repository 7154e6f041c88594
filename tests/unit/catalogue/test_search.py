"""CLIP's text tower scores sealed vectors as transformers' pipeline scores their images, and finds plates by words."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.made_checkpoints import SIDE_PX, clip_of_letters, letters, put_in_hub_cache, snapshot_folder
from support.made_datasets import make_dataset
from support.made_detectors import drawn
from support.made_results import GivenVectors, build_ledgers, measure
from support.made_specs import PROJECT, project_spec
from support.made_text_towers import siglip_tower
from transformers import CLIPImageProcessorPil, pipeline
from typer.testing import CliRunner

from atlas_assets.cli import app as cli
from atlas_resources.catalogue import search as text_search
from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.catalogue.search import search_plates, text_tower_of
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


def test_words_find_the_nearest_plate(tower, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec, _ = tower
    model = scorer(spec)
    words = model.embed_text(["a heron by the water", "an egg"])
    dataset = make_dataset(tmp_path, "red", "blue", "ochre")
    given = {"plate-001": words[1], "plate-002": words[0] * 3, "plate-003": -words[0]}
    measure(dataset, PROJECT, CLIP, GivenVectors({name: vector.tolist() for name, vector in given.items()}))
    build_ledgers(dataset, PROJECT)
    build_catalogue(dataset, PROJECT)
    monkeypatch.setattr(text_search, "load_model", lambda spec, prompts: model)
    found = search_plates(dataset, PROJECT, "a heron by the water", CLIP, 2)
    assert found[0][0] == "plate-002"
    assert found[0][2] == pytest.approx(1, abs=1e-5)
    assert len(found) == 2


def test_words_find_the_nearest_plate_by_siglips_tower_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    siglip, spec = "siglip_so400m_patch14_384", siglip_tower(tmp_path / "hub", monkeypatch).spec
    assert text_tower_of(PROJECT, siglip).key == spec.key
    model = scorer(spec)
    words = np.pad(model.embed_text(["a heron by the water", "an egg"]), ((0, 0), (0, 1152 - 32)))
    dataset = make_dataset(tmp_path, "red", "blue")
    given = {"plate-001": words[1].tolist(), "plate-002": (words[0] * 3).tolist()}
    measure(dataset, PROJECT, siglip, GivenVectors(given))
    build_ledgers(dataset, PROJECT)
    build_catalogue(dataset, PROJECT)

    class Padded:
        """The tiny tower's vectors, as long as the real ones."""

        labels = model.labels
        score, cosines = model.score, model.cosines

        def embed_text(self, texts: list[str]) -> np.ndarray:
            return np.pad(model.embed_text(texts), ((0, 0), (0, 1152 - 32)))

    monkeypatch.setattr(text_search, "load_model", lambda spec, prompts: Padded())
    found = search_plates(dataset, PROJECT, "A HERON, by the water!", siglip, 2)
    assert (found[0][0], found[0][2]) == ("plate-002", pytest.approx(1, abs=1e-5))


def test_without_a_vector_it_names_the_command_that_measures_them(tmp_path: Path):
    dataset = make_dataset(tmp_path, "red")
    build_ledgers(dataset, PROJECT)
    build_catalogue(dataset, PROJECT)
    with pytest.raises(
        ValueError, match=rf"no plate has a vector of {CLIP}\. Measure them: atlas run 'key:\"\*/{CLIP}\"'"
    ):
        search_plates(dataset, PROJECT, "a heron", CLIP, 2)


def test_an_instrument_without_a_text_tower_is_refused():
    with pytest.raises(ValueError, match=r"dinov2_base has no text tower.*those with one: clip_vit_base_patch32"):
        text_tower_of(PROJECT, "dinov2_base")


@pytest.mark.parametrize(
    ("instrument", "message"),
    [
        ("dinov2_base", "dinov2_base has no text tower"),
        ("dinov2_bass", "dinov2_base"),
        (CLIP, "atlas.duckdb is not there yet"),
    ],
)
def test_the_command_prints_why_it_cannot_search(
    instrument: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path))
    result = CliRunner().invoke(cli.app, ["search", "a heron", "--instrument", instrument])
    assert result.exit_code == 1
    assert message in result.stderr

"""TrOCR reads the tokens that transformers generates greedily: a tiny checkpoint is loaded from spec to texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.made_readers import SIDE_PX, TOKENS, put_reader_in_hub_cache, reader_spec, trocr
from transformers import RobertaTokenizer, VisionEncoderDecoderModel, ViTImageProcessorPil

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import LineReader
from atlas_resources.models.weights import WeightsMismatch, weights_folder


def lines(count: int = 5) -> list[np.ndarray]:
    random = np.random.default_rng(3)
    return [random.integers(0, 256, (10 + number, 60 + 20 * number, 3), np.uint8) for number in range(count)]


@pytest.fixture
def network() -> Any:
    return trocr()


@pytest.fixture
def spec(network: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Spec:
    return put_reader_in_hub_cache(network, reader_spec(), tmp_path, monkeypatch)


def scores_of(read: Sequence[tuple[str, float | None]]) -> list[float]:
    return [score for _, score in read if score is not None]


def load(spec: Spec) -> LineReader:
    model = load_model(spec)
    assert isinstance(model, LineReader)
    return model


@torch.inference_mode()
def expected(network: Any, folder: Path) -> list[tuple[str, float]]:
    """By transformers alone: its processor, `generate` on each line, and its own scores of the transitions."""
    processor = ViTImageProcessorPil(
        size={"height": SIDE_PX, "width": SIDE_PX}, image_mean=[0.5] * 3, image_std=[0.5] * 3
    )
    tokenizer, found = RobertaTokenizer.from_pretrained(str(folder)), []
    for line in lines():
        pixels = processor(Image.fromarray(line), return_tensors="pt").pixel_values
        given = network.eval().generate(
            pixels, max_new_tokens=TOKENS, do_sample=False, num_beams=1, decoder_start_token_id=2, eos_token_id=2,
            pad_token_id=1, return_dict_in_generate=True, output_scores=True,
        )  # fmt: skip
        likelihoods = network.compute_transition_scores(given.sequences, given.scores, normalize_logits=True)
        text = tokenizer.decode(given.sequences[0], skip_special_tokens=True)
        found.append((text.strip(), float(likelihoods.mean().exp())))
    return found


def test_texts_are_those_of_transformers_and_scores_those_of_its_transitions(network: Any, spec: Spec):
    assert spec.weights is not None
    reference = expected(network, weights_folder(spec.weights))  # type: ignore[arg-type] # weights of a hub
    found = load(spec).read_lines(lines())
    assert [text for text, _ in found] == [text for text, _ in reference]
    assert len({text for text, _ in found}) > 1, "all lines read alike would prove nothing"
    assert scores_of(found) == pytest.approx(scores_of(reference), abs=1e-5)


def test_lines_read_together_are_read_as_alone(spec: Spec):
    model = load(spec)
    alone = [model.read_lines([line])[0] for line in lines()]
    together = model.read_lines(lines())
    assert [text for text, _ in together] == [text for text, _ in alone]
    assert scores_of(together) == pytest.approx(scores_of(alone), abs=1e-6)


def test_no_line_is_no_text(spec: Spec):
    assert load(spec).read_lines([]) == []


def test_what_a_generation_config_says_is_not_used(spec: Spec):
    before = load(spec).read_lines(lines())
    assert spec.weights is not None
    folder = weights_folder(spec.weights)  # type: ignore[arg-type] # weights of a hub
    (folder / "generation_config.json").write_text('{"max_length": 3, "num_beams": 4, "decoder_start_token_id": 5}')
    assert load(spec).read_lines(lines()) == before


def test_a_checkpoint_that_lacks_another_weight_than_the_poolers_is_refused(
    network: Any, spec: Spec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    del network.encoder.layernorm
    other = put_reader_in_hub_cache(network, spec, tmp_path, monkeypatch)
    with pytest.raises(WeightsMismatch, match=VisionEncoderDecoderModel.__name__):
        load(other)

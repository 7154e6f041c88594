"""DETR and GroundingDINO find what transformers finds: tiny checkpoints are loaded from spec to boxes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.made_checkpoints import pinned, snapshot_folder
from support.made_detectors import (
    BOXES,
    LONG_PX,
    SHORT_PX,
    bert_tokenizer,
    detr,
    drawn,
    grounding_dino,
    miniature_detector,
    put_detector_in_hub_cache,
)
from support.made_specs import project_spec
from support.real_plates import one_of_each_family, wants_real_plates
from transformers import (
    DetrImageProcessorPil,
    GroundingDinoImageProcessorPil,
    GroundingDinoProcessor,
    pipeline,
)

from atlas_resources.instruments.prompts import read_prompts
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.models.protocols import Detection, Detector
from atlas_resources.models.weights import WeightsMissing
from atlas_resources.plates.decode import decode

DETR_THRESHOLD = 0.28
WORDS = ["bird", "branch", "egg", "nest"]
TEXT = {"box_threshold": 0.65, "text_threshold": 0.64}
SIZE = {"shortest_edge": SHORT_PX, "longest_edge": LONG_PX}

Found = list[tuple[float, str, list[float]]]  # score, label, corners in source pixels, in the order of the queries


def load(spec: Spec) -> Detector:
    model = load_model(spec, read_prompts().asked(spec.prompts or []))
    assert isinstance(model, Detector)
    return model


def detect(spec: Spec, images: list[Image.Image]) -> list[Found]:
    """By the project: digests, loading, preprocessing, the model."""
    model = load(spec)
    assert spec.preprocessing is not None
    preprocess = build_preprocess(spec.preprocessing)
    return [in_pixels(model.detect(preprocess(image)), image) for image in images]


def in_pixels(boxes: list[Detection], image: Image.Image) -> Found:
    sides = [image.width, image.height] * 2
    return [
        (box.score, box.label, [share * side for share, side in zip(box.corners.tolist(), sides, strict=True)])
        for box in boxes
    ]


def assert_equal(found: list[Found], expected: list[Found]) -> None:
    """Same labels in the same order, scores within 1e-3, edges within 1e-3 of a pixel or of themselves."""
    for ours, theirs in zip(found, expected, strict=True):
        assert [label for _, label, _ in ours] == [label for _, label, _ in theirs]
        np.testing.assert_allclose([one[0] for one in ours], [one[0] for one in theirs], atol=1e-3)
        np.testing.assert_allclose([one[2] for one in ours], [one[2] for one in theirs], rtol=1e-3, atol=1e-3)
    assert any(expected), "the reference finds nothing to compare"


class DetrCase:
    def __init__(self, cache: Path, patch: pytest.MonkeyPatch):
        self.network: Any = detr()
        spec = miniature_detector(project_spec("detr_resnet50"), threshold=DETR_THRESHOLD)
        self.spec = put_detector_in_hub_cache(self.network, spec, cache, patch)
        self.processor: Any = DetrImageProcessorPil(size=SIZE)

    @torch.inference_mode()
    def reference(self, images: list[Image.Image]) -> list[Found]:
        """transformers' processor, the network that was saved and its post-processing, image by image."""
        return [self._one(image) for image in images]

    def _one(self, image: Image.Image) -> Found:
        outputs = self.network(**self.processor(image, return_tensors="pt"))
        result = self.processor.post_process_object_detection(
            outputs, threshold=DETR_THRESHOLD, target_sizes=[(image.height, image.width)]
        )[0]
        names = [self.network.config.id2label[int(label)] for label in result["labels"]]
        return list(zip(result["scores"].tolist(), names, result["boxes"].tolist(), strict=True))


class GroundingDinoCase:
    def __init__(self, cache: Path, patch: pytest.MonkeyPatch):
        self.network: Any = grounding_dino()
        spec = miniature_detector(project_spec("grounding_dino_base"), **TEXT)
        self.spec = put_detector_in_hub_cache(self.network, spec, cache, patch)
        self.processor: Any = GroundingDinoProcessor(GroundingDinoImageProcessorPil(size=SIZE), bert_tokenizer())

    @torch.inference_mode()
    def reference(self, images: list[Image.Image]) -> list[Found]:
        """transformers' own processor, given the words as a list, and its post-processing, image by image."""
        return [self._one(image) for image in images]

    def _one(self, image: Image.Image) -> Found:
        inputs: Any = self.processor(images=image, text=WORDS, return_tensors="pt")
        result = self.processor.post_process_grounded_object_detection(
            self.network(**inputs),
            inputs.input_ids,
            threshold=TEXT["box_threshold"],
            text_threshold=TEXT["text_threshold"],
            target_sizes=[(image.height, image.width)],
        )[0]
        labels = result["text_labels"]
        return list(zip(result["scores"].tolist(), labels, result["boxes"].tolist(), strict=True))


CASES: dict[str, Callable[[Path, pytest.MonkeyPatch], DetrCase | GroundingDinoCase]] = {
    "DETR": DetrCase,
    "GroundingDINO": GroundingDinoCase,
}


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    return CASES[request.param](tmp_path / "hub", monkeypatch)


def test_boxes_on_drawn_images_equal_the_reference(case: DetrCase | GroundingDinoCase):
    images = drawn(3)
    found, expected = detect(case.spec, images), case.reference(images)
    assert_equal(found, expected)
    assert 0 < sum(map(len, found)) < BOXES * len(images)  # the threshold keeps some and drops some
    assert len({label for one in found for _, label, _ in one}) > 1


@wants_real_plates
def test_boxes_on_real_plates_equal_the_reference(case: DetrCase | GroundingDinoCase):
    images = [decode(path).image for path in one_of_each_family()[:2]]
    assert_equal(detect(case.spec, images), case.reference(images))


def test_detr_equals_transformers_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The pipeline cuts edges to whole pixels."""
    case = DetrCase(tmp_path / "hub", monkeypatch)
    reference = pipeline("object-detection", model=case.network, image_processor=case.processor)
    for image, found in zip(drawn(3), detect(case.spec, drawn(3)), strict=True):
        expected: Any = reference(image, threshold=DETR_THRESHOLD)
        assert [label for _, label, _ in found] == [one["label"] for one in expected]
        np.testing.assert_allclose([score for score, _, _ in found], [one["score"] for one in expected], atol=1e-3)
        edges = [[one["box"][name] for name in ("xmin", "ymin", "xmax", "ymax")] for one in expected]
        np.testing.assert_allclose([corners for _, _, corners in found], edges, atol=1.001)


def test_a_box_for_words_names_the_prompt_whose_token_scores_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """By hand from the logits: the tokens are [CLS] bird . branch . egg . ne ##st . [SEP]."""
    case = GroundingDinoCase(tmp_path / "hub", monkeypatch)
    model = load(case.spec)
    image = drawn(1)[0]
    inputs: Any = case.processor(images=image, text=WORDS, return_tensors="pt")
    assert inputs.input_ids[0].tolist() == [101, 1040, 1012, 1041, 1012, 1042, 1012, 1043, 1044, 1012, 102]
    with torch.inference_mode():
        by_token = torch.sigmoid(case.network(**inputs).logits[0])
    kept = by_token[by_token.max(dim=1).values > TEXT["box_threshold"]]
    columns = {"bird": [1], "branch": [3], "egg": [5], "nest": [7, 8]}
    best = [{name: float(row[places].max()) for name, places in columns.items()} for row in kept]
    expected = [max(one, key=one.__getitem__) if max(one.values()) > TEXT["text_threshold"] else None for one in best]
    assert case.spec.preprocessing is not None
    found = model.detect(build_preprocess(case.spec.preprocessing)(image))
    assert [box.prompt and box.prompt.id for box in found] == expected
    assert {box.prompt.set for box in found if box.prompt} == {"plate_objects"}


def test_a_checkpoint_of_other_sizes_than_declared_is_refused(case: DetrCase | GroundingDinoCase):
    assert case.spec.output is not None
    other = case.spec.model_copy(update={"output": case.spec.output.model_copy(update={"max_boxes": 100})})
    with pytest.raises(ValueError, match=r"20 (boxes|in)|found 20"):
        load(other)


def test_prompts_of_other_sets_than_the_pinned_ones_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    case = GroundingDinoCase(tmp_path / "hub", monkeypatch)
    with pytest.raises(ValueError, match="expected the prompts of plate_objects_v1, found those of no set"):
        load_model(case.spec)
    prompts = read_prompts().asked(case.spec.prompts or [])
    others = [replace(prompt, version=2) for prompt in prompts]
    with pytest.raises(ValueError, match="expected the prompts of plate_objects_v1, found those of plate_objects_v2"):
        load_model(case.spec, others)
    detr_case = DetrCase(tmp_path / "detr", monkeypatch)
    with pytest.raises(ValueError, match="expected the prompts of no set, found those of plate_objects_v1"):
        load_model(detr_case.spec, prompts)


def test_a_tokenizer_that_is_not_on_disk_is_reported_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    case = GroundingDinoCase(tmp_path / "hub", monkeypatch)
    folder = snapshot_folder(case.spec, tmp_path / "hub")
    (folder / "tokenizer.json").unlink()
    with pytest.raises(WeightsMissing, match=r"tokenizer.json is not on disk.*atlas models pull grounding_dino_base"):
        load(pinned(case.spec, folder))

"""MTCNN finds the boxes that the code of its package finds."""

import importlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.made_detectors import seeded_mtcnn
from support.made_specs import project_spec
from support.real_plates import FOLDER, rows, wants_real_plates

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders.detectors.mtcnn import Mtcnn
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import build_preprocess, resize
from atlas_resources.models.weights import WeightsMismatch, WeightsMissing, require_weights
from atlas_resources.plates.decode import decode

WHEEL = "facenet-pytorch==2.5.3"
TOLERANCE_PX = 1e-3


class Package:
    """The networks and the cascade of the wheel, with the weight files of a spec. Its other modules stay out."""

    def __init__(self, folder: Path, spec: Spec):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, WHEEL]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            pytest.skip(f"pip cannot download {WHEEL} here")
        (wheel,) = folder.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for name in ("mtcnn.py", "utils/detect_face.py"):
                path = folder / "facenet_sources" / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(archive.read(f"facenet_pytorch/models/{name}"))
        networks = importlib.import_module("facenet_sources.mtcnn")
        self.detect_face = importlib.import_module("facenet_sources.utils.detect_face").detect_face
        self.stages = []
        files = require_weights(spec).files.values()
        for kind, path in zip((networks.PNet, networks.RNet, networks.ONet), files, strict=True):
            stage = kind(pretrained=False)
            stage.load_state_dict(torch.load(path, weights_only=True))
            self.stages.append(stage.eval())
        self.parameters: dict[str, Any] = spec.parameters

    @torch.inference_mode()
    def boxes(self, image: Image.Image) -> np.ndarray:
        """float64 [N, 5], corners in pixels and score, best first."""
        given = self.parameters
        thresholds = [given[f"{name}_threshold"] for name in ("first", "second", "third")]
        found, _ = self.detect_face(image, given["min_face_px"], *self.stages, thresholds, given["scale_factor"], "cpu")
        return by_score(np.asarray(found[0], dtype=float).reshape(-1, 5))


def by_score(boxes: np.ndarray) -> np.ndarray:
    return boxes[np.lexsort((boxes[:, 0], -boxes[:, 4]))]


def own_boxes(spec: Spec, image: Image.Image) -> tuple[Image.Image, np.ndarray]:
    """The resized image, and this project's boxes on it as `Package.boxes` gives them."""
    model = load_model(spec)
    assert isinstance(model, Mtcnn)
    assert spec.preprocessing is not None
    small = resize(image, spec.preprocessing)
    found = model.detect(build_preprocess(spec.preprocessing)(image))
    sides = np.array([small.width, small.height] * 2)
    return small, by_score(np.array([[*(box.corners * sides), box.score] for box in found]).reshape(-1, 5))


def test_seeded_networks_give_the_boxes_of_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(tmp_path)
    spec = seeded_mtcnn(tmp_path / "hub", monkeypatch)
    assert spec.preprocessing is not None
    assert spec.preprocessing.resize is not None
    smaller = spec.preprocessing.resize.model_copy(update={"size_px": 160})
    spec = spec.model_copy(update={"preprocessing": spec.preprocessing.model_copy(update={"resize": smaller})})
    package = Package(tmp_path, spec)
    noise = np.random.default_rng(2).integers(0, 256, (15, 20, 3), np.uint8)
    small, found = own_boxes(spec, Image.fromarray(noise).resize((400, 300), Image.Resampling.BICUBIC))
    expected = package.boxes(small)
    assert len(expected) > 1
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < TOLERANCE_PX


@wants_real_plates
def test_portraits_have_the_faces_that_the_package_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """And 8 in all, on 7 of 9 portraits, as the spec says."""
    monkeypatch.syspath_prepend(tmp_path)
    spec = project_spec("mtcnn_faces")
    try:
        package = Package(tmp_path, spec)
    except WeightsMissing:
        pytest.skip("`atlas models pull mtcnn_faces` was not run: its weights are not on disk")
    counts = []
    for row in rows():
        if row["family"] != "portraits_museum16":
            continue
        small, found = own_boxes(spec, decode(FOLDER / row["file"]).image)
        expected = package.boxes(small)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max(initial=0) < TOLERANCE_PX
        counts.append(len(found))
    assert (len(counts), sum(counts), sum(count > 0 for count in counts)) == (9, 8, 7)


def test_a_picture_without_faces_has_no_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = seeded_mtcnn(tmp_path, monkeypatch)
    none_pass = spec.model_copy(update={"parameters": {**spec.parameters, "first_threshold": 0.999}})
    model = load_model(none_pass)
    assert isinstance(model, Mtcnn)
    assert model.detect(torch.zeros(3, 80, 100)) == []


def test_a_picture_smaller_than_the_smallest_face_has_no_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    model = load_model(seeded_mtcnn(tmp_path, monkeypatch))
    assert isinstance(model, Mtcnn)
    assert model.detect(torch.zeros(3, 19, 400)) == []


def test_weights_of_another_network_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The files of the second and third network exchanged, with their own digests."""
    spec = seeded_mtcnn(tmp_path, monkeypatch)
    paths = list(require_weights(spec).files.values())
    content = [path.read_bytes() for path in paths]
    paths[1].write_bytes(content[2])
    paths[2].write_bytes(content[1])
    weights: Any = spec.weights
    first, second, third = weights.files
    files = [
        first,
        second.model_copy(update={"sha256": third.sha256}),
        third.model_copy(update={"sha256": second.sha256}),
    ]
    exchanged = spec.model_copy(update={"weights": weights.model_copy(update={"files": files})})
    with pytest.raises(WeightsMismatch, match=r"rnet\.pt: expected the weights of Stage, found others"):
        load_model(exchanged)

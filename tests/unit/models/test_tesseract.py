"""Tesseract reads the bands that have lettering; without its trained data the command that installs it is named."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from support.made_specs import copy_of_project, project_spec

from atlas_resources.hub.client import Hub
from atlas_resources.hub.planning import plan_pull
from atlas_resources.instruments.parameters.reading import TesseractParameters
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import SystemWeights
from atlas_resources.models.loaders.readers.tesseract import bands
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import PageReader
from atlas_resources.models.weights import (
    WeightsMismatch,
    WeightsMissing,
    has_weights,
    require_weights,
    why_without_weights,
)

SPEC = project_spec("tesseract")
INSTALL = "apt-get install -y tesseract-ocr-eng tesseract-ocr-lat"
wants_trained_data = pytest.mark.skipif(
    not Path("/usr/share/tesseract-ocr/5/tessdata/lat.traineddata").is_file(), reason=f"needs `{INSTALL}`"
)


def with_folder(folder: Path) -> Spec:
    content = SPEC.model_dump(mode="json")
    content["weights"]["folder"] = str(folder)
    return Spec.model_validate(content)


@wants_trained_data
class TestReading:
    def test_lettering_of_both_bands_is_read_where_it_is_and_nothing_between(self):
        plate = Image.new("RGB", (1000, 1400), (248, 240, 220))
        draw = ImageDraw.Draw(plate)
        for text, size_px, top in (("Plate of Birds", 40, 30), ("Not in a band", 40, 700), ("Columba livia", 34, 1300)):
            draw.text((300, top), text, fill=(40, 30, 20), font=ImageFont.load_default(size=size_px))
        model = load_model(SPEC)
        assert isinstance(model, PageReader)
        first, second = model.read_page(np.asarray(plate))
        assert (first.text, second.text) == ("Plate of Birds", "Columba livia")
        assert first.language == "eng"
        assert first.score is not None
        assert 0.8 < first.score <= 1
        np.testing.assert_allclose(second.corners[0], (300, 1300), atol=12)
        np.testing.assert_allclose(first.corners[0], (300, 30), atol=12)

    def test_an_empty_plate_has_no_lines(self):
        model = load_model(SPEC)
        assert isinstance(model, PageReader)
        assert model.read_page(np.full((400, 300, 3), 255, np.uint8)) == []

    def test_other_languages_than_the_pinned_files_are_refused(self):
        content = SPEC.model_dump(mode="json")
        content["parameters"]["languages"] = "eng"
        with pytest.raises(ValueError, match="expected trained data of eng, found eng, lat"):
            load_model(Spec.model_validate(content))


@pytest.mark.parametrize(
    ("top", "bottom", "expected"),
    [
        (0.08, 0.2, [(0, 80), (800, 1000)]),
        (0.0, 0.2, [(800, 1000)]),
        (0.1, 0.0, [(0, 100)]),
        (0.5, 0.5, [(0, 1000)]),
    ],
)
def test_bands_of_a_plate(top: float, bottom: float, expected: list[tuple[int, int]]):
    changed = {**SPEC.parameters, "top_band_ratio": top, "bottom_band_ratio": bottom}
    assert bands(1000, TesseractParameters.model_validate(changed)) == expected


def test_bands_of_nothing_are_refused():
    with pytest.raises(ValueError, match="more than nothing"):
        TesseractParameters.model_validate({**SPEC.parameters, "top_band_ratio": 0.0, "bottom_band_ratio": 0.0})


class TestTrainedData:
    def test_missing_files_name_the_command_that_installs_them(self, tmp_path: Path):
        with pytest.raises(WeightsMissing, match=INSTALL):
            require_weights(with_folder(tmp_path))

    def test_an_instrument_without_them_is_admitted_and_says_so(self, tmp_path: Path):
        specs = copy_of_project(tmp_path)
        path = specs / "tesseract.yaml"
        path.write_text(path.read_text().replace("/usr/share/tesseract-ocr/5/tessdata", "/nowhere"))
        instrument = read_registry(specs).instruments["tesseract"]
        assert not has_weights(instrument)
        assert why_without_weights(instrument) == f"its weights are not on disk. Fix: `{INSTALL}`"

    def test_another_file_of_the_same_name_is_refused(self, tmp_path: Path):
        (tmp_path / "eng.traineddata").write_bytes(b"other")
        with pytest.raises(WeightsMismatch, match=f"`{INSTALL}` replaces it"):
            require_weights(with_folder(tmp_path))

    def test_another_version_of_the_engine_is_refused(self, tmp_path: Path):
        content = SPEC.model_dump(mode="json")
        content["weights"]["version"] = "2.12.0"
        with pytest.raises(WeightsMismatch, match=r"tesserocr: expected version 2.12.0, found 2.13.0"):
            require_weights(Spec.model_validate(content))

    def test_pull_fetches_nothing_and_says_what_to_do(self, tmp_path: Path):
        steps = plan_pull(Hub("http://127.0.0.1:9"), with_folder(tmp_path))
        assert [step.state for step in steps] == ["failed", "failed"]
        assert steps[0].detail == f"a package of the operating system has it. Fix: `{INSTALL}`"

    def test_the_engines_version_is_the_models_pin(self):
        assert isinstance(SPEC.weights, SystemWeights)
        assert read_registry().instruments["tesseract"].identity.model_sha == "tesserocr==2.13.0"

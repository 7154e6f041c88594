"""PP-OCR reads what rapidocr reads with the same files, and small lettering of large plates by tiles."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from rapidocr import RapidOCR
from support.made_specs import project_spec, write_spec
from support.real_plates import one_of_each_family, wants_real_plates

from atlas_resources.instruments.registry import read_spec
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders.readers.ppocr import Ppocr
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import PageReader, TextLine
from atlas_resources.models.weights import WeightsMismatch, require_weights

SPEC = project_spec("ppocr_v6_small")
WORDS = "SNOW BIRD", "Engraved by R. Havell"


def lettered(width: int, height: int, *lines: tuple[str, int, tuple[int, int]]) -> np.ndarray:
    """A white plate with lines of text: what, its size and its upper left, in pixels."""
    plate = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(plate)
    for text, size_px, at in lines:
        draw.text(at, text, fill=(40, 30, 20), font=ImageFont.load_default(size=size_px))
    return np.asarray(plate)


PLATE = lettered(900, 700, (WORDS[0], 40, (300, 60)), (WORDS[1], 22, (560, 640)))


@pytest.fixture(scope="module")
def model() -> Ppocr:
    loaded = load_model(SPEC)
    assert isinstance(loaded, PageReader)
    assert isinstance(loaded, Ppocr)
    return loaded


def reference() -> Any:
    """rapidocr with the verified files by path, and its own settings but for the classifier and the score limit."""
    paths = {name.split("_")[1]: str(path) for name, path in require_weights(SPEC).files.items()}
    threads = {
        f"EngineConfig.onnxruntime.{kind}_op_num_threads": number for kind, number in (("intra", 2), ("inter", 1))
    }
    files = {"Det.model_path": paths["det"], "Rec.model_path": paths["rec"]}
    return RapidOCR(
        params={"Global.use_cls": False, "Global.text_score": 0.0, "Global.log_level": "error", **files, **threads}
    )


def assert_same(model: Ppocr, pixels: np.ndarray) -> None:
    """Same texts in the same order, boxes to the last bit; scores to 1e-4, since sums of threads are in any order."""
    found, expected = model.read_image(pixels), reference()(pixels[..., ::-1].copy())
    assert [line.text for line in found] == list(expected.txts or ())
    assert found, "the reference reads nothing to compare"
    assert [line.score for line in found] == pytest.approx(list(expected.scores), abs=1e-4)
    ours = [sorted(map(tuple, line.corners.tolist())) for line in found]
    assert ours == [sorted(map(tuple, box.astype(float).tolist())) for box in expected.boxes]


class TestParity:
    def test_a_drawn_plate(self, model: Ppocr):
        assert_same(model, PLATE)
        assert [line.text for line in model.read_page(PLATE)] == list(WORDS)

    @wants_real_plates
    def test_a_real_plate_of_a_herbal(self, model: Ppocr):
        (path,) = [path for path in one_of_each_family() if "koehler" in path.name]
        assert_same(model, np.asarray(Image.open(path).convert("RGB")))


class TestPlaces:
    def test_a_box_is_around_its_words_in_pixels_of_the_plate(self, model: Ppocr):
        line = model.read_page(PLATE)[0]
        dark = np.argwhere((PLATE[:200] < 200).all(axis=2))
        (top, left), (bottom, right) = dark.min(axis=0), dark.max(axis=0)
        found = [*line.corners.min(axis=0), *line.corners.max(axis=0)]
        np.testing.assert_allclose(found, [left, top, right, bottom], atol=16)  # boxes are wider than their words

    def test_corners_begin_where_the_text_begins_also_of_a_line_that_runs_down(self, model: Ppocr):
        """Turned by a quarter clockwise, what was the upper left is the upper right of the box, and text runs down."""
        (line,) = model.read_page(np.ascontiguousarray(np.rot90(lettered(700, 120, (WORDS[0], 48, (60, 30))), -1)))
        assert line.text == WORDS[0]
        (x0, y0), (x1, y1) = line.corners[:2].tolist()
        assert y1 - y0 > 200
        assert abs(x1 - x0) < 10
        assert x0 >= line.corners[:, 0].max() - 2

    def test_an_empty_plate_has_no_lines(self, model: Ppocr):
        assert model.read_page(np.full((300, 400, 3), 255, np.uint8)) == []


@pytest.mark.system
def test_small_lettering_of_a_plate_of_20_megapixels_is_read_once_by_tiles(model: Ppocr, monkeypatch):
    """At 3 px on the reduced plate nothing of it is legible. The second line crosses the edge of the first tile."""
    small = ("Drawn from Nature", (2600, 900)), ("Printed and Coloured", (1420, 1500))
    plate = lettered(12500, 1600, *((text, 26, at) for text, at in small), ("FLAMINGO", 300, (5200, 300)))
    readings, read_image = [], Ppocr.read_image

    def recording(self: Ppocr, pixels: np.ndarray) -> list[TextLine]:
        readings.append((pixels.shape, read_image(self, pixels)))
        return readings[-1][1]

    monkeypatch.setattr(Ppocr, "read_image", recording)
    found = [line for line in model.read_page(plate) if line.score and line.score >= 0.8]
    (shape, whole), *tiles = readings
    assert shape == plate.shape
    assert "Drawn from Nature" not in [line.text for line in whole]
    assert len(tiles) == 10  # by hand: one row of tiles of 1600 px, 1280 px apart, the last one at 12500 - 1600
    assert [line.text for line in found] == ["FLAMINGO", *(text for text, _ in small)]
    for line, (_, at) in zip(found[1:], small, strict=True):
        np.testing.assert_allclose(line.corners[0], at, atol=16)


class TestFiles:
    def test_files_of_other_names_are_refused(self, tmp_path: Path):
        content = SPEC.model_dump(mode="json")
        content["weights"]["files"] = content["weights"]["files"][:1]
        spec = read_spec(write_spec(tmp_path, content))
        assert isinstance(spec, Spec)
        with pytest.raises(ValueError, match="expected a file with _det_ and one with _rec_ in its name"):
            load_model(spec)

    def test_another_digest_is_refused_before_a_graph_is_opened(self):
        changed = SPEC.model_dump(mode="json")
        changed["weights"]["files"][1]["sha256"] = "0" * 64
        with pytest.raises(WeightsMismatch, match="is not the pinned file"):
            load_model(type(SPEC).model_validate(changed))

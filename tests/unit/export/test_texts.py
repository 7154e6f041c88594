"""Lines of text as Web Annotations: marked as a machine's, with their model, licence and place."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support.fake_instruments import SEGMENTER
from support.fake_regions import KEPT, POLYGONS, region_registry
from support.made_datasets import make_dataset
from support.made_results import build_ledgers, measure, run_instrument
from support.made_specs import project_spec

from atlas_assets.roles.text.reading import ReadingWork
from atlas_resources.export.annotations import PlatePage
from atlas_resources.export.iiif import iiif_manifest
from atlas_resources.export.regions import export_regions
from atlas_resources.export.texts import text_page
from atlas_resources.models.protocols import TextLine
from atlas_resources.tables.results import INSTRUMENT_TABLES

READER = "ppocr_v6_small"
PAGE = PlatePage("plate-001", "A ring", 90, 60, "https://example.org/plates/plate-001", "Public domain")
MARKUP = "<script>alert(1)</script>"
ROW = {
    **{"instrument": READER, "model_id": "PP-OCRv6_small", "model_sha": "rapidocr==3.10.0", "text_id": "line-0001"},
    **{"text": MARKUP, "score": 0.5, "machine_made": True, "licence": "Apache-2.0", "commercial_use": "yes"},
    **{"quadrilateral": [10.0, 5.0, 50.0, 6.0, 49.5, 16.0, 9.5, 15.0]},
    **{"x_min": 9.5, "y_min": 5.0, "x_max": 50.0, "y_max": 16.0},
}


class TestAnnotation:
    def annotation(self, **changed: object) -> dict:
        rows = INSTRUMENT_TABLES["text"].frame([{**ROW, **changed}])
        (found,) = text_page(PAGE, rows)["items"]
        return found

    def test_it_supplements_the_canvas_and_names_the_model_and_its_revision(self):
        found = self.annotation()
        assert found["motivation"] == "supplementing"
        assert found["generator"] == {
            "type": "Software",
            "name": "PP-OCRv6_small at rapidocr==3.10.0 (ppocr_v6_small)",
        }
        assert found["target"]["source"] == PAGE.canvas

    def test_the_text_is_plain_and_the_facts_say_that_a_machine_made_it_and_under_which_licence(self):
        text, facts = self.annotation(language="eng")["body"]
        assert text == {
            **{"type": "TextualBody", "purpose": "supplementing", "format": "text/plain"},
            **{"value": MARKUP, "language": "eng"},
        }
        assert "language" not in self.annotation()["body"][0]
        lines = facts["value"].splitlines()
        for line in ("machine_made: True", "licence: Apache-2.0", "commercial_use: yes", "score: 0.5"):
            assert line in lines

    def test_its_place_is_a_polygon_and_a_box_in_pixels_of_the_canvas(self):
        svg, box = self.annotation()["target"]["selector"]
        assert svg["value"] == (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 90 60">'
            '<polygon points="10,5 50,6 49.5,16 9.5,15"/></svg>'
        )
        assert box["value"] == "xywh=9.5,5,40.5,11"


def test_a_manifest_names_the_page_of_lines_only_where_there_is_one():
    pages = [
        [one["id"] for one in iiif_manifest(PAGE, more)["items"][0]["annotations"]] for more in ((), ("lines.json",))
    ]
    assert pages == [[f"{PAGE.url}/annotations.json"], [f"{PAGE.url}/annotations.json", f"{PAGE.url}/lines.json"]]


class Reads:
    """Finds a line above and one below the threshold on every plate."""

    def read_page(self, pixels: np.ndarray) -> list[TextLine]:
        corners = np.array([(10, 5), (50, 5), (50, 15), (10, 15)], float)
        return [TextLine("SNOW BIRD", 0.9, corners), TextLine("noise", 0.2, corners + 40)]


@pytest.mark.usefixtures("fakes")
def test_an_export_has_the_current_lines_above_the_threshold(tmp_path: Path):
    dataset, registry = make_dataset(tmp_path, "red"), region_registry()
    spec = project_spec(READER)
    registry = replace(registry, specs={**registry.specs, READER: spec})
    for key in (SEGMENTER, KEPT, POLYGONS):
        run_instrument(dataset, registry, key)
    assert measure(dataset, registry, READER, ReadingWork(spec, Reads)) == ["complete"]
    build_ledgers(dataset, registry)
    (plate,) = export_regions(dataset, tmp_path / "out", SEGMENTER, "http://127.0.0.1:8000")
    assert plate.lines_count == 1
    folder = plate.manifest.parent
    (annotation,) = json.loads((folder / "lines.json").read_text())["items"]
    assert annotation["body"][0]["value"] == "SNOW BIRD"
    named = [one["id"] for one in json.loads(plate.manifest.read_text())["items"][0]["annotations"]]
    assert named == [f"http://127.0.0.1:8000/plate-001/{name}" for name in ("annotations.json", "lines.json")]

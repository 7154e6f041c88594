"""An export has the usable texts of every plate, with or without polygons, and says what it leaves out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import typer
from support.annotation_rules import faults
from support.fake_instruments import SEGMENTER
from support.fake_regions import KEPT, POLYGONS, region_registry
from support.licensed import license_plates
from support.made_answers import PROMPTS, Says, loads, pins_of, said, text_spec
from support.made_datasets import make_dataset
from support.made_results import build_ledgers, measure, run_instrument
from support.made_specs import project_spec
from typer.testing import CliRunner

from atlas_assets.cli.exports.viewers import export_regions as export_command
from atlas_assets.roles.text.answering import AnsweringWork
from atlas_assets.roles.text.reading import ReadingWork
from atlas_resources.export.viewers.regions import WrittenPlate, export_regions, find_publishable
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.spec import Licence
from atlas_resources.models.protocols import TextLine
from atlas_resources.plates.dataset import Dataset

READER, BASE = "ppocr_v6_small", "http://127.0.0.1:8000"
FORBIDDEN = Licence(spdx="CC-BY-NC-4.0", commercial_use="no", source="made here")
MARKUP = "<script>alert(1)</script>"


class Reads:
    """Finds a line above and one below the threshold on every plate."""

    def read_page(self, pixels: np.ndarray) -> list[TextLine]:
        corners = np.array([(10, 5), (50, 5), (50, 15), (10, 15)], float)
        return [TextLine("SNOW BIRD", 0.9, corners), TextLine("noise", 0.2, corners + 40)]


@pytest.fixture
def registry() -> Registry:
    """A segmenter and its polygons, a reader, and a model for keywords whose licence forbids commercial use."""
    made = region_registry()
    tagger = text_spec("tagger", "keywords", prompts=pins_of("plate_caption_v1")).model_copy(
        update={"licence": FORBIDDEN}
    )
    specs = {**made.specs, READER: project_spec(READER), "tagger": tagger}
    return replace(made, specs=specs, active=made.active | {"tagger"}, prompts=PROMPTS)


@pytest.fixture
def dataset(tmp_path: Path, registry: Registry, fakes) -> Dataset:
    """Two plates in the public domain with lines and keywords; the second answer is cut off. No polygons yet."""
    dataset = make_dataset(tmp_path, "red", "green")
    license_plates(dataset, "CC0")
    assert measure(dataset, registry, READER, ReadingWork(registry.specs[READER], Reads)) == ["complete"] * 2
    tagger = registry.specs["tagger"]
    asked = PROMPTS.asked(tagger.prompts or [])
    work = AnsweringWork(tagger, loads(Says(said(f"bird, {MARKUP}"), said("bird, bird", "length"), prompts=asked)))
    assert measure(dataset, registry, "tagger", work) == ["complete"] * 2
    build_ledgers(dataset, registry)
    return dataset


def exported(dataset: Dataset, folder: Path, *, commercial: bool = False) -> list[WrittenPlate]:
    found = find_publishable(dataset, SEGMENTER, commercial=commercial)
    return list(export_regions(dataset, folder, found, BASE))


def named_pages(plate: WrittenPlate) -> list[str]:
    """The pages that the manifest names; each is beside it and follows the rules."""
    ids = [one["id"] for one in json.loads(plate.manifest.read_text())["items"][0].get("annotations", [])]
    names = [one.removeprefix(f"{BASE}/{plate.plate_id}/") for one in ids]
    pages = [json.loads((plate.manifest.parent / name).read_text()) for name in names]
    assert [fault for page in pages for fault in faults(page)] == []
    assert [page["id"] for page in pages] == ids
    return names


def values(plate: WrittenPlate, name: str) -> list[str]:
    page = json.loads((plate.manifest.parent / name).read_text())
    return [annotation["body"][0]["value"] for annotation in page["items"]]


def test_a_plate_without_polygons_has_its_usable_texts(dataset, tmp_path):
    one, two = exported(dataset, tmp_path / "out")
    assert (one.regions_count, one.lines_count, one.answers_count) == (0, 1, 1)
    assert named_pages(one) == ["lines.json", "answers.json"]
    assert values(one, "lines.json") == ["SNOW BIRD"]
    assert values(one, "answers.json") == ["bird", MARKUP]
    assert not (one.manifest.parent / "regions.geojson").exists()
    assert (two.answers_count, named_pages(two)) == (0, ["lines.json"])


def test_a_plate_with_polygons_has_them_too(dataset, registry, tmp_path):
    for key in (SEGMENTER, KEPT, POLYGONS):
        run_instrument(dataset, registry, key)
    build_ledgers(dataset, registry)
    (one, _) = exported(dataset, tmp_path / "out")
    assert one.regions_count == 1
    assert named_pages(one) == ["annotations.json", "lines.json", "answers.json"]


def test_texts_whose_licence_forbids_it_leave_and_are_counted(dataset, tmp_path):
    exported(dataset, tmp_path / "out")
    one, _ = exported(dataset, tmp_path / "out", commercial=True)
    assert named_pages(one) == ["lines.json"]
    assert not (one.manifest.parent / "answers.json").exists(), "that of the earlier export"
    (rows,) = find_publishable(dataset, SEGMENTER, commercial=True).left_out
    assert (rows.table, rows.instrument, rows.rows) == ("texts", "tagger", 1)


def test_the_command_says_what_it_wrote_what_has_no_polygons_and_what_it_left_out(dataset, tmp_path, monkeypatch):
    license_plates(dataset, "CC BY-NC 4.0", "plate-002")
    app = typer.Typer()
    app.command()(export_command)
    monkeypatch.setenv("ATLAS_HOME", str(dataset.root))
    found = CliRunner().invoke(app, [str(tmp_path / "out"), "--segmenter", SEGMENTER])
    assert found.exit_code == 0, found.output
    assert f"{tmp_path / 'out' / 'plate-001' / 'manifest.json'}: 1 line of text, 1 answer\n" in found.stdout
    assert f"no polygons of {SEGMENTER}. Make them: atlas run" in found.stderr
    found = CliRunner().invoke(app, [str(tmp_path / "out"), "--segmenter", SEGMENTER, "--commercial"])
    assert "left out 1 row of tagger in texts: its licence, CC-BY-NC-4.0, forbids commercial use" in found.stdout


def test_a_segmenter_that_is_none_is_refused_in_spite_of_texts(dataset):
    with pytest.raises(FileNotFoundError, match="no polygons of otsu_lumma"):
        find_publishable(dataset, "otsu_lumma")

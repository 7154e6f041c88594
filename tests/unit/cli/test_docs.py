"""`docs/models.md` is what `atlas models docs` writes from the present specs, and has what a scholar asks for."""

import re
from pathlib import Path

import pytest
from support.made_specs import PROJECT
from typer.testing import CliRunner

from atlas_assets.cli.app import app
from atlas_assets.cli.models.docs import DOCS_NAME, models_page
from atlas_resources.files.project import PROJECT_ROOT

PAGE = models_page(PROJECT)


def test_the_page_is_current():
    assert (PROJECT_ROOT / DOCS_NAME).read_text(encoding="utf-8") == PAGE, "Update it: atlas models docs"


def test_the_command_writes_it(tmp_path: Path):
    result = CliRunner().invoke(app, ["models", "docs", str(tmp_path / "models.md")])
    assert result.exit_code == 0
    assert (tmp_path / "models.md").read_text(encoding="utf-8") == PAGE


@pytest.mark.parametrize("key", sorted(PROJECT.specs))
def test_each_instrument_has_a_row_and_a_card_with_failures_and_sources(key: str):
    spec, status = PROJECT.specs[key], PROJECT.status(key)
    (row,) = [line for line in PAGE.splitlines() if line.startswith(f"| [`{key}`](#{key}) |")]
    assert row.count(" | ") == 8
    if spec.numeric:
        assert (" on a GPU |" in row) is (spec.numeric.device == "cuda")
    assert f"**{status.name}**" in row
    assert status.reason in row
    (card,) = re.findall(rf'<a id="{key}"></a>.*?(?=\n##|\Z)', PAGE, flags=re.DOTALL)
    if spec.variant_of:
        assert f"**{status.name}**, a variant of `{spec.variant_of}`" in row
        assert f"A variant of [`{spec.variant_of}`](#{spec.variant_of})" in card  # which has all that follows
        return
    for mode in spec.failure_modes:
        assert f"Known failure mode: {mode.fact}" in card
    for source in [*spec.sources, *spec.notes]:
        assert " ".join(source.split()) in card


def test_a_card_names_the_reference_and_how_far_the_default_is():
    (card,) = re.findall(r'<a id="detr_resnet50"></a>.*?(?=\n##|\Z)', PAGE, flags=re.DOTALL)
    stated = PROJECT.specs["detr_resnet50"].default_processor
    assert stated is not None
    assert "- Input: equal to that of the image processor of transformers, Pillow backend\n" in card
    assert f"{stated.name}, gives other inputs: values differ by up to {stated.largest_difference:g}" in card
    assert f"on {stated.plates} real plates" in card


def test_it_names_no_registry_host_and_every_source():
    for word in ("huggingface.co", "hf.co", "name not recorded"):
        assert word not in PAGE

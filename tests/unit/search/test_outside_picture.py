"""`atlas similar`: a picture from outside is measured as a plate is, and nothing is written."""

import json
import shutil
from pathlib import Path

import pytest
from support import fake_instruments
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import COLOURS, draw_scan, make_dataset
from support.made_results import GivenVectors, build_ledgers, measure, run_instrument
from support.made_specs import project_spec
from support.made_weights import use_caches
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli
from atlas_assets.search.outside_picture import find_similar
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset

OTHER, CLIP = "other_embedder", "clip_vit_base_patch32"


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Two fake encoders and one whose weights are not on disk, all active."""
    use_caches(monkeypatch, tmp_path / "caches")
    fake_instruments.install(monkeypatch)
    return fake_registry(fake_spec(EMBEDDER), fake_spec(OTHER), fake_spec(SEGMENTER), project_spec(CLIP))


@pytest.fixture
def library(tmp_path: Path, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    """Four plates, measured by both encoders; the other one is told that plate-004 is what red looks like."""
    dataset = make_dataset(tmp_path, "red", "green", "blue", "ochre")
    run_instrument(dataset, registry, EMBEDDER)
    measure(dataset, registry, OTHER, GivenVectors({f"plate-00{n}": (0, n == 2, n) for n in (1, 2, 3)}))
    build_ledgers(dataset, registry)
    monkeypatch.setenv("ATLAS_HOME", str(dataset.root))
    monkeypatch.setattr(cli.console, "_width", 300)
    monkeypatch.setattr("atlas_resources.instruments.registry.read_registry", lambda: registry)
    return dataset


def similar(*arguments: object) -> Result:
    result = CliRunner().invoke(cli.app, ["similar", *(str(argument) for argument in arguments)])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def files_of(dataset: Dataset) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in dataset.root.rglob("*")}


def test_a_plates_own_file_is_recognised_and_nearest_to_itself(library: Dataset, tmp_path: Path):
    picture = shutil.copy(library.plate("plate-003").source_path(), tmp_path / "found.png")
    result = similar(picture, "--by", EMBEDDER, "-k", 2)
    assert result.exit_code == 0
    assert "the picture is the source of plate-003" in result.output
    rows = [line for line in result.output.splitlines() if "│ plate-" in line]
    assert len(rows) == 2
    assert "plate-003" in rows[0]
    assert "1.0000" in rows[0]


def test_a_picture_from_outside_finds_its_colour_and_nothing_is_written(library: Dataset, tmp_path: Path):
    dark_green = draw_scan(tmp_path / "outside.jpg", (35, 120, 55))
    before = files_of(library)
    result = similar(dark_green, "--by", EMBEDDER)
    assert "plate-002" in next(line for line in result.output.splitlines() if "│ plate-" in line)
    assert "is the source of" not in result.output
    assert files_of(library) == before


def test_all_encoders_are_fused_with_their_votes(library: Dataset, registry: Registry, tmp_path: Path):
    """Reciprocal ranks by hand: a plate that both name has 1 / (60 + rank) of each, one that one names has one."""
    found = find_similar(library, registry, draw_scan(tmp_path / "outside.png", COLOURS["blue"]), None, 4)
    assert set(found.by) == {EMBEDDER, OTHER}
    assert {one.plate_id for one in found.by[OTHER]} == {"plate-001", "plate-002", "plate-003"}
    assert len(found.fused) == 4
    for one in found.fused:
        assert one.score == pytest.approx(sum(1 / (60 + vote.rank) for vote in one.votes.values()))
        for key, vote in one.votes.items():
            assert vote in found.by[key]
    assert list(found.fused[-1].votes) == [EMBEDDER]  # plate-004, which the other did not measure


def test_an_encoder_without_vectors_is_left_out_with_the_command(library: Dataset, tmp_path: Path):
    result = similar(draw_scan(tmp_path / "outside.png", COLOURS["red"]))
    assert result.exit_code == 0
    assert f"without {CLIP}: no plate has a current vector of it. Fix: atlas run 'key:\"embeddings/{CLIP}\"'" in (
        result.output
    )


def test_an_encoder_without_weights_is_an_error_if_it_is_the_one_asked(
    library: Dataset, registry: Registry, tmp_path: Path
):
    measure(library, registry, CLIP, GivenVectors({"plate-001": (1, 0, 0)}), ["plate-001"])
    build_ledgers(library, registry)
    result = similar(draw_scan(tmp_path / "outside.png", COLOURS["red"]), "--by", CLIP)
    assert result.exit_code == 1
    assert f"atlas models pull {CLIP}" in result.output


def test_the_answer_is_json_on_request(library: Dataset, tmp_path: Path):
    picture = draw_scan(tmp_path / "outside.png", COLOURS["red"])
    result = CliRunner().invoke(cli.app, ["similar", str(picture), "--json", "-k", "1"])
    found = json.loads(result.stdout)
    assert [one["plate_id"] for one in found["by"][EMBEDDER]] == ["plate-001"]
    assert found["by"][EMBEDDER][0]["rank"] == 1
    assert {vote["space"] for vote in found["fused"][0]["votes"]} <= {EMBEDDER, OTHER}
    assert list(found["left_out"]) == [CLIP]


def test_what_is_no_scan_is_refused_by_the_rules_of_scans(library: Dataset, tmp_path: Path):
    (tmp_path / "words.jpg").write_text("no picture")
    result = similar(tmp_path / "words.jpg")
    assert result.exit_code == 1
    assert "words.jpg" in result.output


@pytest.mark.parametrize("name", [SEGMENTER, "no_such_encoder"])
def test_only_encoders_of_whole_plates_can_be_asked(library: Dataset, tmp_path: Path, name: str):
    result = similar(draw_scan(tmp_path / "outside.png", COLOURS["red"]), "--by", name)
    assert result.exit_code == 1
    assert name in result.output

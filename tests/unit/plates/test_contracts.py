"""The dataset's `schemas/` describe every JSON file in it, as strictly as the contracts do."""

import json

import dagster as dg
import jsonschema
import pytest
from pydantic import ValidationError
from support import fake_instruments
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_answers import Says, loads, said, text_registry, text_spec
from support.made_datasets import Graph, alter_source, make_dataset
from support.made_reproductions import run_of, write_repetition
from support.made_tags import tagged

from atlas_assets.roles.text.benchmarking import measure_benchmark, write_benchmark
from atlas_resources.chains.person import Person
from atlas_resources.plates.intake.corrections import update_plates
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.plates.json_files import CONTRACTS
from atlas_resources.snapshots.creating import create_snapshot
from atlas_resources.withdrawals.entering import Target, withdraw

PLACES = {
    "manifest": "plates_structured/*/manifest.json",
    "input_image": "plates_structured/*/derived/input_image.json",
    "input_color_histograms": "plates_structured/*/derived/input_color_histograms.json",
    "run.manifest": "plates_structured/*/runs/*/run.manifest.json",
    "groundwork": "plates_structured/*/derived/groundwork.json",
    "groundwork_failure": "plates_structured/*/derived/groundwork_failure.json",
    "metrics": "plates_structured/*/runs/*/metrics.json",
    "config": "reports/*/config.json",
    "report": "reports/*/report.json",
    "refused_scans": "refused_scans.json",
    "reproduction": "reproductions/*/*.json",
    "benchmark": "benchmarks/*/*.json",
    "withdrawal": "withdrawals/0*.json",
    "last": "withdrawals/last.json",
    "tags": "tags/0*.json",
    "snapshot": "snapshots/*.json",
}
REQUIRED = ("plate_id", "run_id", "refused_scans", "reason", "name", "number")
LAST_OF_TAGS = "tags/last.json"
MANIFEST_VERSIONS = "plates_structured/*/manifests/*.json"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Three plates with all of their files; plate-003 failed for both instruments, plate-001 was corrected, and a scan
    was refused. Tests only read it."""
    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        fake_instruments.install(patch)
        folder = tmp_path_factory.mktemp("made")
        dataset = make_dataset(folder, "red", "green", "blue")
        (folder / "torn.png").write_bytes(b"torn")
        (folder / "titles.csv").write_text("plate_id,title,artist\nplate-001,The red one,Ada\n")
        assert [one.status for one in register_scans(dataset, [folder / "torn.png"])] == ["refused"]
        assert [one.changed for one in update_plates(dataset, folder / "titles.csv")[1]] == [
            ("title", "slug", "artist")
        ]
        registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
        graph = Graph(dataset, registry, instance)
        graph.materialize("plate/input_image", "plate/input_color_histograms")
        alter_source(dataset, "plate-003")
        graph.materialize("plate/input_image", "plate/input_color_histograms", forced=["groundwork"])
        graph.materialize(f"embeddings/{EMBEDDER}")
        graph.materialize(f"segments/{SEGMENTER}")
        write_repetition(dataset, run_of(dataset, EMBEDDER))
        captioner = text_registry(text_spec("captioner")).instruments["captioner"]
        write_benchmark(
            dataset, measure_benchmark(dataset, captioner, ["plate-001"], [1, 2], loads(Says(said("a heron"))))
        )
        withdraw(dataset, Target("plate", "plate-002"), "rights", "a claim", Person("A. Person", "option"))
        tagged(dataset, "plate-001", "torn")
        create_snapshot(dataset, registry, "first")
        yield dataset


def schema_of(dataset, name: str) -> dict:
    return json.loads((dataset.schemas_dir / f"{name}.schema.json").read_text())


def test_every_contract_has_a_valid_schema(dataset):
    assert {path.name for path in dataset.schemas_dir.iterdir()} == {f"{name}.schema.json" for name in CONTRACTS}
    for name in CONTRACTS:
        schema = schema_of(dataset, name)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_json_file_of_a_dataset_validates(made):
    found = set()
    for name, pattern in [*PLACES.items(), ("manifest", MANIFEST_VERSIONS), ("last", LAST_OF_TAGS)]:
        validator = jsonschema.Draft202012Validator(schema_of(made, name))
        paths = list(made.root.glob(pattern))
        assert paths, name
        for path in paths:
            validator.validate(json.loads(path.read_text()))
        found |= set(paths)
    everything = {path for path in made.root.rglob("*.json") if path.parent != made.schemas_dir}
    assert everything == found, "a JSON file that no schema describes"


def test_the_dataset_includes_a_failed_plate(made):
    manifests = [json.loads(path.read_text()) for path in made.root.glob(PLACES["run.manifest"])]
    assert sorted(manifest["plate_id"] for manifest in manifests if manifest["status"] == "failed") == [
        "plate-003",
        "plate-003",
    ]


@pytest.mark.parametrize("name", CONTRACTS)
def test_an_unknown_field_is_refused_by_schema_and_contract_alike(made, name):
    content = json.loads(next(made.root.glob(PLACES[name])).read_text())
    content["surprise"] = 1
    with pytest.raises(jsonschema.ValidationError, match="surprise"):
        jsonschema.Draft202012Validator(schema_of(made, name)).validate(content)
    with pytest.raises(ValidationError, match="surprise"):
        CONTRACTS[name].model_validate_json(json.dumps(content))


@pytest.mark.parametrize("name", CONTRACTS)
def test_a_missing_field_is_refused_by_schema_and_contract_alike(made, name):
    content = json.loads(next(made.root.glob(PLACES[name])).read_text())
    required = next(
        field
        for field in ("plate_id", "run_id", "refused_scans", "reason", "name", "number", "plate_ids")
        if field in content
    )
    del content[required]
    with pytest.raises(jsonschema.ValidationError, match=required):
        jsonschema.Draft202012Validator(schema_of(made, name)).validate(content)
    with pytest.raises(ValidationError, match=required):
        CONTRACTS[name].model_validate_json(json.dumps(content))


@pytest.mark.parametrize("name", CONTRACTS)
def test_every_object_of_a_schema_is_strict(dataset, name):
    """Keys are free only in a spec that is kept as it was read, and in maps by name."""
    schema = schema_of(dataset, name)
    for part in [schema, *schema.get("$defs", {}).values()]:
        if part.get("type") == "object":
            assert part["additionalProperties"] is False, part.get("title")

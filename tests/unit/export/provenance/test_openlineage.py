"""Runs as OpenLineage events, which the client's own classes read again without a difference."""

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

import attr
import pytest
from openlineage.client import event_v2, generated
from openlineage.client.generated.base import BaseFacet
from openlineage.client.serde import Serde
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.licensed import license_plates
from support.made_results import GivenVectors, build_ledgers, measure
from support.made_withdrawals import withdrawn
from support.network import shut_network  # noqa: F401 - a fixture
from typer.testing import CliRunner

from atlas_assets.cli.app import app
from atlas_resources.export.provenance.openlineage import export_openlineage
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.sealed import read_manifest, run_names
from atlas_resources.tables.results import INSTRUMENT_TABLES

VECTORS = GivenVectors({f"plate-00{number}": (3.0, 4.0, float(number)) for number in range(1, 6)})
MISSING = GivenVectors({f"plate-00{number}": (3.0, 4.0, float(number)) for number in range(1, 5)})
"""Of plate-005 it has no vector, and so fails."""

MODULES = [
    importlib.import_module(f"{generated.__name__}.{one.name}") for one in pkgutil.iter_modules(generated.__path__)
]
FACETS: dict[str, type] = {
    found._get_schema(): found
    for module in MODULES
    for found in vars(module).values()
    if isinstance(found, type) and issubclass(found, BaseFacet)
}
"""The client's classes of facets, by the address of their schema."""


@pytest.fixture
def measured(dataset, fakes) -> Dataset:
    """Five plates in the public domain, measured in one run by the embedder, which fails at plate-005."""
    registry = fake_registry(fake_spec(EMBEDDER))
    license_plates(dataset, "CC0")
    measure(dataset, registry, EMBEDDER, MISSING)
    build_ledgers(dataset, registry)
    return dataset


def exported(dataset: Dataset, path: Path, **options: Any) -> list[dict[str, Any]]:
    export_openlineage(dataset, path, **options)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def facet(content: dict[str, Any]) -> Any:
    """A facet by the client's class of its schema; what the class does not know is a further property."""
    kind = FACETS[content["_schemaURL"]]
    known = {one.name for one in attr.fields(kind)}
    own = {name: value for name, value in content.items() if name in known and not name.startswith("_")}
    more = {name: value for name, value in content.items() if name not in known}
    made = kind(producer=content["_producer"], **own)
    return made.with_additional_properties(**more) if more else made


def facets(content: dict[str, Any]) -> dict[str, Any]:
    return {name: facet(one) for name, one in content.items()}


def rebuilt(event: dict[str, Any]) -> Any:
    """The event by the client's classes, whose checks of times, ids and addresses run again."""
    job = event_v2.Job(event["job"]["namespace"], event["job"]["name"], facets(event["job"]["facets"]))
    inputs = [
        event_v2.InputDataset(one["namespace"], one["name"], facets=facets(one["facets"])) for one in event["inputs"]
    ]
    outputs = [
        event_v2.OutputDataset(one["namespace"], one["name"], facets=facets(one["facets"])) for one in event["outputs"]
    ]
    shared = {
        "eventTime": event["eventTime"],
        "job": job,
        "inputs": inputs,
        "outputs": outputs,
        "producer": event["producer"],
    }
    if "run" not in event:
        return event_v2.JobEvent(**shared)
    run = event_v2.Run(event["run"]["runId"], facets(event["run"]["facets"]))
    return event_v2.RunEvent(run=run, eventType=event_v2.RunState[event["eventType"]], **shared)


def test_the_clients_classes_read_every_event_without_a_difference(measured, tmp_path):
    events = exported(measured, tmp_path / "events.ndjson")
    for event in events:
        assert Serde.to_dict(rebuilt(event)) == event


def test_each_run_and_each_of_its_plates_starts_and_ends(measured, tmp_path):
    events = [one for one in exported(measured, tmp_path / "events.ndjson") if "run" in one]
    states: dict[str, list[str]] = {}
    for event in events:
        states.setdefault(event["run"]["runId"], []).append(event["eventType"])
    assert list(states.values()) == [["START", "FAIL"], *[["START", "COMPLETE"]] * 4, ["START", "FAIL"]]
    (over_all, *plates) = states
    parents = {one["run"]["facets"]["parent"]["run"]["runId"] for one in events if one["run"]["runId"] in plates}
    assert parents == {over_all}
    failed = [one for one in events if one["eventType"] == "FAIL" and one["run"]["runId"] in plates]
    assert failed[0]["run"]["facets"]["errorMessage"]["message"].startswith("compute: ")


def test_datasets_are_the_files_with_their_digests_and_columns(measured, tmp_path):
    events = exported(measured, tmp_path / "events.ndjson")
    (run_id,) = run_names(measured.plate("plate-001"))
    manifest = read_manifest(measured.plate("plate-001"), run_id)
    done = next(one for one in events if one.get("outputs") and "run" in one)
    assert [one["name"] for one in done["inputs"]] == [f"plate-001/{manifest.inputs[0].path}"]
    versions = {one["name"]: one["facets"]["version"]["datasetVersion"] for one in done["outputs"]}
    assert versions == {f"plate-001/{file.path}": f"sha256:{file.sha256}" for file in manifest.outputs}
    (table,) = [one["facets"] for one in done["outputs"] if one["name"].endswith("embeddings.parquet")]
    names = [field["name"] for field in table["schema"]["fields"]]
    assert names == INSTRUMENT_TABLES["embedding"].sealed_schema.names()
    assert table["symlinks"]["identifiers"][0]["name"] == f"embeddings/{EMBEDDER}"
    first = events[0]
    assert first["run"]["facets"]["atlas_instrument"]["fingerprint"] == manifest.instrument.fingerprint
    assert first["job"]["facets"].get("sourceCodeLocation", {}).get("version") == manifest.code.git_sha


def test_a_ledgers_columns_are_those_of_the_results_and_is_current_is_made_of_three(measured, tmp_path):
    last = exported(measured, tmp_path / "events.ndjson")[-1]
    assert (last["job"]["name"], [one["name"] for one in last["inputs"]]) == (
        "ledger/embeddings",
        [f"embeddings/{EMBEDDER}"],
    )
    fields = last["outputs"][0]["facets"]["columnLineage"]["fields"]
    assert set(fields) == set(INSTRUMENT_TABLES["embedding"].schema)
    assert [one["field"] for one in fields["vector"]["inputFields"]] == ["vector"]
    assert [one["field"] for one in fields["is_current"]["inputFields"]] == ["run_id", "fingerprint", "source_sha256"]


def test_the_same_runs_give_the_same_bytes(measured, tmp_path):
    for name in ("one", "two"):
        export_openlineage(measured, tmp_path / name)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_nothing_of_withdrawn_and_withheld_plates_leaves(measured, tmp_path):
    license_plates(measured, "CC BY-NC 4.0", "plate-003")
    withdrawn(measured, "plate", "plate-002")
    build_ledgers(measured, fake_registry(fake_spec(EMBEDDER)))
    done = export_openlineage(measured, tmp_path / "events.ndjson", commercial=True)
    text = (tmp_path / "events.ndjson").read_text()
    assert "plate-002" not in text
    assert "plate-003" not in text
    assert done.plates_count == 3
    assert [line.partition(": ")[2] for line in done.left_out] == [
        "1 plate with all rows: withdrawn",
        "1 plate with all rows: its licence, CC BY-NC 4.0, forbids commercial use",
    ]


def test_a_run_without_its_failed_plate_is_complete(measured, tmp_path):
    withdrawn(measured, "plate", "plate-005")
    build_ledgers(measured, fake_registry(fake_spec(EMBEDDER)))
    events = [one for one in exported(measured, tmp_path / "events.ndjson") if "run" in one]
    assert events[-1]["eventType"] == "COMPLETE"


@pytest.mark.usefixtures("shut_network")
def test_the_command_sends_nothing_and_says_what_it_wrote(measured, tmp_path, monkeypatch):
    monkeypatch.setenv("ATLAS_HOME", str(measured.root))
    monkeypatch.setenv("OPENLINEAGE_URL", "http://127.0.0.1:9")
    target = tmp_path / "events.ndjson"
    done = CliRunner().invoke(app, ["export-openlineage", str(target), "--namespace", "birds"])
    assert done.exit_code == 0, done.output
    assert "1 run, 5 results, 13 events" in done.output
    assert json.loads(target.read_text().splitlines()[0])["job"]["namespace"] == "birds"
    refused = CliRunner().invoke(app, ["export-openlineage", str(measured.root / "events.ndjson")])
    assert refused.exit_code == 1
    assert "outside the dataset" in refused.output.replace("\n", " ")

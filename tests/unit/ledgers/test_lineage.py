"""Lineage: the edges of one plate by hand, digests as they were recorded, and what is not recorded stays null."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import polars as pl
import pytest
from support.fake_instruments import EMBEDDER, READER, SEGMENTER, fake_registry, fake_spec, reader_spec
from support.made_results import GivenRows, GivenVectors, build_ledgers, measure, measure_groundwork

from atlas_resources.files.contract import file_bytes
from atlas_resources.instruments.prompts import read_prompts
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.spec import PromptPin, Spec
from atlas_resources.instruments.spec.weights import HubWeights
from atlas_resources.ledgers.lineage.build import build_lineage
from atlas_resources.plates.contracts import Origin
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import MEASURE_VERSION
from atlas_resources.plates.run_contracts import RunConfig
from atlas_resources.runs.provenance import code_version
from atlas_resources.tables.result_columns import PROBE, SEGMENT

REVISION = "0123456789abcdef0123456789abcdef01234567"
MODEL_ID, MODEL = f"tests/{EMBEDDER}", f"tests/{EMBEDDER}@{REVISION}"
ONE, TWO, CONFIGURATION, TOKENIZER = "1" * 64, "2" * 64, "c" * 64, None
VECTORS = GivenVectors({f"plate-{number:03d}": (number, 1.0, 0.0) for number in range(1, 6)})
NOTHING = GivenRows(SEGMENT)
Edge = tuple[str, str, str, str, str | None]


def hub_weights(*digests: str) -> HubWeights:
    """Weights in one file for each digest, a configuration, and a file whose digest nobody stated."""
    weights = [{"path": f"{n}.safetensors", "format": "safetensors", "sha256": one} for n, one in enumerate(digests)]
    others = [
        {"path": "config.json", "format": "json", "sha256": CONFIGURATION},
        {"path": "tokenizer.json", "format": "json", "sha256": TOKENIZER},
    ]
    return HubWeights.model_validate(
        {"kind": "hub", "repository": "tests/model", "revision": REVISION, "files": [*weights, *others]}
    )


def embedder(*digests: str) -> Spec:
    spec = fake_spec(EMBEDDER)
    assert spec.preprocessing
    steps = spec.preprocessing.model_copy(update={"reference": "own"})
    return spec.model_copy(update={"weights": hub_weights(*digests), "preprocessing": steps})


def edges(lineage: pl.DataFrame) -> set[Edge]:
    """Relation, kinds with nodes, and the object's name; an edge of two digests once."""
    shown = lineage.select("subject_kind", "subject", "relation", "object_kind", "object", "object_name")
    return {
        (f"{subject_kind} {subject}", relation, object_kind, object_, name)
        for subject_kind, subject, relation, object_kind, object_, name in shown.iter_rows()
    }


def run_id_of(dataset: Dataset, registry: Registry, key: str, plate_id: str = "plate-001") -> str:
    digits = registry.instruments[key].identity.fingerprint[:8]
    (folder,) = dataset.plate(plate_id).runs_folder.glob(f"run-*-{digits}")
    return folder.name


def config_path(dataset: Dataset, run_id: str) -> Path:
    return dataset.reports_dir / run_id / "config.json"


@pytest.fixture
def registry(fakes) -> Registry:
    return fake_registry(embedder(ONE, TWO), fake_spec(SEGMENTER), reader_spec())


@pytest.fixture
def measured(dataset, registry) -> Dataset:
    measure_groundwork(dataset)
    measure(dataset, registry, EMBEDDER, VECTORS)
    return dataset


def test_edges_of_a_plate_lead_from_each_file_back_to_the_source(measured, registry):
    """By hand, for plate-001: its groundwork, and a run of an embedder of two weights files and a configuration."""
    lineage = build_ledgers(measured, registry)["lineage"].filter(
        pl.col("plate_id").is_null() | (pl.col("plate_id") == "plate-001")
    )
    identity, commit = registry.instruments[EMBEDDER].identity, str(code_version().git_sha)
    source, path = measured.plate("plate-001").source_sha256(), "source/01-red.png"
    run = f"plate-001/runs/{run_id_of(measured, registry, EMBEDDER)}"
    (environment,) = lineage.filter(object_kind="environment")["object"]
    assert len(environment) == 64
    files = [f"{run}/embeddings.parquet", f"{run}/metrics.json"]
    facts = [f"plate-001/derived/{name}.json" for name in ("input_image", "input_color_histograms", "groundwork")]
    assert edges(lineage) == {
        *((f"file {file}", "wasGeneratedBy", "run", run, None) for file in files),
        *((f"file {file}", "wasDerivedFrom", "source", source, path) for file in [*files, *facts]),
        (f"run {run}", "used", "source", source, path),
        (f"run {run}", "used", "instrument", identity.fingerprint, EMBEDDER),
        (f"run {run}", "used", "preprocessing", identity.preprocess_tag, None),
        (f"run {run}", "used", "environment", environment, "cpu"),
        (f"run {run}", "wasAssociatedWith", "code", commit, None),
        *((f"file {file}", "wasGeneratedBy", "run", "plate-001/groundwork", None) for file in facts),
        ("run plate-001/groundwork", "used", "source", source, path),
        ("run plate-001/groundwork", "used", "instrument", MEASURE_VERSION, "groundwork"),
        ("run plate-001/groundwork", "wasAssociatedWith", "code", commit, None),
        (f"instrument {identity.fingerprint}", "wasDerivedFrom", "model", MODEL, MODEL_ID),
        (f"instrument {identity.fingerprint}", "wasDerivedFrom", "weights_set", identity.weights_sha256, "2 files"),
        (f"instrument {identity.fingerprint}", "wasDerivedFrom", "configuration", CONFIGURATION, "config.json"),
        (f"weights_set {identity.weights_sha256}", "hadMember", "weights", ONE, "0.safetensors"),
        (f"weights_set {identity.weights_sha256}", "hadMember", "weights", TWO, "1.safetensors"),
    }  # fmt: skip


def test_one_weights_file_is_the_weights(dataset, fakes):
    registry = fake_registry(embedder(ONE))
    measure(dataset, registry, EMBEDDER, VECTORS)
    weights = build_ledgers(dataset, registry)["lineage"].filter(pl.col("object_kind").str.starts_with("weights"))
    fingerprint = registry.instruments[EMBEDDER].identity.fingerprint
    assert edges(weights) == {(f"instrument {fingerprint}", "wasDerivedFrom", "weights", ONE, "0.safetensors")}


def test_a_result_that_another_was_read_from_is_between_it_and_the_source(measured, registry):
    row = {"label_index": 0, "label_id": "red", "label": "red", "score": 1.0}
    measure(measured, registry, READER, GivenRows(PROBE, row))
    lineage = build_ledgers(measured, registry)["lineage"].filter(plate_id="plate-001", instrument=READER)
    read = f"plate-001/runs/{run_id_of(measured, registry, EMBEDDER)}/embeddings.parquet"
    sealed = f"plate-001/runs/{run_id_of(measured, registry, READER)}/probe_scores.parquet"
    derived = lineage.filter(relation="wasDerivedFrom", subject=sealed)
    assert set(derived["object_kind"]) == {"file", "source"}
    assert read in set(derived["object"])
    assert set(lineage.filter(relation="used", object_kind="file")["object"]) == {read}


def test_digests_are_those_of_the_run_and_not_of_the_present_specs(measured, registry):
    before = build_ledgers(measured, registry)["lineage"]
    changed = fake_registry(embedder("9" * 64), fake_spec(SEGMENTER), reader_spec())
    assert build_ledgers(measured, changed)["lineage"].equals(before)
    assert build_ledgers(measured, fake_registry())["lineage"].equals(before)


def test_without_a_runs_configuration_what_its_manifests_state_is_kept_and_no_name_is_invented(measured, registry):
    shutil.rmtree(measured.reports_dir)
    lineage = build_ledgers(measured, registry)["lineage"].filter(subject_kind="instrument")
    identity = registry.instruments[EMBEDDER].identity
    subject = f"instrument {identity.fingerprint}"
    assert edges(lineage) == {
        (subject, "wasDerivedFrom", "model", MODEL, MODEL_ID),
        (subject, "wasDerivedFrom", "weights", identity.weights_sha256, None),
    }


@pytest.mark.parametrize(
    "change",
    [
        lambda config: config["spec"]["weights"]["files"][0].update(sha256="9" * 64),
        lambda config: config["instrument"].update(fingerprint="9" * 64),
        lambda config: config["spec"].update(weights={"files": [{"path": "a"}]}),
    ],
)
def test_a_configuration_that_contradicts_the_sealed_manifests_is_not_believed(measured, registry, change, caplog):
    path = config_path(measured, run_id_of(measured, registry, EMBEDDER))
    config = json.loads(path.read_bytes())
    change(config)
    path.write_bytes(file_bytes(RunConfig.model_validate(config)))
    weights = build_ledgers(measured, registry)["lineage"].filter(object_kind="weights")
    assert weights["object"].to_list() == [registry.instruments[EMBEDDER].identity.weights_sha256]
    fingerprint = registry.instruments[EMBEDDER].identity.fingerprint
    assert f"lineage without the files of instrument {fingerprint[:8]}: {path}" in caplog.text


def test_a_configuration_that_changed_since_it_was_written_is_not_believed(measured, registry, caplog):
    path = config_path(measured, run_id_of(measured, registry, EMBEDDER))
    path.write_bytes(path.read_bytes().replace(b'"config.json"', b'"other.json"'))
    found = build_ledgers(measured, registry)["lineage"].filter(subject_kind="instrument")["object_kind"]
    assert set(found) == {"model", "weights"}
    assert f"{path}: changed since it was written" in caplog.text


def test_another_run_of_the_instrument_states_what_a_lost_configuration_stated(measured, registry):
    before = build_ledgers(measured, registry)["lineage"].filter(subject_kind="instrument")
    first = run_id_of(measured, registry, EMBEDDER)
    measure(measured, registry, EMBEDDER, VECTORS, is_forced=True)
    config_path(measured, first).unlink()
    assert build_ledgers(measured, registry)["lineage"].filter(subject_kind="instrument").equals(before)


def test_prompts_that_rows_answer_are_members_of_the_pinned_set(measured):
    (atmosphere,) = [one for one in read_prompts().sets.values() if one.set == "atmosphere"]
    first, second = atmosphere.prompts[:2]
    pin = PromptPin(set="atmosphere", version=1, sha256=atmosphere.sha256)
    registry = fake_registry(embedder(ONE, TWO), reader_spec(prompts=[pin.model_dump()]))
    rows = [
        {
            **{"label_index": n, "label_id": one.id, "label": one.text, "score": 0.5, "prompt_set": "atmosphere"},
            **{"prompt_version": 1, "prompt_id": one.id, "prompt_sha256": one.sha256},
        }
        for n, one in enumerate((first, second))
    ]
    measure(measured, registry, READER, GivenRows(PROBE, *rows))
    subject = f"instrument {registry.instruments[READER].identity.fingerprint}"
    prompts = pl.col("object_kind").str.starts_with("prompt")
    members = {
        (f"prompt_set {atmosphere.sha256}", "hadMember", "prompt", one.sha256, one.id) for one in (first, second)
    }
    assert edges(build_ledgers(measured, registry)["lineage"].filter(prompts)) == {
        (subject, "wasDerivedFrom", "prompt_set", atmosphere.sha256, "atmosphere v1"),
        *members,
    }
    shutil.rmtree(measured.reports_dir)
    assert edges(build_lineage(measured).collect().filter(prompts)) == {
        (subject, "wasDerivedFrom", kind, sha256, name) for _, _, kind, sha256, name in members
    }


def test_a_failed_run_used_its_source_and_generated_nothing(dataset, registry):
    assert measure(dataset, registry, EMBEDDER, GivenVectors({}), ["plate-001"]) == ["failed"]
    lineage = build_ledgers(dataset, registry)["lineage"].drop_nulls("run_id")
    assert set(lineage["subject_kind"]) == {"run"}
    assert dataset.plate("plate-001").source_sha256() in set(lineage.filter(relation="used")["object"])


def test_a_source_was_derived_from_the_address_that_its_index_states_or_that_it_was_fetched_from(dataset, registry):
    stated, fetched = dataset.plate("plate-002"), dataset.plate("plate-003")
    origin = Origin(
        url="https://example.org/full.png",
        retrieved_at=datetime(2026, 1, 1, tzinfo=UTC),
        etag=None,
        last_modified=None,
        expected_sha256=None,
        index="plates.csv",
        index_sha256="7" * 64,
    )
    for plate in (stated, fetched):
        columns = {"download_url": "https://example.org/2.png", "origin": origin if plate is fetched else None}
        plate.manifest_path.write_bytes(file_bytes(plate.manifest().model_copy(update=columns)))
    assert edges(build_ledgers(dataset, registry)["lineage"]) == {
        (f"source {stated.source_sha256()}", "wasDerivedFrom", "origin", "https://example.org/2.png", None),
        (f"source {fetched.source_sha256()}", "wasDerivedFrom", "origin", "https://example.org/full.png", None),
        (f"source {fetched.source_sha256()}", "wasDerivedFrom", "index", "7" * 64, "plates.csv"),
    }


def test_results_without_rows_are_nodes_of_their_own_though_their_bytes_are_equal(dataset, registry):
    measure(dataset, registry, SEGMENTER, NOTHING)
    lineage = build_ledgers(dataset, registry)["lineage"]
    sealed = lineage.filter(relation="wasGeneratedBy").filter(pl.col("subject").str.ends_with(".parquet"))
    assert (sealed["subject"].n_unique(), sealed["subject_sha256"].n_unique()) == (5, 1)


def test_the_order_of_edges_does_not_depend_on_the_order_of_runs(measured, registry):
    lineage = build_ledgers(measured, registry)["lineage"]
    assert lineage.select("subject", "relation", "object").is_unique().all()
    assert lineage.equals(lineage.sort("subject", "relation", "object"))

"""One bad plate fails alone and is kept as evidence; a second run computes only that plate."""

import errno

import dagster as dg
import polars as pl
import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import Graph, alter_source, make_dataset, run_folders

from atlas_assets.graph.partitions import add_missing_partitions
from atlas_resources.ledgers.runs import build_results, build_runs
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.run_contracts import RunManifest, RunReport
from atlas_resources.runs.sealed import MANIFEST_NAME
from atlas_resources.runs.sealing import Run

EMBEDDINGS, SEGMENTS = f"embeddings/{EMBEDDER}", f"segments/{SEGMENTER}"
OTHERS = {"plate-001", "plate-002", "plate-004", "plate-005"}


@pytest.fixture
def graph_with_magenta(tmp_path, fakes, instance):
    """Five plates; plate-003 is all magenta, which the fake instruments refuse while they compute."""
    dataset = make_dataset(tmp_path, "red", "green", "magenta", "ochre", "teal")
    return Graph(dataset, fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER)), instance)


def summary_of(run: dg.ExecuteInProcessResult, step: str) -> str:
    """The failed step's description."""
    (event,) = [event for event in run.all_events if event.is_step_failure and event.step_key == step]
    failure = event.step_failure_data.user_failure_data
    assert failure is not None
    assert failure.description is not None
    return failure.description


def sealed(graph: Graph, plate_id: str) -> RunManifest:
    """The plate's only run."""
    (name,) = run_folders(graph.dataset, plate_id)
    return read_json(graph.dataset.plate(plate_id).runs_folder / name / MANIFEST_NAME, RunManifest)


def report(graph: Graph) -> RunReport:
    """The report of the only run."""
    (path,) = graph.dataset.reports_dir.glob("*/report.json")
    return read_json(path, RunReport)


class TestAlteredSource:
    """The bytes of plate-003 changed after it was registered."""

    @pytest.fixture(autouse=True)
    def _altered(self, graph):
        alter_source(graph.dataset, "plate-003")

    @pytest.mark.parametrize(
        ("key", "step"),
        [
            ("plate/manifest", "plate__manifest"),
            ("plate/input_image", "groundwork"),
            ("plate/input_color_histograms", "groundwork"),
            (EMBEDDINGS, f"embeddings__{EMBEDDER}"),
            (SEGMENTS, f"segments__{SEGMENTER}"),
        ],
    )
    def test_exactly_that_plate_fails_and_is_named(self, graph, key, step):
        keys = ["plate/input_image", "plate/input_color_histograms"] if step == "groundwork" else [key]
        run = graph.materialize(*keys)
        assert not run.success
        assert graph.materialized(key) == OTHERS
        summary = summary_of(run, step)
        assert summary.startswith("1 of 5 plates failed; the others are materialised.\nplate-003: ")
        assert "sha256" in summary

    def test_its_folder_records_that_decoding_failed_and_has_no_result(self, graph):
        graph.materialize(SEGMENTS)
        manifest = sealed(graph, "plate-003")
        assert manifest.status == "failed"
        assert manifest.outputs == []
        assert manifest.error is not None
        assert manifest.error.stage == "decode"
        assert "sha256" in manifest.error.message
        assert manifest.error.traceback.startswith("Traceback")

    def test_groundwork_writes_no_file_for_it(self, graph):
        graph.materialize("plate/input_image", "plate/input_color_histograms")
        assert not graph.dataset.plate("plate-003").derived_path("input_image.json").exists()
        assert not graph.dataset.plate("plate-003").derived_path("input_color_histograms.json").exists()
        assert graph.dataset.plate("plate-004").derived_path("input_image.json").exists()


class TestPlateThatCannotBeMeasured:
    """The instrument raises an error for plate-003, in a batch with plate-004."""

    def test_the_rest_of_its_batch_is_materialised(self, graph_with_magenta):
        run = graph_with_magenta.materialize(EMBEDDINGS)
        assert not run.success
        assert graph_with_magenta.materialized(EMBEDDINGS) == OTHERS
        assert summary_of(run, f"embeddings__{EMBEDDER}") == (
            "1 of 5 plates failed; the others are materialised.\n"
            "plate-003: ArithmeticError (compute): magenta cannot be measured"
        )

    def test_its_folder_records_that_computing_failed(self, graph_with_magenta):
        graph_with_magenta.materialize(SEGMENTS)
        error = sealed(graph_with_magenta, "plate-003").error
        assert error is not None
        assert (error.type, error.stage, error.message) == ("ArithmeticError", "compute", "magenta cannot be measured")
        assert "FakeSegmenter" in error.traceback or "segment" in error.traceback

    def test_the_run_reports_the_done_and_the_failed_plates(self, graph_with_magenta):
        graph_with_magenta.materialize(SEGMENTS)
        made = report(graph_with_magenta)
        assert made.status == "failed"
        assert set(made.done) == OTHERS
        assert made.skipped == []
        assert [(plate.plate_id, plate.error.type) for plate in made.failed] == [("plate-003", "ArithmeticError")]

    def test_the_ledger_of_runs_has_it_with_its_reason_and_the_results_do_not(self, graph_with_magenta):
        graph_with_magenta.materialize(SEGMENTS)
        dataset = graph_with_magenta.dataset
        segments = build_results(dataset, graph_with_magenta.registry, "segmentation").collect()
        runs = build_runs(dataset).collect()
        failed = runs.filter(pl.col("status") == "failed")
        assert failed.select("plate_id", "error_type", "error_message", "error_stage", "is_current").rows() == [
            ("plate-003", "ArithmeticError", "magenta cannot be measured", "compute", False)
        ]
        assert set(segments["plate_id"]) == OTHERS

    def test_another_instrument_in_the_same_run_is_not_affected(self, graph_with_magenta):
        graph_with_magenta.materialize("plate/manifest", "plate/input_image", "plate/input_color_histograms", SEGMENTS)
        assert graph_with_magenta.materialized("plate/input_image") == {*OTHERS, "plate-003"}
        assert graph_with_magenta.materialized(SEGMENTS) == OTHERS

    def test_a_second_run_computes_only_that_plate(self, graph_with_magenta):
        graph = graph_with_magenta
        graph.materialize(SEGMENTS)
        before = {plate_id: run_folders(graph.dataset, plate_id) for plate_id in graph.dataset.plate_ids()}
        graph.materialize(SEGMENTS)
        after = {plate_id: run_folders(graph.dataset, plate_id) for plate_id in graph.dataset.plate_ids()}
        assert {plate_id for plate_id in after if after[plate_id] != before[plate_id]} == {"plate-003"}
        assert len(after["plate-003"]) == 2
        assert graph.materialized(SEGMENTS) == OTHERS

    def test_a_plate_that_is_fixed_is_measured(self, graph):
        good = graph.dataset.plate("plate-003").source_path().read_bytes()
        alter_source(graph.dataset, "plate-003")
        graph.materialize(SEGMENTS)
        graph.dataset.plate("plate-003").source_path().write_bytes(good)
        assert graph.materialize(SEGMENTS).success
        assert graph.materialized(SEGMENTS) == {*OTHERS, "plate-003"}


def test_a_model_that_cannot_be_loaded_ends_the_run_and_fails_no_plate(graph):
    spec = graph.registry.specs[SEGMENTER]
    unpinned = spec.model_copy(update={"weights": spec.weights.model_copy(update={"version": "0.0.1"})})
    run = Graph(graph.dataset, fake_registry(unpinned), graph.instance).materialize(SEGMENTS)
    assert not run.success
    assert graph.materialized(SEGMENTS) == set()
    assert [run_folders(graph.dataset, plate_id) for plate_id in graph.dataset.plate_ids()] == [[]] * 5
    assert list(graph.dataset.reports_dir.iterdir()) == []


@pytest.mark.parametrize("broken", ["source.sha256", "manifest.json"])
@pytest.mark.parametrize(
    ("key", "step"),
    [
        ("plate/manifest", "plate__manifest"),
        ("plate/input_image", "groundwork"),
        (SEGMENTS, f"segments__{SEGMENTER}"),
    ],
)
def test_a_plate_with_a_broken_file_fails_alone(graph, broken, key, step):
    add_missing_partitions(graph.instance, graph.dataset)
    (graph.dataset.plate("plate-003").folder / broken).write_text("nonsense\n")
    run = graph.materialize(*(["plate/input_image", "plate/input_color_histograms"] if step == "groundwork" else [key]))
    assert not run.success
    assert graph.materialized(key) == OTHERS
    summary = summary_of(run, step)
    assert summary.startswith("1 of 5 plates failed; the others are materialised.\nplate-003: ")
    assert broken in summary


def test_a_plate_with_a_broken_sealed_manifest_fails_alone(graph):
    graph.materialize(SEGMENTS)
    (name,) = run_folders(graph.dataset, "plate-003")
    (graph.dataset.plate("plate-003").runs_folder / name / MANIFEST_NAME).write_text("{")
    before = len(graph.events(SEGMENTS))
    run = graph.materialize(SEGMENTS)
    assert not run.success
    assert {plate_id for plate_id, _ in graph.events(SEGMENTS)[before:]} == OTHERS


class TestOddFolder:
    """The run folder of plate-002 cannot be written: there is a file in its place."""

    def test_its_plate_fails_alone_and_the_plates_behind_it_are_made(self, graph):
        runs = graph.dataset.plate("plate-002").runs_folder
        runs.rmdir() if runs.is_dir() else None
        runs.write_text("not a folder")
        result = graph.materialize(EMBEDDINGS)
        assert not result.success
        assert graph.materialized(EMBEDDINGS) == {"plate-001", "plate-003", "plate-004", "plate-005"}
        summary = summary_of(result, f"embeddings__{EMBEDDER}")
        assert summary.startswith("1 of 5 plates failed; the others are materialised.\nplate-002: ")
        assert str(runs) in summary

    def test_a_folder_that_vanishes_while_it_is_measured_costs_its_plate_alone(self, graph, monkeypatch):
        seal = Run.seal

        def without_folder(self, plate, *arguments):
            if plate.id == "plate-002":
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(plate.runs_folder))
            return seal(self, plate, *arguments)

        monkeypatch.setattr(Run, "seal", without_folder)
        result = graph.materialize(EMBEDDINGS)
        assert "plate-002: FileNotFoundError (seal): " in summary_of(result, f"embeddings__{EMBEDDER}")
        assert graph.materialized(EMBEDDINGS) == {"plate-001", "plate-003", "plate-004", "plate-005"}

    def test_a_full_disk_is_not_the_plates_failure(self, graph, monkeypatch):
        def full(self, plate, *arguments):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(Run, "seal", full)
        result = graph.materialize(EMBEDDINGS)
        assert not result.success
        assert run_folders(graph.dataset, "plate-001") == []
        (step,) = {event.step_key for event in result.all_events if event.is_step_failure}
        assert "No space left on device" in str(
            next(event.step_failure_data.error for event in result.all_events if event.is_step_failure)
        )
        assert step == f"embeddings__{EMBEDDER}"

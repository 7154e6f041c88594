"""The job repeats a sample and writes its files; the check warns of what is different."""

import datetime

import dagster as dg
import polars as pl
import pytest
from support.fake_instruments import EMBEDDER
from support.made_reproductions import edit_rows, files_of, result_path, run_of, write_repetition
from support.made_results import reseal

from atlas_assets.graph.checks.library import build_library_checks
from atlas_assets.graph.reproduction import JOB_NAME, run_config
from atlas_resources.ledgers.reproductions.build import build_reproductions
from atlas_resources.resources import DatasetResource

DAY = datetime.date(2027, 3, 1)


@pytest.fixture
def measured(graph):
    assert graph.materialize(f"embeddings/{EMBEDDER}").success
    return graph


def execute(graph, sample: int) -> dg.ExecuteInProcessResult:
    job = graph.definitions.resolve_job_def(JOB_NAME)
    return job.execute_in_process(instance=graph.instance, run_config=run_config(sample, DAY), raise_on_error=False)


def altered(graph) -> str:
    """Edits the sealed vector of plate-002, and its digest; returns the run's id."""
    run_id = run_of(graph.dataset, EMBEDDER)
    path = result_path(graph.dataset, "plate-002", run_id)
    edit_rows(path, vector=pl.col("vector").list.eval(pl.element() * 2))
    reseal(path)
    return run_id


def check(graph) -> dg.AssetCheckResult:
    build_reproductions(graph.dataset)
    key = dg.AssetCheckKey(dg.AssetKey(["ledger", "reproductions"]), "reproductions_agree")
    (found,) = [one for one in build_library_checks(graph.registry) if key in one.check_keys]
    return found(dataset=DatasetResource(root=str(graph.dataset.root)))


class TestJob:
    def test_it_repeats_the_sample_and_changes_nothing_of_the_plates(self, measured):
        before = files_of(measured.dataset.plates_dir)
        result = execute(measured, 3)
        assert result.success
        assert files_of(measured.dataset.plates_dir) == before
        rows = build_reproductions(measured.dataset)
        assert rows["verdict"].to_list() == ["identical"] * 3

    def test_what_is_different_is_logged_and_the_job_succeeds(self, measured):
        run_id = altered(measured)
        result = execute(measured, 100)
        assert result.success
        (output,) = [event for event in result.all_events if event.event_type_value == "STEP_OUTPUT"]
        metadata = output.step_output_data.metadata
        assert metadata["results"].value == 5
        assert (metadata["identical"].value, metadata["different"].value) == (4, 1)
        assert f"{run_id} plate-002: different: vector: relative difference 0.5" in str(metadata["first"].value)

    def test_a_dataset_without_results_has_nothing_to_repeat(self, graph):
        assert execute(graph, 3).success
        assert not graph.dataset.reproductions_dir.exists()


class TestCheck:
    def test_it_passes_where_every_result_came_out_again(self, measured):
        write_repetition(measured.dataset, run_of(measured.dataset, EMBEDDER))
        assert check(measured).passed

    def test_a_different_result_is_a_warning_that_names_plate_run_and_file(self, measured):
        run_id = altered(measured)
        write_repetition(measured.dataset, run_id)
        result = check(measured)
        assert (result.passed, result.severity) == (False, dg.AssetCheckSeverity.WARN)
        said = str(result.metadata["first"].value).replace("\\", "")
        assert f"plate-002 {EMBEDDER} {run_id}: vector: relative difference 0.5 in plate" in said
        assert f"reproductions/{run_id}/" in said

    def test_only_the_last_verdict_counts(self, measured):
        run_id = altered(measured)
        write_repetition(measured.dataset, run_id)
        path = result_path(measured.dataset, "plate-002", run_id)
        edit_rows(path, vector=pl.col("vector").list.eval(pl.element() / 2))
        reseal(path)
        write_repetition(measured.dataset, run_id, "plate-002")
        assert check(measured).passed

    def test_a_broken_file_is_named(self, measured):
        run_id = run_of(measured.dataset, EMBEDDER)
        write_repetition(measured.dataset, run_id)
        (path,) = (measured.dataset.reproductions_dir / run_id).iterdir()
        path.write_text("{}")
        result = check(measured)
        assert not result.passed
        assert path.name in str(result.metadata["first"].value)

"""What Dagster knows of each plate: that it is being made, why it failed, and that it had failed before."""

import dagster as dg
import pytest
from support.fake_instruments import SEGMENTER, fake_registry, fake_spec
from support.made_datasets import Graph, make_dataset

from atlas_assets.graph.partitions import PLATES
from atlas_assets.graph.plate_step import shared_pass, step
from atlas_resources.runs.passes.together import measure_together

SEGMENTS = f"segments/{SEGMENTER}"
KEY = dg.AssetKey(SEGMENTS.split("/"))
PLATE_IDS = ["plate-001", "plate-002", "plate-003"]


@pytest.fixture
def graph(tmp_path, fakes, instance):
    """plate-002 is magenta, which the segmenter refuses."""
    return Graph(make_dataset(tmp_path, "red", "magenta", "teal"), fake_registry(fake_spec(SEGMENTER)), instance)


def statuses(graph: Graph) -> dict[str, str | None]:
    """The status that the UI shows for each partition of the segments."""
    found = graph.instance.get_status_by_partition(KEY, PLATE_IDS, PLATES) or {}
    return {plate_id: status.value if status else None for plate_id, status in found.items()}


def observed(graph: Graph, plate_id: str) -> list[dg.AssetObservation]:
    records = graph.instance.fetch_observations(
        dg.AssetRecordsFilter(asset_key=KEY, asset_partitions=[plate_id]), limit=10
    ).records
    return [record.event_log_entry.asset_observation for record in records if record.event_log_entry.asset_observation]


def test_every_plate_of_a_work_list_is_in_progress_from_the_start(graph, monkeypatch):
    seen = []

    def watched(*arguments):
        seen.append(statuses(graph))
        yield from measure_together(*arguments)

    monkeypatch.setattr(shared_pass, "measure_together", watched)
    graph.materialize_list(SEGMENTS, ["plate-001", "plate-003"])
    assert seen == [{"plate-001": "IN_PROGRESS", "plate-002": None, "plate-003": "IN_PROGRESS"}]
    assert statuses(graph) == {"plate-001": "MATERIALIZED", "plate-002": None, "plate-003": "MATERIALIZED"}


def test_a_failed_plate_of_a_work_list_is_shown_as_failed(graph):
    assert not graph.materialize_list(SEGMENTS, ["plate-001", "plate-002"]).success
    assert statuses(graph) == {"plate-001": "MATERIALIZED", "plate-002": "FAILED", "plate-003": None}


def test_the_reason_of_a_failure_and_the_command_are_on_the_partition(graph):
    graph.materialize(SEGMENTS)
    (observation,) = observed(graph, "plate-002")
    assert "magenta" in str(observation.metadata["failed"].value)
    assert observation.metadata["try_again"].value == f"atlas run 'key:\"{SEGMENTS}\"' --plates plate-002"
    assert observed(graph, "plate-001") == []


def test_a_plate_that_had_failed_says_so_once_it_is_made(graph, monkeypatch):
    graph.materialize(SEGMENTS)
    graph.materialize(SEGMENTS)
    monkeypatch.setattr("support.fake_instruments._refuse_magenta", lambda mean_rgb: None)
    assert graph.materialize(SEGMENTS).success
    made = dict(graph.events(SEGMENTS))
    assert made["plate-002"].metadata["failed_before"].value == 2
    assert "failed_before" not in made["plate-001"].metadata
    assert statuses(graph)["plate-002"] == "MATERIALIZED"


def test_a_tag_of_the_run_counts_the_plates(graph, monkeypatch):
    monkeypatch.setattr(step, "PROGRESS_SECONDS", 0.0)
    texts = []
    add_run_tags = graph.instance.add_run_tags

    def watched(run_id, tags):
        texts.append(tags["atlas/progress"])
        add_run_tags(run_id, tags)

    monkeypatch.setattr(graph.instance, "add_run_tags", watched)
    result = graph.materialize(SEGMENTS)
    assert texts[0] == f"0 of 3 plates: {SEGMENTS}"
    assert f"2 of 3 plates, 1 failed: {SEGMENTS}" in texts
    run = graph.instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.tags["atlas/progress"] == f"3 of 3 plates, 1 failed: {SEGMENTS}"


def test_a_work_list_in_a_run_of_one_partition_is_refused(graph):
    result = graph.materialize_partition(SEGMENTS, "plate-001", plates=["plate-003"])
    (failure,) = [event.step_failure_data for event in result.all_events if event.is_step_failure]
    assert failure.user_failure_data is not None
    assert "launch the run over a range of partitions" in str(failure.user_failure_data.description)

"""`atlas change-partitions`: a dataset goes over to shards and back; only Dagster's partitions and events change."""

import hashlib

import dagster as dg
import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import Graph, make_dataset
from support.made_results import measure_groundwork, run_instrument
from support.sharded import declare

from atlas_assets.graph.partitions import PLATES, SHARDS, PartitionsDiffer
from atlas_assets.graph.recorded.differences import find_differences
from atlas_assets.in_process.changing_partitions import change_partitions
from atlas_assets.in_process.repairing import repair_events

EMBEDDINGS, SEGMENTS = dg.AssetKey(["embeddings", EMBEDDER]), dg.AssetKey(["segments", SEGMENTER])
IMAGES = dg.AssetKey(["plate", "input_image"])
FIRST, SECOND = "shard-000001", "shard-000002"


@pytest.fixture
def graph(tmp_path, fakes, instance, monkeypatch) -> Graph:
    """Five plates by plate, all recorded; plate-005 is magenta, which the segmenter refused."""
    declare(monkeypatch, tmp_path / "project", "plates")
    registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    graph = Graph(make_dataset(tmp_path, "red", "green", "blue", "ochre", "magenta"), registry, instance)
    measure_groundwork(graph.dataset)
    run_instrument(graph.dataset, registry, SEGMENTER)
    repair(graph)
    return graph


@pytest.fixture
def changed(graph, tmp_path, monkeypatch) -> Graph:
    """The same in shards of three."""
    declare(monkeypatch, tmp_path / "project", "shards")
    change(graph)
    return graph


def repair(graph: Graph) -> list[str]:
    return list(repair_events(graph.instance, graph.dataset, graph.registry))


def change(graph: Graph, *, is_dry: bool = False) -> list[str]:
    return list(change_partitions(graph.instance, graph.dataset, graph.registry, is_dry=is_dry))


def differences(graph: Graph) -> list[str]:
    return list(find_differences(graph.instance, graph.dataset, graph.registry).lines())


def statuses(graph: Graph, key: dg.AssetKey, definition: dg.DynamicPartitionsDefinition) -> list[str | None]:
    """What the UI shows of each partition, in order."""
    keys = graph.instance.get_dynamic_partitions(str(definition.name))
    found = graph.instance.get_status_by_partition(key, keys, definition) or {}
    return [status.value if (status := found.get(one)) else None for one in keys]


def plate_files(graph: Graph) -> dict[str, str]:
    """The digest of every file of the plates and reports."""
    folders = (graph.dataset.plates_dir, graph.dataset.reports_dir)
    paths = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


def test_partitions_are_shards_and_what_is_whole_on_disk_is_shown(changed):
    assert list(changed.instance.get_dynamic_partitions("shards")) == [FIRST, SECOND]
    assert changed.instance.get_dynamic_partitions("plates") == []
    assert statuses(changed, IMAGES, SHARDS) == ["MATERIALIZED", "MATERIALIZED"]
    assert statuses(changed, SEGMENTS, SHARDS) == ["MATERIALIZED", None]
    assert statuses(changed, EMBEDDINGS, SHARDS) == [None, None]
    assert differences(changed) == []


def test_the_events_say_that_they_are_from_the_disk(changed):
    event = changed.events("plate/input_image")[-1][1]
    assert event.metadata["plates"].value == 2
    assert "atlas repair-events" in str(event.metadata["recorded"].value)


def test_no_file_of_a_plate_changes(graph, tmp_path, monkeypatch):
    before = plate_files(graph)
    declare(monkeypatch, tmp_path / "project", "shards")
    change(graph)
    assert plate_files(graph) == before


def test_what_is_done_is_told_and_a_second_call_does_nothing(graph, tmp_path, monkeypatch):
    declare(monkeypatch, tmp_path / "project", "shards")
    dry = change(graph, is_dry=True)
    assert dry == ["changed 5 plates from 5 partitions, of plates, to shards of 3"]
    assert len(graph.instance.get_dynamic_partitions("plates")) == 5
    lines = change(graph)
    assert lines[:2] == [
        "5 plates are in 2 shards",
        "removed the 5 partitions of plates; their events stay in Dagster's history",
    ]
    assert change(graph) == []


def test_back_again_every_plate_is_shown_as_before(changed, tmp_path, monkeypatch):
    declare(monkeypatch, tmp_path / "project", "plates")
    change(changed)
    assert changed.instance.get_dynamic_partitions("shards") == []
    assert statuses(changed, SEGMENTS, PLATES) == [*["MATERIALIZED"] * 4, None]
    assert differences(changed) == []


def test_a_call_that_was_killed_goes_on(graph, tmp_path, monkeypatch):
    declare(monkeypatch, tmp_path / "project", "shards")
    lines = change_partitions(graph.instance, graph.dataset, graph.registry)
    assert next(lines) == "5 plates are in 2 shards"
    del lines
    with pytest.raises(PartitionsDiffer, match="Fix: `atlas change-partitions`"):
        repair(graph)
    change(graph)
    assert graph.instance.get_dynamic_partitions("plates") == []
    assert differences(graph) == []


def test_it_refuses_while_a_run_is_in_progress(graph, tmp_path, monkeypatch):
    declare(monkeypatch, tmp_path / "project", "shards")
    job = graph.definitions.resolve_implicit_global_asset_job_def()
    run = graph.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    with pytest.raises(ValueError, match=f"runs are in progress: {run.run_id[:8]}"):
        change(graph)
    assert graph.instance.get_dynamic_partitions("shards") == []


class TestRepair:
    """The reconciling of events with the disk works by shard."""

    def test_a_lost_history_is_reported_by_shard(self, changed, tmp_path):
        with dg.DagsterInstance.ephemeral() as instance:
            fresh = Graph(changed.dataset, changed.registry, instance)
            assert f"reported for segments/{SEGMENTER}: 1 ({FIRST})" in repair(fresh)
            assert statuses(fresh, SEGMENTS, SHARDS) == ["MATERIALIZED", None]
            assert repair(fresh) == []

    def test_a_shard_of_which_a_result_is_gone_is_marked_and_comes_back_with_it(self, changed, tmp_path):
        runs = changed.dataset.plate("plate-002").runs_folder
        runs.rename(tmp_path / "kept")
        assert differences(changed) == [f"segments/{SEGMENTER}: shown as materialised, not on disk: 1 ({FIRST})"]
        repair(changed)
        assert statuses(changed, SEGMENTS, SHARDS) == ["FAILED", None]
        (tmp_path / "kept").rename(runs)
        repair(changed)
        assert statuses(changed, SEGMENTS, SHARDS) == ["MATERIALIZED", None]

    def test_a_shard_without_plates_has_no_partition(self, changed, tmp_path):
        for number in (4, 5):
            changed.dataset.plate(f"plate-00{number}").folder.rename(tmp_path / f"gone-{number}")
        assert repair(changed) == [f"removed the partitions of plates that are not registered: 1 ({SECOND})"]
        assert changed.instance.get_dynamic_partitions("shards") == [FIRST]

    def test_a_deleted_plate_leaves_its_shard_with_another_version(self, changed, tmp_path):
        changed.dataset.plate("plate-002").folder.rename(tmp_path / "gone")
        assert f"reported for segments/{SEGMENTER}: 1 ({FIRST})" in repair(changed)
        assert differences(changed) == []

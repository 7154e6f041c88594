"""Dagster's events are made to agree with the disk, after either was lost or altered."""

import shutil

import dagster as dg
import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import Graph, draw_scan, make_dataset
from support.made_results import GivenVectors, measure, measure_groundwork, run_instrument

from atlas_assets.graph.checks.events import EVENTS_CHECK
from atlas_assets.graph.partitions import PLATES
from atlas_assets.graph.recorded.differences import find_differences
from atlas_assets.in_process.repairing import JOB_NAME, repair_events
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans

EMBEDDINGS, SEGMENTS = f"embeddings/{EMBEDDER}", f"segments/{SEGMENTER}"
GROUNDWORK = ("plate/input_image", "plate/input_color_histograms")
PLATE_ASSETS = ("plate/manifest", *GROUNDWORK, EMBEDDINGS, SEGMENTS)
VECTORS = GivenVectors({f"plate-00{number}": (float(number), 1.0, 0.0) for number in (1, 2, 3)})


@pytest.fixture
def graph(tmp_path, fakes, instance) -> Graph:
    """Three plates, which are made on disk; nothing is in Dagster."""
    registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    graph = Graph(make_dataset(tmp_path, "red", "green", "blue"), registry, instance)
    measure_groundwork(graph.dataset)
    for key in (EMBEDDER, SEGMENTER):
        run_instrument(graph.dataset, registry, key)
    return graph


@pytest.fixture
def agreeing(graph) -> Graph:
    """The same, with their events."""
    repair(graph)
    return graph


def repair(graph: Graph, *, is_dry: bool = False) -> list[str]:
    return list(repair_events(graph.instance, graph.dataset, graph.registry, is_dry=is_dry))


def differences(graph: Graph) -> list[str]:
    return list(find_differences(graph.instance, graph.dataset, graph.registry).lines())


def statuses(graph: Graph, name: str) -> list[str | None]:
    """The status that the UI shows of each partition, in order."""
    key, plate_ids = dg.AssetKey(name.split("/")), graph.instance.get_dynamic_partitions("plates")
    found = graph.instance.get_status_by_partition(key, plate_ids, PLATES) or {}
    return [status.value if status else None for status in (found.get(plate_id) for plate_id in plate_ids)]


def staleness(graph: Graph, name: str, plate_id: str) -> str:
    """The status of a partition that the UI shows for its data version: FRESH, STALE or MISSING."""
    from dagster._core.definitions.data_version import CachingStaleStatusResolver
    from dagster._core.loader import LoadingContextForTest

    resolver = CachingStaleStatusResolver(
        graph.instance, graph.definitions.resolve_asset_graph(), LoadingContextForTest(graph.instance)
    )
    return resolver.get_status(dg.AssetKey(name.split("/")), plate_id).value


def remove_run(dataset: Dataset, plate_id: str, name: str) -> None:
    """Deletes the run folder of a plate that has a file of this name."""
    (file,) = dataset.plate(plate_id).runs_folder.glob(f"*/{name}")
    shutil.rmtree(file.parent)


class TestLostEvents:
    """The history is gone, or the dataset came from another machine: Dagster knows nothing of what is on disk."""

    def test_partitions_and_every_result_are_reported(self, graph):
        lines = repair(graph)
        assert lines[0] == "added partitions: 3 (plate-001, plate-002, plate-003)"
        assert f"reported for {EMBEDDINGS}: 3 (plate-001, plate-002, plate-003)" in lines
        for name in PLATE_ASSETS:
            assert graph.materialized(name) == {"plate-001", "plate-002", "plate-003"}, name
        assert differences(graph) == []

    def test_a_second_repair_does_nothing(self, agreeing):
        events = {name: len(agreeing.events(name)) for name in PLATE_ASSETS}
        assert repair(agreeing) == []
        assert {name: len(agreeing.events(name)) for name in PLATE_ASSETS} == events

    def test_a_dry_run_says_the_same_and_records_nothing(self, graph):
        lines = repair(graph, is_dry=True)
        assert graph.instance.get_dynamic_partitions("plates") == []
        assert not any(graph.materialized(name) for name in PLATE_ASSETS)
        assert repair(graph) == lines

    def test_the_events_have_the_versions_and_the_metadata_of_those_that_a_run_yields(self, agreeing):
        """The run reuses what is on disk, and so yields an event of the same result."""
        agreeing.materialize(*PLATE_ASSETS)
        for name in PLATE_ASSETS:
            (reported, yielded) = [event for plate_id, event in agreeing.events(name) if plate_id == "plate-002"]
            assert reported.tags
            assert yielded.tags
            for tag in ("dagster/data_version", "dagster/code_version"):
                assert reported.tags[tag] == yielded.tags[tag], name
            inputs = {tag for tag in yielded.tags if tag.startswith("dagster/input_")}
            assert inputs == {tag for tag in reported.tags if tag.startswith("dagster/input_")}
            own = {key: value for key, value in reported.metadata.items() if key not in ("recorded", "reused")}
            assert own == {key: value for key, value in yielded.metadata.items() if key != "reused"}, name

    def test_what_is_reported_is_fresh_and_what_is_of_an_earlier_version_stale(self, graph):
        graph.registry = fake_registry(fake_spec(EMBEDDER, gain=2.0), fake_spec(SEGMENTER))
        repair(graph)
        assert staleness(graph, SEGMENTS, "plate-001") == "FRESH"
        assert staleness(graph, GROUNDWORK[0], "plate-001") == "FRESH"
        assert staleness(graph, EMBEDDINGS, "plate-001") == "STALE"
        assert differences(graph) == []

    def test_a_result_of_a_version_that_no_event_has_is_reported(self, agreeing):
        agreeing.registry = fake_registry(fake_spec(EMBEDDER, gain=2.0), fake_spec(SEGMENTER))
        assert differences(agreeing) == [], "events and disk have the same, earlier version"
        measure(agreeing.dataset, agreeing.registry, EMBEDDER, VECTORS, ["plate-003"])
        assert differences(agreeing) == [f"{EMBEDDINGS}: on disk, without an event of that version: 1 (plate-003)"]
        repair(agreeing)
        assert staleness(agreeing, EMBEDDINGS, "plate-003") == "FRESH"
        assert staleness(agreeing, EMBEDDINGS, "plate-001") == "STALE"


class TestLostResults:
    """A run folder was deleted: Dagster shows what is not there."""

    @pytest.fixture
    def deleted(self, agreeing) -> Graph:
        remove_run(agreeing.dataset, "plate-002", "embeddings.parquet")
        return agreeing

    def test_it_is_found_and_shown_as_failed_with_the_reason_and_the_command(self, deleted):
        assert differences(deleted) == [f"{EMBEDDINGS}: shown as materialised, not on disk: 1 (plate-002)"]
        assert repair(deleted) == [
            f"marked as failed, since it is not on disk, for {EMBEDDINGS}: 1 (plate-002)",
            f"To make them: atlas run 'key:\"{EMBEDDINGS}\"' --missing",
        ]
        assert statuses(deleted, EMBEDDINGS) == ["MATERIALIZED", "FAILED", "MATERIALIZED"]
        assert statuses(deleted, SEGMENTS) == ["MATERIALIZED"] * 3
        observations = deleted.instance.fetch_observations(dg.AssetKey(EMBEDDINGS.split("/")), limit=9).records
        (observation,) = [record.event_log_entry.asset_observation for record in observations]
        assert observation
        assert observation.partition == "plate-002"
        assert observation.metadata["try_again"].value == f"atlas run 'key:\"{EMBEDDINGS}\"' --plates plate-002"
        (run,) = [run for run in deleted.instance.get_runs() if run.job_name == JOB_NAME]
        assert run.status == dg.DagsterRunStatus.FAILURE
        assert differences(deleted) == []
        assert repair(deleted) == []

    def test_once_it_is_made_again_it_is_materialised(self, deleted):
        repair(deleted)
        assert deleted.materialize(EMBEDDINGS).success
        assert statuses(deleted, EMBEDDINGS) == ["MATERIALIZED"] * 3
        assert differences(deleted) == []

    def test_a_folder_that_comes_back_from_a_copy_is_reported_again(self, agreeing, tmp_path):
        runs = agreeing.dataset.plate("plate-002").runs_folder
        shutil.copytree(runs, tmp_path / "copy")
        remove_run(agreeing.dataset, "plate-002", "embeddings.parquet")
        repair(agreeing)
        shutil.copytree(tmp_path / "copy", runs, dirs_exist_ok=True)
        assert differences(agreeing) == [f"{EMBEDDINGS}: on disk, without an event of that version: 1 (plate-002)"]
        repair(agreeing)
        assert statuses(agreeing, EMBEDDINGS) == ["MATERIALIZED"] * 3
        assert differences(agreeing) == []

    def test_a_plate_whose_files_cannot_be_read_is_left_alone(self, agreeing):
        (manifest,) = [
            path.parent / "run.manifest.json"
            for path in agreeing.dataset.plate("plate-001").runs_folder.glob("*/embeddings.parquet")
        ]
        manifest.write_text("{}")
        assert differences(agreeing) == []


class TestLostPlates:
    def test_the_partition_of_a_deleted_plate_is_removed(self, agreeing):
        shutil.rmtree(agreeing.dataset.plate("plate-002").folder)
        assert differences(agreeing) == ["partitions of plates that are not registered: 1 (plate-002)"]
        assert repair(agreeing) == ["removed the partitions of plates that are not registered: 1 (plate-002)"]
        assert agreeing.instance.get_dynamic_partitions("plates") == ["plate-001", "plate-003"]
        assert differences(agreeing) == []

    def test_another_scan_under_the_same_id_has_only_events_of_its_own(self, agreeing, tmp_path):
        """Its partition comes back with the old plate's events."""
        shutil.rmtree(agreeing.dataset.plate("plate-003").folder)
        repair(agreeing)
        index = tmp_path / "new" / "plates.csv"
        draw_scan(tmp_path / "new" / "other.png", (1, 200, 3), (200, 100))
        index.write_text("file,plate\nother.png,3\n")
        list(register_scans(agreeing.dataset, [tmp_path / "new"]))
        repair(agreeing)
        assert statuses(agreeing, "plate/manifest") == ["MATERIALIZED"] * 3
        assert statuses(agreeing, EMBEDDINGS) == ["MATERIALIZED", "MATERIALIZED", "FAILED"]
        assert statuses(agreeing, GROUNDWORK[0]) == ["MATERIALIZED", "MATERIALIZED", "FAILED"]
        assert differences(agreeing) == []

    def test_an_empty_dataset_is_most_likely_the_wrong_one(self, agreeing, tmp_path):
        empty = Dataset(tmp_path / "elsewhere")
        empty.ensure()
        with pytest.raises(ValueError, match=r"no plate is registered, and Dagster knows 3, such as plate-001\. Fix: "):
            list(repair_events(agreeing.instance, empty, agreeing.registry))
        assert len(agreeing.instance.get_dynamic_partitions("plates")) == 3


def test_the_check_of_the_ledger_fails_until_the_events_are_repaired(agreeing):
    def evaluated() -> dg.AssetCheckEvaluation:
        result = agreeing.materialize("ledger/completeness")
        (found,) = [one for one in result.get_asset_check_evaluations() if one.check_name == EVENTS_CHECK]
        return found

    assert evaluated().passed
    remove_run(agreeing.dataset, "plate-001", "segments.parquet")
    failed = evaluated()
    assert (failed.passed, failed.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert failed.description == f"{SEGMENTS}: shown as materialised, not on disk: 1 (plate-001)"
    assert failed.metadata["fix"].value == "atlas repair-events"
    repair(agreeing)
    assert evaluated().passed

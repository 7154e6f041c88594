"""Where a partition is a shard of three plates: an event of each shard that is done, and of each plate that failed."""

from collections.abc import Sequence

import dagster as dg
import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import COLOURS, Graph, alter_source, draw_scan, make_dataset, run_folders
from support.made_results import reseal
from support.sharded import SIZE, declare

from atlas_assets.automation.work_lists import WorkList, run_config_of, tags_of
from atlas_assets.graph.groundwork import KEYS as GROUNDWORK
from atlas_assets.graph.partitions import (
    BY_PLATE,
    SHARDS,
    ByShard,
    PartitionsDiffer,
    add_missing_partitions,
    missing_partitions,
    read_partitioning,
)
from atlas_assets.graph.plate_step.checks import unsound_plates
from atlas_assets.graph.plates import MANIFEST_KEY, report_registered, untried_plates
from atlas_assets.in_process.materializing import materialize
from atlas_resources.plates.intake.registration import register_scans

EMBEDDINGS, SEGMENTS = dg.AssetKey(["embeddings", EMBEDDER]), dg.AssetKey(["segments", SEGMENTER])
FIRST, SECOND, THIRD = "shard-000001", "shard-000002", "shard-000003"
NAMES = ["red", "green", "blue", "ochre", "magenta", "teal", "brown"]
"""Of seven plates in three shards, plate-005 is magenta, which the instruments refuse."""


@pytest.fixture
def sharded(tmp_path, fakes, instance, monkeypatch) -> Graph:
    declare(monkeypatch, tmp_path / "project", "shards")
    graph = Graph(make_dataset(tmp_path, *NAMES), fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER)), instance)
    report_registered(instance, graph.dataset)
    return graph


def plate(*numbers: int) -> list[str]:
    return [f"plate-{number:03d}" for number in numbers]


def shards(graph: Graph) -> ByShard:
    return ByShard(graph.dataset, SIZE)


def run(graph: Graph, keys: Sequence[dg.AssetKey], plate_ids: Sequence[str], **tags: str) -> dg.ExecuteInProcessResult:
    """One run of a work list, as automation requests it."""
    work = WorkList.of(keys, plate_ids).on(shards(graph))
    return _execute(graph, keys, {**tags_of(work), **tags}, run_config_of(work))


def run_shards(graph: Graph, keys: Sequence[dg.AssetKey], first: str, last: str) -> dg.ExecuteInProcessResult:
    """One run over a range of shards, as a backfill from the UI."""
    tags = {"dagster/asset_partition_range_start": first, "dagster/asset_partition_range_end": last}
    return _execute(graph, keys, tags, {})


def _execute(graph: Graph, keys: Sequence[dg.AssetKey], tags: dict, config: dict) -> dg.ExecuteInProcessResult:
    return graph.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=graph.instance, asset_selection=list(keys), tags=tags, run_config=config, raise_on_error=False
    )


def statuses(graph: Graph, key: dg.AssetKey) -> dict[str, str | None]:
    """What the UI shows of each shard."""
    found = graph.instance.get_status_by_partition(key, [FIRST, SECOND, THIRD], SHARDS) or {}
    return {name: status.value if status else None for name, status in found.items()}


def observed(graph: Graph, key: dg.AssetKey) -> list[tuple[str | None, str | None]]:
    """The partition and the text of each observation, oldest first."""
    records = graph.instance.fetch_observations(key, limit=100, ascending=True).records
    events = [record.asset_observation for record in records]
    return [(event.partition, event.description) for event in events if event]


def last(graph: Graph, key: dg.AssetKey, shard: str) -> dg.AssetMaterialization:
    return [event for partition, event in graph.events(key.to_user_string()) if partition == shard][-1]


def numbers(event: dg.AssetMaterialization) -> dict[str, object]:
    names = ("plates", "made", "reused", "done_before", "withdrawn")
    return {name: event.metadata[name].value for name in names if event.metadata[name].value}


def stale_status(graph: Graph, key: dg.AssetKey, shard: str) -> str:
    from dagster._core.definitions.data_version import CachingStaleStatusResolver
    from dagster._core.loader import LoadingContextForTest

    resolver = CachingStaleStatusResolver(
        graph.instance, graph.definitions.resolve_asset_graph(), LoadingContextForTest(graph.instance)
    )
    return resolver.get_status(key, shard).value


class TestPartitions:
    def test_seven_plates_are_three_partitions(self, sharded):
        assert list(sharded.instance.get_dynamic_partitions("shards")) == [FIRST, SECOND, THIRD]
        assert sharded.instance.get_dynamic_partitions("plates") == []
        assert shards(sharded).plates_of([THIRD, FIRST]) == {THIRD: plate(7), FIRST: plate(1, 2, 3)}
        assert shards(sharded).keys_of(["plate-004", "plate-099"]) == {"plate-004": SECOND}

    def test_a_plate_is_its_own_partition_in_the_ordinary_case(self):
        assert (
            BY_PLATE.keys_of(plate(2, 1))
            == BY_PLATE.assigned(plate(2, 1))
            == {"plate-002": "plate-002", "plate-001": "plate-001"}
        )
        assert BY_PLATE.plates_of(plate(2)) == {"plate-002": ["plate-002"]}
        assert BY_PLATE.version_of({"plate-002": "1-abc"}) == "1-abc"

    def test_a_deleted_plate_leaves_its_shard_and_moves_no_other(self, sharded):
        sharded.dataset.plate("plate-002").folder.rename(sharded.dataset.root / "gone")
        assert shards(sharded).plates_of([FIRST, SECOND]) == {FIRST: plate(1, 3), SECOND: plate(4, 5, 6)}

    def test_the_version_of_a_shard_is_that_of_its_plates(self, sharded):
        version_of = shards(sharded).version_of
        assert version_of({"a": "1", "b": "2"}) == version_of({"b": "2", "a": "1"}) != version_of({"a": "2", "b": "1"})
        assert version_of({"a": "1", "b": "2"}).startswith("2-")

    def test_runs_from_the_ui_have_about_as_many_plates(self, sharded):
        assert read_partitioning().partitions_per_run(500) == 500 // SIZE
        assert read_partitioning().partitions_per_run(1) == 1
        policies = {
            key.to_user_string(): sharded.definitions.resolve_asset_graph().get(key).backfill_policy
            for key in (GROUNDWORK[0], EMBEDDINGS)
        }
        assert all(
            policy and policy.max_partitions_per_run in (500 // SIZE, 200 // SIZE) for policy in policies.values()
        )

    def test_a_setting_that_differs_from_dagsters_partitions_is_refused_with_the_fix(
        self, sharded, tmp_path, monkeypatch
    ):
        declare(monkeypatch, tmp_path / "project", "plates")
        message = r"expected `partitions: shards`, which Dagster has .* found plates\. Fix: `atlas change-partitions`"
        for ask in (missing_partitions, add_missing_partitions, report_registered):
            with pytest.raises(PartitionsDiffer, match=message):
                ask(sharded.instance, sharded.dataset)
        assert sharded.instance.get_dynamic_partitions("plates") == []


class TestMaterialisation:
    def test_a_shard_from_the_ui_is_all_of_its_plates(self, sharded):
        assert run_shards(sharded, [*GROUNDWORK, EMBEDDINGS], FIRST, FIRST).success
        for key in (*GROUNDWORK, EMBEDDINGS):
            assert [partition for partition, _ in sharded.events(key.to_user_string())] == [FIRST]
            assert numbers(last(sharded, key, FIRST)) == {"plates": 3, "made": 3}
        assert [len(run_folders(sharded.dataset, one)) for one in plate(1, 2, 3, 4)] == [1, 1, 1, 0]
        assert statuses(sharded, EMBEDDINGS) == {FIRST: "MATERIALIZED", SECOND: None, THIRD: None}

    def test_the_event_shows_pictures_of_some_plates(self, sharded):
        run_shards(sharded, GROUNDWORK, FIRST, FIRST)
        shown = last(sharded, GROUNDWORK[0], FIRST).metadata
        assert all(f"![{one}](data:image/" in str(shown["samples"].value) for one in plate(1, 2, 3))
        assert str(shown["glance"].value).startswith("![plate-001](data:image/")

    def test_a_run_of_one_partition_is_its_shard(self, sharded):
        assert _execute(sharded, [SEGMENTS], {"dagster/partition": THIRD}, {}).success
        assert numbers(last(sharded, SEGMENTS, THIRD)) == {"plates": 1, "made": 1}

    def test_a_shard_is_materialised_when_its_last_plate_is_done_whichever_run_made_it(self, sharded):
        assert run(sharded, [SEGMENTS], plate(1, 2)).success
        assert sharded.events(SEGMENTS.to_user_string()) == []
        assert observed(sharded, SEGMENTS) == [(FIRST, "plates done: 2; not done: 1")]
        assert run(sharded, [SEGMENTS], plate(3)).success
        assert numbers(last(sharded, SEGMENTS, FIRST)) == {"plates": 3, "made": 1, "done_before": 2}

    def test_a_work_list_over_two_shards_materialises_what_is_whole(self, sharded):
        assert run(sharded, [SEGMENTS], plate(1, 2, 3, 4, 7)).success
        assert statuses(sharded, SEGMENTS) == {FIRST: "MATERIALIZED", SECOND: None, THIRD: "MATERIALIZED"}

    def test_a_second_run_reuses_every_plate_and_has_the_same_version(self, sharded):
        run_shards(sharded, [SEGMENTS], FIRST, FIRST)
        version = last(sharded, SEGMENTS, FIRST).tags
        run_shards(sharded, [SEGMENTS], FIRST, FIRST)
        assert numbers(last(sharded, SEGMENTS, FIRST)) == {"plates": 3, "reused": 3}
        assert last(sharded, SEGMENTS, FIRST).tags == version

    def test_an_event_is_fresh_until_its_shard_has_another_plate(self, sharded, tmp_path):
        run_shards(sharded, [*GROUNDWORK, SEGMENTS], FIRST, THIRD)
        assert stale_status(sharded, SEGMENTS, THIRD) == "FRESH"
        list(register_scans(sharded.dataset, [draw_scan(tmp_path / "scans" / "99-new.png", COLOURS["plum"])]))
        assert report_registered(sharded.instance, sharded.dataset) == plate(7, 8)
        assert stale_status(sharded, SEGMENTS, THIRD) == "STALE"
        assert run(sharded, [SEGMENTS], plate(8)).success
        assert stale_status(sharded, SEGMENTS, THIRD) == "FRESH"
        assert numbers(last(sharded, SEGMENTS, THIRD)) == {"plates": 2, "made": 1, "done_before": 1}

    def test_the_manifests_of_a_shard_are_one_event(self, sharded):
        assert [partition for partition, _ in sharded.events("plate/manifest")] == [FIRST, SECOND, THIRD]
        assert untried_plates(sharded.instance, sharded.dataset.plate_ids(), shards(sharded)) == []
        assert report_registered(sharded.instance, sharded.dataset) == []

    def test_a_plate_whose_source_changed_leaves_its_shard_to_a_run(self, tmp_path, fakes, instance, monkeypatch):
        declare(monkeypatch, tmp_path / "project", "shards")
        dataset = make_dataset(tmp_path, *NAMES)
        alter_source(dataset, "plate-002")
        assert report_registered(instance, dataset) == plate(4, 5, 6, 7)
        assert untried_plates(instance, dataset.plate_ids(), ByShard(dataset, SIZE)) == plate(1, 2, 3)


class TestFailure:
    REASON = "ArithmeticError (compute): magenta cannot be measured"

    def test_a_shard_with_a_failed_plate_has_failed_and_names_the_plate(self, sharded):
        assert not run_shards(sharded, [SEGMENTS], FIRST, SECOND).success
        assert statuses(sharded, SEGMENTS) == {FIRST: "MATERIALIZED", SECOND: "FAILED", THIRD: None}
        assert observed(sharded, SEGMENTS) == [(SECOND, f"plate-005: {self.REASON}")]
        (event,) = [one.asset_observation for one in sharded.instance.fetch_observations(SEGMENTS, limit=9).records]
        assert {name: value.value for name, value in event.metadata.items()} == {
            "plate": "plate-005",
            "failed": self.REASON,
            "try_again": f"atlas run 'key:\"segments/{SEGMENTER}\"' --plates plate-005",
        }
        assert len(run_folders(sharded.dataset, "plate-006")) == 1

    def test_the_steps_failure_names_plates(self, sharded):
        result = run_shards(sharded, [SEGMENTS], SECOND, SECOND)
        (failure,) = [event.step_failure_data.user_failure_data for event in result.all_events if event.is_step_failure]
        assert failure
        assert failure.description == f"1 of 3 plates failed; the others are done.\nplate-005: {self.REASON}"

    def test_a_retry_measures_only_the_failed_plate_and_then_the_shard_is_materialised(self, sharded, monkeypatch):
        alter_source(sharded.dataset, "plate-004")
        good = sharded.dataset.plate("plate-004").source_path()
        run_shards(sharded, GROUNDWORK, FIRST, THIRD)
        assert statuses(sharded, GROUNDWORK[0])[SECOND] == "FAILED"
        good.write_bytes(good.read_bytes().removesuffix(b"altered"))
        layers = materialize(
            sharded.registry, sharded.dataset, sharded.instance, selection="@groundwork", which="failed"
        )
        assert [layer.is_success for layer in layers] == [True]
        for key in GROUNDWORK:
            assert numbers(last(sharded, key, SECOND)) == {"plates": 3, "made": 1, "done_before": 2}
            assert statuses(sharded, key)[SECOND] == "MATERIALIZED"

    def test_a_plate_that_fails_again_keeps_the_shard_failed(self, sharded):
        run_shards(sharded, [SEGMENTS], SECOND, SECOND)
        assert not run(sharded, [SEGMENTS], plate(5)).success
        assert statuses(sharded, SEGMENTS)[SECOND] == "FAILED"
        assert [len(run_folders(sharded.dataset, one)) for one in plate(4, 5, 6)] == [1, 2, 1]

    def test_a_run_over_other_plates_of_the_shard_does_not_make_it_green_and_names_the_plate(self, sharded):
        """Dagster shows the last run that was to make a partition: this one succeeded, and the shard is missing."""
        run_shards(sharded, [SEGMENTS], SECOND, SECOND)
        assert run(sharded, [SEGMENTS], plate(4)).success
        assert statuses(sharded, SEGMENTS)[SECOND] is None
        assert observed(sharded, SEGMENTS)[-1] == (SECOND, "plates done: 2; not done: 1; 1 of them failed before")
        event = sharded.instance.fetch_observations(SEGMENTS, limit=1).records[0].asset_observation
        assert event.metadata["failures"].value == "- plate-005: magenta cannot be measured"

    def test_an_unknown_plate_fails_by_name_and_has_no_partition(self, sharded):
        assert not run(sharded, [SEGMENTS], [*plate(1, 2, 3), "plate-099"]).success
        assert statuses(sharded, SEGMENTS)[FIRST] == "MATERIALIZED"
        assert observed(sharded, SEGMENTS) == []

    def test_a_list_beyond_the_partition_of_the_run_is_refused(self, sharded):
        work = WorkList.of([SEGMENTS], plate(1, 4))
        assert not _execute(sharded, [SEGMENTS], {"dagster/partition": FIRST}, run_config_of(work)).success
        assert run_folders(sharded.dataset, "plate-001") == []


class TestSoundness:
    @pytest.fixture
    def unsound(self, sharded):
        """Segments of plates 1 to 3; a row of plate-002 was altered since, and the run was over again."""
        run_shards(sharded, [SEGMENTS], FIRST, FIRST)
        (rows,) = sharded.dataset.plate("plate-002").runs_folder.glob("*/segments.parquet")
        rows.chmod(0o644)
        rows.write_bytes(rows.read_bytes() + b"altered")
        run_shards(sharded, [SEGMENTS], FIRST, FIRST)
        return sharded

    def test_a_shard_with_an_unsound_plate_names_it(self, unsound):
        assert unsound_plates(unsound.instance, SEGMENTS, shards(unsound)) == {"plate-002"}

    def test_a_run_over_other_plates_of_the_shard_does_not_clear_it(self, unsound):
        run(unsound, [SEGMENTS], plate(1))
        assert unsound_plates(unsound.instance, SEGMENTS, shards(unsound)) == {"plate-002"}

    def test_a_run_over_the_plate_does(self, unsound):
        (rows,) = unsound.dataset.plate("plate-002").runs_folder.glob("*/segments.parquet")
        rows.write_bytes(rows.read_bytes().removesuffix(b"altered"))
        reseal(rows)
        run(unsound, [SEGMENTS], plate(2))
        assert unsound_plates(unsound.instance, SEGMENTS, shards(unsound)) == set()


def test_the_terminal_makes_everything_and_names_the_plate_that_failed(sharded):
    layers = list(materialize(sharded.registry, sharded.dataset, sharded.instance))
    assert [(layer.name, layer.is_success) for layer in layers] == [
        ("plates", True),
        ("instruments", False),
        ("ledgers", True),
    ]
    assert statuses(sharded, SEGMENTS) == {FIRST: "MATERIALIZED", SECOND: "FAILED", THIRD: "MATERIALIZED"}
    assert (
        statuses(sharded, MANIFEST_KEY)
        == statuses(sharded, GROUNDWORK[1])
        == dict.fromkeys([FIRST, SECOND, THIRD], "MATERIALIZED")
    )

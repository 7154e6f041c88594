"""Sensors over a library of shards ask for plates, under the partition of their shard."""

import shutil

import dagster as dg
import pytest
from support.automated import ALL, EMBEDDINGS, GROUNDWORK, SEGMENTS, Automation, lists_of, requested
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import COLOURS, Graph, alter_source, draw_scan, make_dataset
from support.sharded import declare

from atlas_assets.automation.under_way import plates_under_way
from atlas_assets.graph.partitions import SHARDS, ByShard, add_missing_partitions
from atlas_assets.graph.plates import MANIFEST_KEY, report_registered
from atlas_resources.files.project import SETTINGS_FOLDER

FIRST, SECOND = "shard-000001", "shard-000002"
OP = f"segments__{SEGMENTER}"


@pytest.fixture
def instance(tmp_path):
    """Dagster on disk with the project's settings, because a schedule's context opens the instance itself."""
    home = tmp_path / "dagster"
    home.mkdir()
    shutil.copy(SETTINGS_FOLDER / "dagster.yaml", home)
    with dg.DagsterInstance.from_config(str(home)) as made:
        yield made


@pytest.fixture
def automation(tmp_path, fakes, instance, monkeypatch) -> Automation:
    """Five plates in two shards of three, known to Dagster, of which nothing is measured."""
    declare(monkeypatch, tmp_path / "project", "shards")
    registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    graph = Graph(make_dataset(tmp_path, "red", "green", "blue", "ochre", "teal"), registry, instance)
    report_registered(instance, graph.dataset)
    return Automation(graph, registry)


def statuses(automation: Automation, key: dg.AssetKey) -> list[str | None]:
    found = automation.graph.instance.get_status_by_partition(key, [FIRST, SECOND], SHARDS) or {}
    return [status.value if status else None for status in found.values()]


def shown(request: dg.RunRequest) -> tuple[str, str]:
    """The range of partitions that Dagster sees."""
    return tuple(request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))  # type: ignore[return-value] # two


def test_missing_plates_are_a_work_list_under_the_shard_of_the_first(automation):
    requests = automation.tick("fill_missing")
    assert requested(requests) == [({*GROUNDWORK, EMBEDDINGS, SEGMENTS}, ALL)]
    assert shown(requests[0]) == (FIRST, FIRST)
    assert automation.execute(requests) == [True]
    for key in (*GROUNDWORK, EMBEDDINGS, SEGMENTS):
        assert statuses(automation, key) == ["MATERIALIZED", "MATERIALIZED"]
    assert automation.idle_tick("fill_missing").startswith("nothing is missing")


def test_a_failed_plate_is_left_to_the_night_which_asks_for_it_alone(automation):
    dataset = automation.graph.dataset
    source = dataset.plate("plate-004").source_path()
    alter_source(dataset, "plate-004")
    automation.execute(automation.tick("fill_missing"))
    assert statuses(automation, SEGMENTS) == ["MATERIALIZED", "FAILED"]
    assert automation.idle_tick("fill_missing").startswith("nothing is missing; failed plates left")
    source.write_bytes(source.read_bytes().removesuffix(b"altered"))
    requests = automation.night(1)
    assert {tuple(plates) for request in requests for plates in lists_of(request).values()} == {("plate-004",)}
    assert {shown(request) for request in requests} == {(SECOND, SECOND)}
    automation.execute(requests)
    assert statuses(automation, SEGMENTS) == ["MATERIALIZED", "MATERIALIZED"]


@pytest.mark.parametrize("tags", [{"dagster/partition": SECOND}, {
    "dagster/asset_partition_range_start": SECOND, "dagster/asset_partition_range_end": SECOND,
}])  # fmt: skip
def test_what_a_run_over_a_shard_measures_is_not_requested_again(automation, tags):
    graph = automation.graph
    job = graph.definitions.resolve_implicit_global_asset_job_def()
    graph.instance.create_run_for_job(
        job, status=dg.DagsterRunStatus.STARTED, tags=tags, asset_selection=frozenset({SEGMENTS})
    )
    under_way = plates_under_way(graph.instance, ByShard(graph.dataset, 3))
    assert under_way == {SEGMENTS: {"plate-004", "plate-005"}}
    lists = [lists_of(request) for request in automation.tick("fill_missing")]
    assert [one[OP] for one in lists if OP in one] == [["plate-001", "plate-002", "plate-003"]]


class TestNewScans:
    def stage(self, automation: Automation, *names: str) -> None:
        for name in names:
            draw_scan(automation.graph.dataset.staging_dir / f"{name}.png", COLOURS[name])

    def tick(self, automation: Automation) -> list[dg.RunRequest]:
        """What the sensor requests, once the daemon has added the partitions."""
        result = automation._evaluate("register_new_scans")
        assert isinstance(result, dg.SensorResult)
        for request in result.dynamic_partitions_requests or []:
            assert isinstance(request, dg.AddDynamicPartitionsRequest)
            automation.graph.instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        return list(result.run_requests or [])

    def test_a_new_plate_of_a_shard_with_others_is_a_work_list(self, automation):
        self.stage(automation, "plum")
        (request,) = self.tick(automation)
        assert shown(request) == (SECOND, SECOND)
        assert set(map(tuple, lists_of(request).values())) == {("plate-006",)}
        assert automation.graph.instance.get_dynamic_partitions("shards") == [FIRST, SECOND]

    def test_shards_that_are_new_are_a_range(self, automation):
        self.stage(automation, "gold", "ink", "olive", "plum", "rose")
        old, new = self.tick(automation)
        assert set(map(tuple, lists_of(old).values())) == {("plate-006",)}
        assert shown(new) == ("shard-000003", "shard-000004")
        assert new.run_config == {}
        assert automation.execute([old, new]) == [True, True]
        ids = automation.graph.dataset.plate_ids()
        assert automation.graph.materialized("plate/manifest") == {FIRST, SECOND, "shard-000003", "shard-000004"}
        assert add_missing_partitions(automation.graph.instance, automation.graph.dataset) == []
        assert len(ids) == 10

    def test_manifests_of_partitions_that_were_never_tried_come_first(self, tmp_path, fakes, instance, monkeypatch):
        declare(monkeypatch, tmp_path / "project", "shards")
        graph = Graph(make_dataset(tmp_path, "red", "green", "blue", "ochre"), fake_registry(), instance)
        add_missing_partitions(instance, graph.dataset)
        automation = Automation(graph, fake_registry())
        (request,) = automation.tick("fill_missing")
        assert requested([request]) == [({MANIFEST_KEY}, ["plate-001", "plate-002", "plate-003", "plate-004"])]
        assert shown(request) == (FIRST, FIRST)
        assert automation.execute([request]) == [True]
        assert statuses(automation, MANIFEST_KEY) == ["MATERIALIZED", "MATERIALIZED"]

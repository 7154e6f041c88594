"""A work list is one run over exactly its plates. Dagster shows each plate's own result."""

from collections.abc import Sequence

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import Graph, alter_source, make_dataset, run_folders

from atlas_assets.automation.work_lists import WorkList, run_config_of, tags_of
from atlas_assets.graph.groundwork import HISTOGRAMS_KEY, INPUT_IMAGE_KEY
from atlas_assets.graph.partitions import PLATES, add_missing_partitions
from atlas_assets.in_process.materializing import materialize
from atlas_assets.roles.groundwork import MEASURE_VERSION

SEGMENTS, EMBEDDINGS = dg.AssetKey(["segments", SEGMENTER]), dg.AssetKey(["embeddings", EMBEDDER])


@pytest.fixture
def graph(tmp_path, fakes, instance):
    """Nine plates; plate-004 and plate-008 are magenta, which the instruments refuse."""
    names = ["red", "green", "blue", "magenta", "ochre", "teal", "brown", "magenta", "rose"]
    registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    graph = Graph(make_dataset(tmp_path, *names), registry, instance)
    add_missing_partitions(instance, graph.dataset)
    return graph


def run(graph: Graph, keys: Sequence[dg.AssetKey], *plate_ids: str) -> dg.ExecuteInProcessResult:
    """One run of a work list."""
    work = WorkList.of(keys, plate_ids)
    return graph.definitions.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=graph.instance,
        asset_selection=list(work.keys),
        tags=tags_of(work),
        run_config=run_config_of(work),
        raise_on_error=False,
    )


def failed(graph: Graph, key: dg.AssetKey) -> set[str]:
    """The plates that Dagster shows as failed."""
    status = get_and_update_asset_status_cache_value(graph.instance, key, PLATES, graph.instance)
    assert status is not None
    return set(status.deserialize_failed_partition_subsets(PLATES).get_partition_keys())


def materialized(graph: Graph, key: dg.AssetKey) -> set[str]:
    return graph.instance.get_materialized_partitions(key)


def versions(graph: Graph, key: dg.AssetKey) -> dict[str | None, str]:
    """Each plate's data version in Dagster."""
    return {
        plate_id: (event.tags or {})["dagster/data_version"] for plate_id, event in graph.events(key.to_user_string())
    }


def summary(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [event for event in result.all_events if event.is_step_failure]
    failure = event.step_failure_data.user_failure_data
    assert failure is not None
    return str(failure.description)


def test_only_the_scattered_plates_are_measured_in_one_run(graph):
    result = run(graph, [SEGMENTS], "plate-002", "plate-005", "plate-009")
    assert result.success
    assert materialized(graph, SEGMENTS) == {"plate-002", "plate-005", "plate-009"}
    assert failed(graph, SEGMENTS) == set()
    assert [len(run_folders(graph.dataset, plate_id)) for plate_id in graph.dataset.plate_ids()] == [
        *[0, 1, 0],
        *[0, 1, 0],
        *[0, 0, 1],
    ]
    assert len(graph.instance.get_run_records()) == 1


def test_exactly_the_plates_that_failed_are_shown_as_failed(graph):
    result = run(graph, [SEGMENTS], "plate-002", "plate-004", "plate-006", "plate-008")
    assert not result.success
    assert summary(result) == (
        "2 of 4 plates failed; the others are materialised.\n"
        "plate-004: ArithmeticError (compute): magenta cannot be measured\n"
        "plate-008: ArithmeticError (compute): magenta cannot be measured"
    )
    assert failed(graph, SEGMENTS) == {"plate-004", "plate-008"}
    assert materialized(graph, SEGMENTS) == {"plate-002", "plate-006"}


def test_a_failed_first_plate_is_shown_as_failed_and_the_rest_as_made(graph):
    assert not run(graph, [SEGMENTS], "plate-004", "plate-001").success
    assert failed(graph, SEGMENTS) == {"plate-004"}
    assert materialized(graph, SEGMENTS) == {"plate-001"}


def test_a_list_in_any_order_measures_each_plate_once(graph):
    assert run(graph, [SEGMENTS], "plate-009", "plate-001", "plate-005", "plate-001").success
    assert [plate_id for plate_id, _ in graph.events(SEGMENTS.to_user_string())] == [
        "plate-009",
        "plate-001",
        "plate-005",
    ]


def test_a_plate_has_the_data_version_of_its_own_source(graph):
    run(graph, [INPUT_IMAGE_KEY, HISTOGRAMS_KEY, SEGMENTS], "plate-003", "plate-007")
    fingerprint = graph.registry.instruments[SEGMENTER].identity.fingerprint
    sources = {plate_id: graph.dataset.plate(plate_id).source_sha256() for plate_id in ("plate-003", "plate-007")}
    assert versions(graph, SEGMENTS) == {
        plate_id: f"{fingerprint[:16]}-{source[:16]}" for plate_id, source in sources.items()
    }
    for key in (INPUT_IMAGE_KEY, HISTOGRAMS_KEY):
        assert versions(graph, key) == {
            plate_id: f"{MEASURE_VERSION}-{source[:16]}" for plate_id, source in sources.items()
        }


def test_every_plate_of_the_list_records_its_inputs(graph):
    """Not only the first, although for Dagster the run covers only that one."""
    graph.materialize("plate/manifest")
    run(graph, [SEGMENTS], "plate-002", "plate-007")
    fingerprint = graph.registry.instruments[SEGMENTER].identity.fingerprint
    for plate_id, event in graph.events(SEGMENTS.to_user_string()):
        assert plate_id is not None
        assert event.tags is not None
        assert event.tags["dagster/code_version"] == fingerprint
        assert event.tags["dagster/input_data_version/plate/manifest"] == graph.dataset.plate(plate_id).source_sha256()
        assert int(event.tags["dagster/input_event_pointer/plate/manifest"]) > 0


def test_done_plates_are_shown_again_and_not_measured_again(graph):
    run(graph, [SEGMENTS], "plate-002", "plate-005")
    assert run(graph, [SEGMENTS], "plate-001", "plate-002", "plate-005").success
    events = graph.events(SEGMENTS.to_user_string())
    assert [(plate_id, event.metadata["reused"].value) for plate_id, event in events] == [
        ("plate-002", False),
        ("plate-005", False),
        ("plate-002", True),
        ("plate-005", True),
        ("plate-001", False),
    ]
    assert len(run_folders(graph.dataset, "plate-002")) == 1


def test_one_list_covers_several_assets_and_a_plate_may_fail_in_only_one(graph):
    alter_source(graph.dataset, "plate-003")
    result = run(graph, [INPUT_IMAGE_KEY, HISTOGRAMS_KEY, EMBEDDINGS], "plate-002", "plate-003", "plate-004")
    assert not result.success
    for key in (INPUT_IMAGE_KEY, HISTOGRAMS_KEY):
        assert failed(graph, key) == {"plate-003"}
        assert materialized(graph, key) == {"plate-002", "plate-004"}
    assert failed(graph, EMBEDDINGS) == {"plate-003", "plate-004"}
    assert materialized(graph, EMBEDDINGS) == {"plate-002"}


def test_a_failed_plate_that_succeeds_later_is_shown_as_made(graph):
    good = graph.dataset.plate("plate-003").source_path().read_bytes()
    alter_source(graph.dataset, "plate-003")
    run(graph, [SEGMENTS], "plate-001", "plate-003")
    assert failed(graph, SEGMENTS) == {"plate-003"}
    graph.dataset.plate("plate-003").source_path().write_bytes(good)
    assert run(graph, [SEGMENTS], "plate-003").success
    assert failed(graph, SEGMENTS) == set()
    assert materialized(graph, SEGMENTS) == {"plate-001", "plate-003"}


def test_a_plate_that_was_made_and_fails_when_forced_is_shown_as_failed(graph):
    run(graph, [SEGMENTS], "plate-001", "plate-003")
    alter_source(graph.dataset, "plate-003")
    assert not graph.materialize(
        SEGMENTS.to_user_string(), plates=["plate-003"], forced=[f"segments__{SEGMENTER}"]
    ).success
    assert failed(graph, SEGMENTS) == {"plate-003"}


class TestUnknownPlates:
    def test_an_unregistered_plate_fails_by_name_and_the_others_are_made(self, graph):
        result = run(graph, [SEGMENTS], "plate-001", "plate-099", "plate-002")
        assert not result.success
        message = summary(result)
        assert message.startswith("1 of 3 plates failed; the others are materialised.\nplate-099: ")
        assert "no such plate" in message
        assert materialized(graph, SEGMENTS) == {"plate-001", "plate-002"}

    @pytest.mark.parametrize("name", ["../plate-002", "Plate 2", ""])
    def test_an_invalid_plate_id_fails_by_name(self, graph, name):
        result = run(graph, [SEGMENTS], "plate-001", name)
        assert not result.success
        assert f"{name}: PlateIdRefused" in summary(result)
        assert materialized(graph, SEGMENTS) == {"plate-001"}

    def test_an_unregistered_plate_leaves_no_files(self, graph):
        run(graph, [SEGMENTS], "plate-001", "plate-099")
        assert graph.dataset.plate_ids() == [f"plate-00{number}" for number in range(1, 10)]
        assert not graph.dataset.plate("plate-099").folder.exists()


class TestTerminal:
    """The same lists, made by `atlas run`."""

    def test_the_requested_plates_are_materialised_in_one_run_per_layer(self, graph):
        layers = list(
            materialize(
                graph.registry, graph.dataset, graph.instance, plate_ids=["plate-002", "plate-004", "plate-009"]
            )
        )
        assert [(layer.name, layer.is_success) for layer in layers] == [
            ("plates", True),
            ("instruments", False),
            ("ledgers", True),
        ]
        assert materialized(graph, SEGMENTS) == materialized(graph, EMBEDDINGS) == {"plate-002", "plate-009"}
        assert failed(graph, SEGMENTS) == failed(graph, EMBEDDINGS) == {"plate-004"}
        assert materialized(graph, INPUT_IMAGE_KEY) == {"plate-002", "plate-004", "plate-009"}

    def test_only_failed_plates_are_computed_again(self, graph):
        list(materialize(graph.registry, graph.dataset, graph.instance, selection='key:"segments/*"'))
        before = {plate_id: len(run_folders(graph.dataset, plate_id)) for plate_id in graph.dataset.plate_ids()}
        (layer,) = materialize(
            graph.registry, graph.dataset, graph.instance, selection='key:"segments/*"', which="failed"
        )
        assert not layer.is_success
        after = {plate_id: len(run_folders(graph.dataset, plate_id)) for plate_id in graph.dataset.plate_ids()}
        assert {plate_id for plate_id in after if after[plate_id] > before[plate_id]} == {"plate-004", "plate-008"}

    def test_an_unregistered_plate_is_refused_before_anything_runs(self, graph):
        with pytest.raises(ValueError, match="no such plates: plate-099"):
            list(materialize(graph.registry, graph.dataset, graph.instance, plate_ids=["plate-001", "plate-099"]))
        assert graph.instance.get_run_records() == []

"""An instrument whose weights are not on disk is a node that says which to pull, and that nothing starts."""

from pathlib import Path

import dagster as dg
import pytest
from support.made_weights import put_weights, use_caches

from atlas_assets.definitions import build_definitions
from atlas_assets.graph.partitions import add_missing_partitions
from atlas_resources.instruments.registry import Registry, read_registry
from atlas_resources.plates import decode

# A job over stages, which differ in policy so that a backfill has a run for each, takes the smallest.
pytestmark = pytest.mark.filterwarnings("ignore:Asset job .* varying BackfillPolicies")

CLIP, HEAD, SEGMENTS = "clip_vit_large_patch14", "aesthetics_v1_vit_large_patch14", "u2netp"
CLIP_KEY, HEAD_KEY = dg.AssetKey(["embeddings", CLIP]), dg.AssetKey(["probes", HEAD])
BROKEN_KEY = dg.AssetKey(["segments", "otsu_luma"])
NO_SUCH_PLATE = {"ops": {"segments__otsu_luma": {"config": {"plates": ["plate-999"]}}}}
EMBEDDINGS_KEY = dg.AssetKey(["ledger", "embeddings"])


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The project's instruments; no weights but those in installed packages."""
    use_caches(monkeypatch, tmp_path)
    return read_registry()


@pytest.fixture
def definitions(registry: Registry, tmp_path: Path) -> dg.Definitions:
    return build_definitions(registry, tmp_path)


def jobs_of(definitions: dg.Definitions) -> dict[str, set[dg.AssetKey]]:
    """The assets that each job materialises, by its name."""
    jobs = definitions.get_repository_def().get_all_jobs()
    return {job.name: set(job.asset_layer.executable_asset_keys) for job in jobs}


def test_it_is_shown_apart_with_a_kind_a_tag_and_the_command(definitions):
    node = definitions.resolve_asset_graph().get(CLIP_KEY)
    assert node.group_name == "weights_missing"
    assert "weights-missing" in node.kinds
    assert node.tags["atlas/weights"] == "missing"
    assert node.description.startswith(
        "**Cannot run here: its weights are not on disk. Fix: `atlas models pull clip_vit_large_patch14`**"
    )


def test_one_that_reads_it_is_missing_too_and_names_both(definitions):
    node = definitions.resolve_asset_graph().get(HEAD_KEY)
    assert node.group_name == "weights_missing"
    assert node.parent_keys == {CLIP_KEY}
    assert "`atlas models pull clip_vit_large_patch14 aesthetics_v1_vit_large_patch14`" in node.description


def test_nothing_materialises_it(definitions):
    assert not definitions.resolve_asset_graph().get(CLIP_KEY).is_executable
    assert all(CLIP_KEY not in keys for keys in jobs_of(definitions).values())


def test_no_ledger_waits_for_it(definitions):
    graph = definitions.resolve_asset_graph()
    parents = graph.get(EMBEDDINGS_KEY).parent_keys
    assert dg.AssetKey(["embeddings", "efficientnet_lite0"]) in parents
    assert CLIP_KEY not in parents


def test_an_active_one_leaves_the_jobs_and_the_others_stay(definitions, registry):
    assert SEGMENTS in registry.active
    jobs = jobs_of(definitions)
    assert f"materialise_{SEGMENTS}" not in jobs
    assert jobs["materialise_segments"] == {dg.AssetKey(["segments", "otsu_luma"])}
    assert "materialise_otsu_luma" in jobs


def test_once_its_weights_are_there_and_the_location_is_reloaded_it_is_an_ordinary_asset(registry, tmp_path):
    put_weights([registry.instruments[CLIP], registry.instruments[HEAD]])
    graph = build_definitions(registry, tmp_path).resolve_asset_graph()
    node = graph.get(CLIP_KEY)
    assert node.is_materializable
    assert (node.group_name, node.tags["atlas/weights"]) == ("embeddings", "on_disk")
    assert node.parent_keys == {dg.AssetKey(["plate", "manifest"])}
    assert {CLIP_KEY, dg.AssetKey(["embeddings", "efficientnet_lite0"])} <= graph.get(EMBEDDINGS_KEY).parent_keys
    assert graph.get(HEAD_KEY).group_name == "probes"


class TestOnWorkers:
    """With ATLAS_WEIGHTS=workers weights are looked for where a run executes."""

    @pytest.fixture(autouse=True)
    def workers(self, monkeypatch):
        monkeypatch.setenv("ATLAS_WEIGHTS", "workers")
        monkeypatch.setattr("socket.gethostname", lambda: "worker-7")

    @pytest.fixture
    def decoded(self, monkeypatch) -> list[object]:
        """What was decoded."""
        found: list[object] = []
        own = decode.read_image
        monkeypatch.setattr(decode, "read_image", lambda *given, **named: found.append(given) or own(*given, **named))
        return found

    def test_it_can_be_started_from_a_machine_that_has_none(self, definitions, registry):
        graph = definitions.resolve_asset_graph()
        assert graph.get(CLIP_KEY).is_executable
        assert graph.get(CLIP_KEY).tags["atlas/weights"] == "on_workers"
        assert CLIP_KEY in graph.get(EMBEDDINGS_KEY).parent_keys
        assert f"materialise_{SEGMENTS}" in jobs_of(definitions)

    def test_a_run_fails_at_once_by_machine_and_instrument_and_may_be_tried_elsewhere(
        self, registry, dataset, instance, decoded
    ):
        add_missing_partitions(instance, dataset)
        job = build_definitions(registry, dataset.root).resolve_implicit_global_asset_job_def()
        tags = {"dagster/asset_partition_range_start": "plate-001", "dagster/asset_partition_range_end": "plate-005"}
        result = job.execute_in_process(instance=instance, asset_selection=[CLIP_KEY], tags=tags, raise_on_error=False)
        assert not result.success
        (failure,) = (event for event in result.all_events if event.is_step_failure)
        data = failure.step_failure_data.user_failure_data
        assert data is not None
        message = str(data.description)
        assert message.startswith(
            f"worker-7 cannot measure with {CLIP}: its weights are not on this machine. Fix: on it, "
        )
        assert f"`atlas models sync SOURCE {CLIP}` or `atlas models pull {CLIP}`" in message
        assert not [event for event in result.all_events if event.event_type_value == "STEP_UP_FOR_RETRY"]
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        assert run.tags["dagster/retry_on_asset_or_op_failure"] == "true"
        assert decoded == []
        assert list(dataset.plates_dir.glob("*/runs/run-*")) == [], "no plate counts as failed"

    def test_dagsters_run_retries_start_such_a_run_again(self, registry, dataset, tmp_path):
        """With the packaged settings, which retry no other failure of a step."""
        settings = {"run_retries": {"enabled": True, "max_retries": 2, "retry_on_asset_or_op_failure": False}}
        with dg.DagsterInstance.ephemeral(settings=settings) as instance:
            add_missing_partitions(instance, dataset)
            job = build_definitions(registry, dataset.root).resolve_implicit_global_asset_job_def()
            for key, expected in ((CLIP_KEY, "true"), (BROKEN_KEY, "false")):
                result = job.execute_in_process(
                    instance=instance, asset_selection=[key], partition_key="plate-001", raise_on_error=False,
                    run_config=NO_SUCH_PLATE if key == BROKEN_KEY else None,
                )  # fmt: skip
                assert not result.success
                run = instance.get_run_by_id(result.run_id)
                assert run is not None
                assert run.tags["dagster/will_retry"] == expected

    def test_another_value_is_refused(self, registry, tmp_path, monkeypatch):
        monkeypatch.setenv("ATLAS_WEIGHTS", "elsewhere")
        with pytest.raises(ValueError, match="ATLAS_WEIGHTS=elsewhere: expected `workers`"):
            build_definitions(registry, tmp_path)

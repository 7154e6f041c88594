"""The conditions of the assets request what the sensors request, so that either brings a library up to date."""

import shutil
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.fake_regions import KEYS, region_registry
from support.made_datasets import Graph, make_dataset

from atlas_assets.automation.conditions import build_condition_sensor, with_policies
from atlas_assets.automation.settings import AutomationSettings, Nightly
from atlas_assets.automation.standings import read_standings
from atlas_assets.automation.work_lists import work_lists
from atlas_assets.graph.ledgers import LEDGER_KEYS, build_ledger_assets
from atlas_assets.graph.partitions import add_missing_partitions
from atlas_assets.in_process.repairing import repair_events
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.freshness import why_behind

SEGMENTS = f"segments/{SEGMENTER}"
GROUNDWORK = ["plate/input_image", "plate/input_color_histograms"]
NOON = datetime(2027, 3, 1, 12, tzinfo=UTC)  # of a day; the settings' night is at 2


class Evaluations:
    """Evaluates the conditions as the daemon does, and executes what they request, upstream first."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.cursor = None
        self.now = NOON

    def requested(self, *, later: timedelta = timedelta(minutes=1)) -> dict[str, set[str]]:
        """The plates that are requested of each asset; of a ledger, an empty set."""
        self.now += later
        result = dg.evaluate_automation_conditions(
            self.graph.definitions, instance=self.graph.instance, cursor=self.cursor, evaluation_time=self.now
        )
        self.cursor = result.cursor
        asked = {}
        for evaluation in result.results:
            subset = evaluation.true_subset
            if isinstance(evaluation.key, dg.AssetKey) and not subset.is_empty:
                is_partitioned = evaluation.key not in LEDGER_KEYS
                asked[evaluation.key.to_user_string()] = set(
                    subset.expensively_compute_partition_keys() if is_partitioned else ()
                )
        return asked

    def execute(self, asked: dict[str, set[str]]) -> None:
        order = [key.to_user_string() for key in self.graph.definitions.resolve_asset_graph().toposorted_asset_keys]
        for key in sorted(asked, key=order.index):
            if key == GROUNDWORK[0]:
                self.graph.materialize(*GROUNDWORK, plates=sorted(asked[key]))
            elif asked[key] and key not in GROUNDWORK:
                self.graph.materialize(key, plates=sorted(asked[key]))
        ledgers = [dg.AssetKey(key.split("/")) for key in asked if not asked[key]]
        if ledgers:
            job = self.graph.definitions.resolve_implicit_global_asset_job_def()
            job.execute_in_process(instance=self.graph.instance, asset_selection=ledgers)

    def settle(self) -> int:
        """Evaluates and executes until nothing is requested. Returns the number of evaluations that requested."""
        asked: dict[str, set[str]] = {}
        for number in range(20):
            asked = self.requested()
            if not asked:
                return number
            self.execute(asked)
        raise AssertionError(f"still requested: {asked}")


def evaluations(dataset, registry: Registry, instance: dg.DagsterInstance) -> Evaluations:
    add_missing_partitions(instance, dataset)
    return Evaluations(Graph(dataset, registry, instance))


def test_new_plates_and_all_that_is_derived_are_requested_at_once(dataset, fakes, instance):
    asked = evaluations(dataset, region_registry(), instance).requested()
    plates = set(dataset.plate_ids())
    of_plates = ["plate/manifest", *GROUNDWORK, SEGMENTS, f"embeddings/{EMBEDDER}", *KEYS.values()]
    assert {key: asked.get(key) for key in of_plates} == dict.fromkeys(of_plates, plates)


def test_they_leave_nothing_for_the_sensors_to_request(dataset, fakes, instance):
    """The scenario of the sensors: new plates, then another instrument."""
    first = evaluations(dataset, fake_registry(fake_spec(SEGMENTER)), instance)
    assert first.settle() <= 3
    later = evaluations(dataset, fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER)), instance)
    later.cursor = first.cursor
    assert later.settle() <= 3
    registry = later.graph.registry
    assert work_lists(read_standings(dataset, registry.active_instruments), 1) == []
    assert why_behind(dataset, registry) == ""


def test_a_failed_plate_is_requested_again_at_night_only(tmp_path, fakes, instance):
    dataset = make_dataset(tmp_path, "red", "magenta")
    made = evaluations(dataset, fake_registry(fake_spec(SEGMENTER)), instance)
    made.settle()
    assert SEGMENTS not in made.requested()
    assert made.requested(later=timedelta(days=1))[SEGMENTS] == {"plate-002"}


def test_a_plate_whose_result_was_deleted_is_requested_at_night(tmp_path, fakes, instance):
    """Dagster cannot forget its event: `atlas repair-events` marks the plate as failed."""
    dataset = make_dataset(tmp_path, "red", "green")
    made = evaluations(dataset, fake_registry(fake_spec(SEGMENTER)), instance)
    made.settle()
    shutil.rmtree(dataset.plate("plate-002").runs_folder)
    list(repair_events(instance, dataset, made.graph.registry))
    assert SEGMENTS not in made.requested()
    assert made.requested(later=timedelta(days=1))[SEGMENTS] == {"plate-002"}


def test_ledgers_are_requested_once_after_a_change_and_every_night(dataset, fakes, instance):
    made = evaluations(dataset, fake_registry(fake_spec(SEGMENTER)), instance)
    made.settle()
    assert made.requested() == {}
    made.graph.materialize(SEGMENTS, plates=["plate-002"], forced=[f"segments__{SEGMENTER}"])
    changed = made.requested()
    assert "ledger/segments" in changed
    made.execute(changed)
    made.settle()
    asked = made.requested(later=timedelta(days=1))
    assert {key.to_user_string() for key in LEDGER_KEYS} <= set(asked)


def test_an_instrument_that_is_not_active_has_no_condition(dataset, fakes, instance):
    both = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    one_active = Registry(both.folder, both.specs, frozenset({SEGMENTER}), ())
    graph = evaluations(dataset, one_active, instance).graph.definitions.resolve_asset_graph()
    assert graph.get(dg.AssetKey(["embeddings", EMBEDDER])).automation_condition is None
    condition = graph.get(dg.AssetKey(["segments", SEGMENTER])).automation_condition
    assert condition is not None
    assert condition.get_label() == "fill missing plates at once, failed ones at night, all after a change of version"


def settings(switch: str) -> AutomationSettings:
    return AutomationSettings.model_validate(
        {"switch": switch, "nightly": Nightly(cron="0 2 * * *", timezone="UTC"), "most_attempts": 3}
    )


@pytest.mark.parametrize(("switch", "has_policy"), [("off", False), ("sensors", True), ("conditions", True)])
def test_ledgers_promise_to_be_fresh_if_automation_is_on(fakes, switch, has_policy):
    registry = fake_registry(fake_spec(SEGMENTER))
    ledgers = with_policies(build_ledger_assets(registry), registry, settings(switch))
    policies = [spec.freshness_policy for one in ledgers if isinstance(one, dg.AssetsDefinition) for spec in one.specs]
    assert [policy is not None for policy in policies] == [has_policy] * len(LEDGER_KEYS)


@pytest.mark.parametrize(("switch", "status"), [("off", "STOPPED"), ("sensors", "STOPPED"), ("conditions", "RUNNING")])
def test_one_switch_turns_the_sensor_on(switch, status):
    assert build_condition_sensor(settings(switch)).default_status.value == status

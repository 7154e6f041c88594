"""A run needs a GPU if a step takes one, and the most memory that its instruments recorded; nothing is guessed."""

import json
from typing import Any

import dagster as dg
import pytest
from support import fake_instruments
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import make_dataset

from atlas_assets.definitions import build_definitions
from atlas_resources.cluster.needs import Needs, measured_memory, needs_of
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.ledgers.parquet import write_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import RUNS

EMBEDDINGS, SEGMENTS = f"embeddings/{EMBEDDER}", f"segments/{SEGMENTER}"


@pytest.fixture
def red(tmp_path) -> Dataset:
    """A dataset of one plate."""
    return make_dataset(tmp_path, "red")


def on_gpu(spec: Spec) -> Spec:
    """The same instrument, for a CUDA device."""
    return Spec.model_validate({**spec.model_dump(mode="json"), "numeric": {"dtype": "float32", "device": "cuda"}})


def run_of(instance: dg.DagsterInstance, dataset: Dataset, *names: str, tags: Any = None) -> dg.DagsterRun:
    """A run of some assets that was created and not executed, as a launcher finds it."""
    registry = fake_registry(on_gpu(fake_spec(EMBEDDER)), fake_spec(SEGMENTER))
    job = build_definitions(registry, dataset.root).resolve_implicit_global_asset_job_def()
    keys = frozenset(dg.AssetKey(name.split("/")) for name in names)
    subset = job.get_subset(asset_selection=keys)
    return instance.create_run_for_job(subset, asset_selection=keys, tags=tags)


def write_runs(dataset: Dataset, *rows: tuple[str, bool, int | None]) -> None:
    """A ledger of runs with these instruments, whether each is current, and its memory."""
    names = ("instrument", "is_current", "peak_memory_bytes")
    write_ledger(dataset, RUNS, RUNS.frame([dict(zip(names, row, strict=True)) for row in rows]))


@pytest.fixture(autouse=True)
def installed(monkeypatch):
    fake_instruments.install(monkeypatch)


@pytest.mark.parametrize(
    ("names", "gpus"), [((EMBEDDINGS,), 1), ((SEGMENTS,), 0), ((SEGMENTS, EMBEDDINGS), 1), (("plate/manifest",), 0)]
)
def test_a_run_needs_one_gpu_if_any_of_its_steps_takes_one(instance, red, names, gpus):
    assert needs_of(instance, run_of(instance, red, *names), red) == Needs(gpus, None)


def test_a_run_needs_the_most_memory_that_its_own_instruments_recorded(instance, red):
    write_runs(red, (SEGMENTER, True, 300), (SEGMENTER, True, 700), (EMBEDDER, True, 900))
    assert needs_of(instance, run_of(instance, red, SEGMENTS), red) == Needs(0, 700)
    assert needs_of(instance, run_of(instance, red, SEGMENTS, EMBEDDINGS), red) == Needs(1, 900)


def test_a_result_that_is_not_current_and_one_without_memory_say_nothing(red):
    write_runs(red, (SEGMENTER, False, 9000), (SEGMENTER, True, 700), (SEGMENTER, True, None))
    assert measured_memory(red, {SEGMENTER}) == 700
    write_runs(red, (SEGMENTER, True, None))
    assert measured_memory(red, {SEGMENTER}) is None


def test_without_a_ledger_or_an_instrument_no_memory_is_stated(red):
    assert measured_memory(red, {SEGMENTER}) is None
    write_runs(red, (SEGMENTER, True, 700))
    assert measured_memory(red, set()) is None


class TestRayTag:
    """What Ray is asked for, as the tag of the run that dagster-ray reads."""

    @pytest.fixture(autouse=True)
    def of_dataset(self, red, monkeypatch):
        pytest.importorskip("dagster_ray", reason="dagster-ray is not installed. Fix: make cluster")
        monkeypatch.setenv("ATLAS_HOME", str(red.root))

    def tag(self, instance, run) -> dict:
        from atlas_resources.cluster.run_launcher import ray_tag

        return json.loads(ray_tag(instance, run))

    def test_it_has_what_is_known_and_nothing_else(self, instance, red):
        assert self.tag(instance, run_of(instance, red, SEGMENTS)) == {}
        write_runs(red, (EMBEDDER, True, 900))
        assert self.tag(instance, run_of(instance, red, EMBEDDINGS)) == {"num_gpus": 1.0, "memory": 900}

    def test_what_a_person_set_holds(self, instance, red):
        write_runs(red, (EMBEDDER, True, 900))
        tags = {"dagster-ray/config": '{"num_gpus": 0.5, "num_cpus": 8}'}
        run = run_of(instance, red, EMBEDDINGS, tags=tags)
        assert self.tag(instance, run) == {"num_cpus": 8.0, "num_gpus": 0.5, "memory": 900}

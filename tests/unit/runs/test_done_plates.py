"""A plate that is done for an instrument is skipped, unless it is forced or the instrument changed."""

import re

import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import Graph, make_dataset, run_folders

from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.run_contracts import RunConfig, RunManifest, RunReport
from atlas_resources.runs.sealing import open_run

SEGMENTS = f"segments/{SEGMENTER}"
STEP = f"segments__{SEGMENTER}"


def reports(graph: Graph) -> list[str]:
    return sorted(path.name for path in graph.dataset.reports_dir.iterdir())


def newest_report(graph: Graph) -> RunReport:
    return read_json(graph.dataset.reports_dir / reports(graph)[-1] / "report.json", RunReport)


def test_a_second_run_opens_no_run_and_loads_no_model(graph, fakes):
    graph.materialize(SEGMENTS)
    assert fakes == [SEGMENTER]
    first = reports(graph)
    assert len(first) == 1
    assert graph.materialize(SEGMENTS).success
    assert fakes == [SEGMENTER]
    assert reports(graph) == first
    assert [len(run_folders(graph.dataset, plate_id)) for plate_id in graph.dataset.plate_ids()] == [1] * 5


def test_a_model_is_loaded_once_for_many_batches(graph, fakes):
    assert graph.registry.specs[SEGMENTER].batch_size == 2
    graph.materialize(SEGMENTS)
    assert fakes == [SEGMENTER]


def test_a_reused_plate_shows_the_same_metadata_as_when_it_was_made(graph):
    graph.materialize(SEGMENTS)
    graph.materialize(SEGMENTS)
    first, second = [event for plate, event in graph.events(SEGMENTS) if plate == "plate-002"]
    assert first.tags is not None
    assert second.tags is not None
    assert first.tags["dagster/data_version"] == second.tags["dagster/data_version"]
    assert first.metadata["reused"].value is False
    assert second.metadata["reused"].value is True
    assert {**first.metadata, "reused": None} == {**second.metadata, "reused": None}


def test_groundwork_that_is_done_is_not_measured_again(graph):
    keys = ("plate/input_image", "plate/input_color_histograms")
    graph.materialize(*keys)
    path = graph.dataset.plate("plate-001").derived_path("input_image.json")
    before = path.stat().st_mtime_ns
    graph.materialize(*keys)
    assert path.stat().st_mtime_ns == before
    assert [event.metadata["reused"].value for plate, event in graph.events(keys[0]) if plate == "plate-001"] == [
        False,
        True,
    ]
    graph.materialize(*keys, forced=["groundwork"])
    assert path.stat().st_mtime_ns > before


def test_force_computes_again_under_a_new_run_id_and_keeps_the_old(graph):
    graph.materialize(SEGMENTS)
    (old,) = run_folders(graph.dataset, "plate-001")
    graph.materialize(SEGMENTS, forced=[STEP])
    kept, new = run_folders(graph.dataset, "plate-001")
    assert kept == old
    assert new > old
    config = read_json(graph.dataset.reports_dir / new / "config.json", RunConfig)
    assert config.forced
    assert newest_report(graph).done == graph.dataset.plate_ids()


def test_a_changed_fingerprint_computes_again(graph, fakes):
    graph.materialize(SEGMENTS)
    changed = Graph(graph.dataset, fake_registry(fake_spec(SEGMENTER, gain=2.0)), graph.instance)
    assert changed.materialize(SEGMENTS).success
    assert fakes == [SEGMENTER, SEGMENTER]
    names = run_folders(graph.dataset, "plate-001")
    assert {name[-8:] for name in names} == {
        graph.registry.instruments[SEGMENTER].identity.fingerprint[:8],
        changed.registry.instruments[SEGMENTER].identity.fingerprint[:8],
    }


def test_returning_to_an_earlier_fingerprint_reuses_its_runs(graph, fakes):
    graph.materialize(SEGMENTS)
    Graph(graph.dataset, fake_registry(fake_spec(SEGMENTER, gain=2.0)), graph.instance).materialize(SEGMENTS)
    graph.materialize(SEGMENTS)
    assert fakes == [SEGMENTER, SEGMENTER]
    assert len(reports(graph)) == 2


def test_only_missing_plates_are_computed_and_the_report_lists_the_skipped_ones(graph):
    graph.materialize(SEGMENTS, plates=["plate-002", "plate-003"])
    graph.materialize(SEGMENTS)
    made = newest_report(graph)
    assert made.selected == ["plate-001", "plate-002", "plate-003", "plate-004", "plate-005"]
    assert made.skipped == ["plate-002", "plate-003"]
    assert made.done == ["plate-001", "plate-004", "plate-005"]


def test_a_plate_measured_by_another_instrument_with_the_same_numbers_is_not_done(graph, fakes):
    """Ledger rows are selected by instrument, so a second key with the same model needs its own rows."""
    twin = graph.registry.specs[SEGMENTER].model_copy(update={"key": "fake_segmenter_again"})
    both = Graph(graph.dataset, fake_registry(graph.registry.specs[SEGMENTER], twin), graph.instance)
    both.materialize(SEGMENTS, f"segments/{twin.key}")
    instruments = {
        read_json(path, RunManifest).instrument.key
        for path in graph.dataset.plate("plate-001").runs_folder.glob("*/run.manifest.json")
    }
    assert instruments == {SEGMENTER, twin.key}


def test_two_runs_of_the_same_second_have_different_ids(graph):
    instrument = graph.registry.instruments[SEGMENTER]
    with (
        open_run(graph.dataset, instrument) as first,
        open_run(graph.dataset, instrument) as second,
        open_run(graph.dataset, instrument) as third,
    ):
        ids = [first.run_id, second.run_id, third.run_id]
    assert len(set(ids)) == 3
    assert ids == sorted(ids)
    assert all(re.fullmatch(rf"run-\d{{8}}-\d{{6}}Z-{instrument.identity.fingerprint[:8]}", run_id) for run_id in ids)


@pytest.mark.parametrize("key", [f"embeddings/{EMBEDDER}", SEGMENTS])
def test_a_plate_with_other_registered_bytes_is_not_done_by_an_earlier_run(tmp_path, fakes, instance, key):
    """Two datasets that gave one id to different scans: a run folder copied between them is ignored."""
    specs = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    one = Graph(make_dataset(tmp_path / "one", "red"), specs, instance)
    other = Graph(make_dataset(tmp_path / "other", "blue"), specs, instance)
    one.materialize(key)
    one.dataset.plate("plate-001").runs_folder.rename(other.dataset.plate("plate-001").runs_folder)
    other.materialize(key)
    assert len(run_folders(other.dataset, "plate-001")) == 2

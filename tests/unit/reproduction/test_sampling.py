"""A sample is drawn by the date, from results that this code can repeat."""

from datetime import date

import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import make_dataset
from support.made_results import run_instrument
from support.made_specs import project_spec
from support.made_weights import use_caches

from atlas_assets.reproduction.sampling import sample_results

MONDAY, TUESDAY = date(2027, 3, 1), date(2027, 3, 2)


@pytest.fixture
def registry(fakes):
    return fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))


@pytest.fixture
def measured(tmp_path, registry):
    """Six plates by two instruments; the embedder refuses one. Eleven results."""
    dataset = make_dataset(tmp_path, "red", "green", "blue", "ochre", "teal", "magenta")
    for key in (EMBEDDER, SEGMENTER):
        assert run_instrument(dataset, registry, key)[-1] == "failed"
    return dataset


def drawn(sample: dict[str, list[str]]) -> set[tuple[str, str]]:
    return {(run_id, plate_id) for run_id, plate_ids in sample.items() for plate_id in plate_ids}


def test_the_draw_of_a_day_is_the_same_and_that_of_another_day_is_another(measured, registry):
    monday = sample_results(measured, registry, 4, MONDAY)
    assert len(drawn(monday)) == 4
    assert sample_results(measured, registry, 4, MONDAY) == monday
    assert drawn(sample_results(measured, registry, 4, TUESDAY)) != drawn(monday)


def test_it_has_all_results_if_there_are_fewer_and_no_failure(measured, registry):
    found = drawn(sample_results(measured, registry, 100, MONDAY))
    assert len(found) == 10
    assert "plate-006" not in {plate_id for _, plate_id in found}


def test_results_of_another_fingerprint_are_not_drawn(measured, fakes):
    changed = fake_registry(fake_spec(EMBEDDER, gain=2.0), fake_spec(SEGMENTER))
    runs = {run_id for run_id, _ in drawn(sample_results(measured, changed, 100, MONDAY))}
    assert {run_id[-8:] for run_id in runs} == {changed.instruments[SEGMENTER].identity.fingerprint[:8]}


def test_an_instrument_without_weights_or_device_is_not_drawn(measured, registry, monkeypatch, tmp_path):
    use_caches(monkeypatch, tmp_path / "caches")
    assert sample_results(measured, fake_registry(project_spec("clip_vit_base_patch32")), 100, MONDAY) == {}


def test_a_dataset_without_runs_has_no_sample(tmp_path, registry):
    assert sample_results(make_dataset(tmp_path, "red"), registry, 3, MONDAY) == {}

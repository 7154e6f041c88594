"""A model is shown each kept segment, cut out as declared, and its answer is a row with the segment's place."""

from pathlib import Path

import numpy as np
import pytest
from support.fake_instruments import SEGMENTER, fake_spec
from support.fake_regions import project_methods
from support.made_answers import Says, loads, said, text_registry, text_spec
from support.made_datasets import make_dataset
from support.made_results import build_ledgers, measure, run_instrument

from atlas_assets.roles.regions.annotation import RegionAnnotationWork
from atlas_assets.roles.works import build_work
from atlas_resources.instruments.region_plans import RegionPlan, derive

TEXTS = f"{SEGMENTER}_captioner"
GREY = {"padding_ratio": 0, "shape": "square", "surroundings": "#808080"}


@pytest.fixture
def registry(fakes):
    plan = RegionPlan.model_validate(
        {"kept": {"drop_class": "paper"}, "annotations": [{"describer": "captioner", "crop": GREY}]}
    )
    segmenter, captioner = fake_spec(SEGMENTER), text_spec("captioner")
    return text_registry(segmenter, captioner, *derive(plan, segmenter, project_methods(), {"captioner": captioner}))


def test_a_kept_segment_is_shown_cut_out_and_described(tmp_path: Path, registry):
    dataset = make_dataset(tmp_path, "red")  # 400 x 300 px; the fake segmenter's printed half is 200 x 300
    for key in (SEGMENTER, f"{SEGMENTER}_kept"):
        assert run_instrument(dataset, registry, key) == ["complete"]
    model = Says(said("an oval"))
    work = RegionAnnotationWork(registry.specs[TEXTS], loads(model))
    assert measure(dataset, registry, TEXTS, work) == ["complete"]
    assert model.shown == [(300, 300, 3)]  # a square around the half
    (row,) = build_ledgers(dataset, registry)["texts"].to_dicts()
    expected = {
        "instrument": TEXTS, "text_id": "mask-0001-answer-0001", "scope": "segment", "segment_id": "mask-0001",
        "text": "an oval", "status": "done", "x_min": 0.0, "y_min": 0.0, "x_max": 200.0, "y_max": 300.0,
        "quadrilateral": [0.0, 0.0, 200.0, 0.0, 200.0, 300.0, 0.0, 300.0],
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert row["preprocess_tag"].startswith("square.pad0.#808080.")


def test_what_is_around_the_mask_is_the_declared_colour(tmp_path: Path, registry):
    dataset = make_dataset(tmp_path, "red")
    for key in (SEGMENTER, f"{SEGMENTER}_kept"):
        run_instrument(dataset, registry, key)
    seen = []

    class Looks(Says):
        def describe(self, pixels, questions):
            seen.append(pixels)
            return super().describe(pixels, questions)

    measure(dataset, registry, TEXTS, RegionAnnotationWork(registry.specs[TEXTS], loads(Looks(said("x")))))
    (crop,) = seen
    assert np.array_equal(np.unique(crop[:, -50:].reshape(-1, 3), axis=0), [[128, 128, 128]])
    assert (crop[:, 50:250] != 128).any()


def test_the_work_of_an_instrument_that_is_shown_segments_annotates(registry):
    assert isinstance(build_work(registry.instruments[TEXTS], lambda: None), RegionAnnotationWork)

"""A detector's boxes become rows in source pixels and ratios, a preview, counts and relations."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image
from support.made_datasets import make_dataset
from support.made_results import build_ledgers, measure, measure_groundwork
from support.made_specs import project_spec

from atlas_assets.graph.checks.ledgers import build_ledger_checks
from atlas_assets.roles.declared import ContractBroken
from atlas_assets.roles.detection import DetectionWork
from atlas_assets.ui.boxes import box_overlay
from atlas_resources.catalogue.build import build_catalogue, connect
from atlas_resources.instruments.prompts import read_prompts
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.numeric import Numeric
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.models.protocols import Detection
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.tables.results import INSTRUMENT_TABLES

EGG = read_prompts().asked(project_spec("grounding_dino_base").prompts or [])[2]


def box(corners: tuple[float, float, float, float], label: str, score: float, **more: Any) -> Detection:
    return Detection(np.array(corners, dtype=np.float32), label, score, **more)


# On plate-001, 400 x 300 px: a bird above a nest, an egg in the nest, a branch to the right of the bird.
FOUND = [
    box((0.25, 0.5, 0.5, 0.75), "nest", 0.75, label_id="7"),
    box((0.25, 0.0, 0.5, 0.5), "bird", 0.875),
    box((0.3125, 0.5, 0.4375, 0.75), "egg", 0.5, prompt=EGG),
    box((0.53125, 0.0, 1.0, 0.25), "branch", 0.625),
]


class Finds:
    """A detector that returns fixed boxes for any image."""

    def __init__(self, *found: Detection):
        self.found = list(found)

    def detect(self, image: Any) -> list[Detection]:
        assert image.shape[0] == 3
        return self.found


def detector_spec() -> Spec:
    spec = project_spec("grounding_dino_base")
    return spec.model_copy(update={"numeric": Numeric(dtype="float32", device="cpu")})


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path, "red")


def found_on(dataset: Dataset, *found: Detection) -> Any:
    work = DetectionWork(detector_spec(), lambda: Finds(*found))
    work.load()
    (measurement,) = work.measure([work.prepare(dataset.plate("plate-001"), None, Stopwatch())])
    return measurement


@pytest.fixture
def catalogue(dataset: Dataset):
    spec = detector_spec()
    registry = Registry(Path(), {spec.key: spec}, frozenset(), (), prompts=read_prompts())
    measure_groundwork(dataset)
    assert measure(dataset, registry, spec.key, DetectionWork(spec, lambda: Finds(*FOUND))) == ["complete"]
    build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)
    with connect(dataset) as connection:
        yield connection


def test_boxes_are_rows_in_source_pixels_best_first(dataset: Dataset):
    rows = found_on(dataset, *FOUND).rows
    assert rows.select("detection_id", "label", "score", "x_min", "y_min", "x_max", "y_max").rows() == [
        ("box-0001", "bird", 0.875, 100.0, 0.0, 200.0, 150.0),
        ("box-0002", "nest", 0.75, 100.0, 150.0, 200.0, 225.0),
        ("box-0003", "branch", 0.625, 212.5, 0.0, 400.0, 75.0),
        ("box-0004", "egg", 0.5, 125.0, 150.0, 175.0, 225.0),
    ]
    assert rows.select("x_min_ratio", "y_min_ratio", "x_max_ratio", "y_max_ratio").row(3) == (0.3125, 0.5, 0.4375, 0.75)


def test_a_box_has_its_prompt_or_its_class(dataset: Dataset):
    rows = found_on(dataset, *FOUND).rows
    columns = ["label_id", "prompt_set", "prompt_version", "prompt_id", "prompt_sha256"]
    by_label = {row["label"]: tuple(row[name] for name in columns) for row in rows.to_dicts()}
    assert by_label["egg"] == (None, "plate_objects", 1, "egg", EGG.sha256)
    assert by_label["nest"] == ("7", None, None, None, None)


def test_two_classes_of_one_name_are_shown_with_their_ids(dataset: Dataset):
    cranes = [
        box((0, 0, 1, 1), "crane", score, label_id=name, is_ambiguous=True) for name, score in (("7", 0.75), ("9", 0.5))
    ]
    measurement = found_on(dataset, *cranes)
    assert measurement.rows.select("label", "label_id").rows() == [("crane", "7"), ("crane", "9")]
    found = {name: measurement.metrics[name] for name in ("label_count", "top_label", "top_label_id")}
    assert found == {"label_count": 2, "top_label": "crane (7)", "top_label_id": "7"}


def test_nothing_found_is_a_result(dataset: Dataset):
    measurement = found_on(dataset)
    assert measurement.rows.height == 0
    assert measurement.metrics == {
        "detection_count": 0, "label_count": 0, "top_label": None, "top_label_id": None, "top_score": None,
    }  # fmt: skip
    assert measurement.preview is not None


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (box((0.5, 0, 0.25, 1), "bird", 0.5), "expected left <= right and top <= bottom"),
        (box((0, 0, 1, 1), "bird", 1.5), r"expected a score of 0 to 1, found 1\.5"),
        (box((0, 0, float("nan"), 1), "bird", 0.5), "expected finite numbers in a box, found 1 that are not"),
        (Detection(np.zeros(3, dtype=np.float32), "bird", 0.5), r"expected a box of float32 \[4\]"),
    ],
)
def test_an_invalid_box_is_refused_with_the_detectors_name(dataset: Dataset, wrong: Detection, complaint: str):
    with pytest.raises(ContractBroken, match=f"grounding_dino_base: {complaint}"):
        found_on(dataset, wrong)


def test_more_boxes_than_declared_are_refused(dataset: Dataset):
    with pytest.raises(ContractBroken, match="expected at most 900 boxes, found 901"):
        found_on(dataset, *[FOUND[0]] * 901)


def test_boxes_are_drawn_at_their_place_and_clipped_to_the_plate():
    plate = Image.new("RGB", (400, 300), (240, 232, 215))
    picture = Image.open(io.BytesIO(box_overlay(plate, [((0.25, 0.2, 0.75, 1.4), "bird 0.88")])))
    pixels = np.asarray(picture, dtype=int)
    assert picture.size == (320, 240)
    is_drawn = np.abs(pixels - (240, 232, 215)).sum(axis=2) > 60
    rows, columns = np.nonzero(is_drawn)
    assert (columns.min(), columns.max(), rows.min(), rows.max()) == pytest.approx((80, 239, 48, 239), abs=2)
    assert not is_drawn[120:200, 100:220].any()


def test_counts_are_of_boxes_per_label(catalogue):
    rows = catalogue.execute("SELECT label, box_count, best_score FROM detection_counts ORDER BY label").fetchall()
    assert rows == [("bird", 1, 0.875), ("branch", 1, 0.625), ("egg", 1, 0.5), ("nest", 1, 0.75)]


def test_relations_follow_from_the_boxes_by_declared_thresholds(catalogue):
    """By hand, in pixels: bird 100 0 200 150, nest 100 150 200 225, branch 212.5 0 400 75, egg 125 150 175 225.

    The plate's diagonal is 500. The bird ends where nest and egg begin, 0 px from them: above and near. The egg is
    wholly inside the nest. The branch is 12.5 px from the bird, 76 px from the nest.
    """
    query = "SELECT label, relation, other_label, round(gap_ratio, 4), round(overlap_ratio, 4) FROM detection_relations"
    assert set(catalogue.execute(query).fetchall()) == {
        ("bird", "above", "nest", 0.0, 0.0),
        ("bird", "near", "nest", 0.0, 0.0),
        ("nest", "near", "bird", 0.0, 0.0),
        ("bird", "above", "egg", 0.0, 0.0),
        ("bird", "near", "egg", 0.0, 0.0),
        ("egg", "near", "bird", 0.0, 0.0),
        ("egg", "overlaps", "nest", 0.0, 1.0),
        ("nest", "overlaps", "egg", 0.0, 1.0),
        ("bird", "near", "branch", 0.025, 0.0),
        ("branch", "near", "bird", 0.025, 0.0),
    }


def test_the_catalogue_documents_that_detections_are_weak_signals(catalogue):
    comments = dict(
        catalogue.execute(
            "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = 'detections' AND NOT internal"
        ).fetchall()
    )
    assert "weak signal" in comments["label"]
    assert "weak signal" in comments["score"].lower()
    views = dict(catalogue.execute("SELECT view_name, comment FROM duckdb_views() WHERE NOT internal").fetchall())
    assert "0.05 of the plate's diagonal" in views["detection_relations"]
    assert "commercial_detections" in views


def test_a_box_whose_pixels_and_ratios_differ_is_found(dataset: Dataset, catalogue):
    catalogue.close()
    table = INSTRUMENT_TABLES["detection"]
    path = ledger_path(dataset, table)
    pl.read_parquet(path).with_columns(pl.col("x_max") + 1).write_parquet(path)
    registry = Registry(Path(), {}, frozenset(), ())
    (check,) = [one for one in build_ledger_checks(registry) if next(iter(one.check_keys)).name == "boxes_are_sound"]
    verdict = check(dataset=DatasetResource(root=str(dataset.root)))
    assert not verdict.passed
    assert verdict.metadata["wrong"].value == 4

"""The check `sound` of a plate asset: one event per plate, which fails if files changed or rows are wrong."""

import json
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import numpy as np
import polars as pl
import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER
from support.made_datasets import Graph, alter_source
from support.rewritten import rewrite_json

from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.soundness import unsound_masks, unsound_scores, unsound_vectors

EMBEDDINGS, SEGMENTS = f"embeddings/{EMBEDDER}", f"segments/{SEGMENTER}"
GROUNDWORK = ("plate/input_image", "plate/input_color_histograms")
HISTOGRAMS = "plate/input_color_histograms"
PLATES = [f"plate-00{number}" for number in range(1, 6)]


def evaluations(result: dg.ExecuteInProcessResult, key: str) -> dict[str | None, dg.AssetCheckEvaluation]:
    """The check's events of a run by plate; under None, the event of the whole run."""
    events = [event for event in result.all_events if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION]
    found = [event.asset_check_evaluation_data for event in events]
    return {check.partition: check for check in found if check.asset_key == dg.AssetKey(key.split("/"))}


def verdicts(graph: Graph, key: str, *keys: str, plates: list[str] | None = None) -> dict[str | None, bool]:
    result = graph.materialize(*(keys or [key]), plates=plates)
    return {plate: check.passed for plate, check in evaluations(result, key).items()}


def wrong_in(result: dg.ExecuteInProcessResult, key: str, plate_id: str | None) -> str:
    return str(evaluations(result, key)[plate_id].metadata["wrong"].value)


def sealed_file(dataset: Dataset, plate_id: str, name: str) -> Path:
    (path,) = dataset.plate(plate_id).runs_folder.glob(f"*/{name}")
    return path


def change_json(path: Path, change: Callable[[dict], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    rewrite_json(path, **content)


@pytest.mark.parametrize("key", [EMBEDDINGS, SEGMENTS])
def test_every_plate_has_an_event_and_the_run_has_one(graph, key):
    assert verdicts(graph, key) == dict.fromkeys([*PLATES, None], True)
    assert verdicts(graph, key) == dict.fromkeys([*PLATES, None], True), "reused plates are checked too"


def test_the_groundwork_has_one_event_per_plate(graph):
    assert verdicts(graph, HISTOGRAMS, *GROUNDWORK) == dict.fromkeys([*PLATES, None], True)
    assert verdicts(graph, HISTOGRAMS, *GROUNDWORK) == dict.fromkeys([*PLATES, None], True)


def test_a_changed_sealed_file_fails_the_check_of_its_plate_alone(graph):
    graph.materialize(EMBEDDINGS)
    path = sealed_file(graph.dataset, "plate-002", "embeddings.parquet")
    pl.read_parquet(path).with_columns(l2_norm=pl.lit(0.5)).write_parquet(path)
    result = graph.materialize(EMBEDDINGS)
    checks = evaluations(result, EMBEDDINGS)
    assert {plate for plate, check in checks.items() if not check.passed} == {"plate-002", None}
    assert "embeddings.parquet: changed since it was sealed" in wrong_in(result, EMBEDDINGS, "plate-002")
    assert "embeddings.parquet: changed since it was sealed" in wrong_in(result, EMBEDDINGS, None)


def check_key(key: str) -> dg.AssetCheckKey:
    return dg.AssetCheckKey(dg.AssetKey(key.split("/")), "sound")


def shown(graph: Graph, key: str) -> str:
    """What Dagster shows as the state of the check."""
    record = graph.instance.event_log_storage.get_latest_asset_check_execution_by_key([check_key(key)])[check_key(key)]
    return record.status.value


def unsound_partitions(graph: Graph, key: str) -> set[str | None]:
    """The partitions that Dagster shows as failed."""
    infos = graph.instance.event_log_storage.get_asset_check_partition_info([check_key(key)])
    return {info.partition_key for info in infos if info.latest_execution_status.value == "FAILED"} - {None}


def test_dagster_shows_the_check_as_failed_although_later_plates_are_sound(graph):
    graph.materialize(EMBEDDINGS)
    sealed_file(graph.dataset, "plate-001", "metrics.json").write_text("{}")
    graph.materialize(EMBEDDINGS)
    assert shown(graph, EMBEDDINGS) == "FAILED"
    assert unsound_partitions(graph, EMBEDDINGS) == {"plate-001"}


@pytest.mark.parametrize("plates", [["plate-004", "plate-005"], ["plate-004"]])
def test_a_good_run_over_other_plates_does_not_turn_the_check_green(graph, plates):
    graph.materialize(EMBEDDINGS)
    path = sealed_file(graph.dataset, "plate-003", "metrics.json")
    sealed = path.read_bytes()
    path.write_text("{}")
    graph.materialize(EMBEDDINGS)
    result = graph.materialize(EMBEDDINGS, plates=plates)
    assert shown(graph, EMBEDDINGS) == "FAILED"
    assert "plate-003: found unsound by an earlier run" in wrong_in(result, EMBEDDINGS, None)
    path.write_bytes(sealed)
    graph.materialize(EMBEDDINGS, plates=["plate-003"])
    assert shown(graph, EMBEDDINGS) == "SUCCEEDED", "a run that finds the plate sound clears it"
    assert unsound_partitions(graph, EMBEDDINGS) == set()


def test_a_plate_that_fails_after_it_was_found_unsound_stays_red(graph):
    """Its run has no verdict on it, and Dagster's record of the planned one replaces the last."""
    graph.materialize(EMBEDDINGS)
    alter_source(graph.dataset, "plate-003")
    graph.materialize(EMBEDDINGS)
    result = graph.materialize(EMBEDDINGS, plates=["plate-003"], forced=[f"embeddings__{EMBEDDER}"])
    assert not result.success
    assert shown(graph, EMBEDDINGS) == "FAILED"
    assert "plate-003: found unsound by an earlier run" in wrong_in(result, EMBEDDINGS, None)


def test_a_run_of_one_partition_judges_its_plate_and_the_library_apart(graph):
    graph.materialize(EMBEDDINGS)
    sealed_file(graph.dataset, "plate-003", "metrics.json").write_text("{}")
    graph.materialize(EMBEDDINGS, plates=["plate-003"])
    checks = evaluations(graph.materialize_partition(EMBEDDINGS, "plate-001"), EMBEDDINGS)
    assert {plate: check.passed for plate, check in checks.items()} == {"plate-001": True, None: False}
    assert shown(graph, EMBEDDINGS) == "FAILED"


def test_wrong_rows_fail_the_check_although_their_digest_is_right(graph, monkeypatch):
    """As when the measuring code has a bug: the check reads the sealed rows and computes them again."""
    monkeypatch.setattr("atlas_resources.measures.masks.run_lengths.coco.area", lambda encoded: 1)
    result = graph.materialize(SEGMENTS, plates=["plate-003"])
    monkeypatch.undo()
    assert evaluations(result, SEGMENTS)["plate-003"].passed is False
    assert "area 1, recorded " in wrong_in(result, SEGMENTS, "plate-003")


def test_a_missing_sealed_file_is_named(graph):
    graph.materialize(SEGMENTS)
    sealed_file(graph.dataset, "plate-004", "segments.parquet").unlink()
    assert "segments.parquet: is missing" in wrong_in(graph.materialize(SEGMENTS), SEGMENTS, "plate-004")


@pytest.mark.parametrize(("key", "keys"), [(EMBEDDINGS, (EMBEDDINGS,)), (HISTOGRAMS, GROUNDWORK)])
def test_a_source_that_changed_later_is_found_when_its_plate_is_reused(graph, key, keys):
    graph.materialize(*keys)
    alter_source(graph.dataset, "plate-005")
    result = graph.materialize(*keys)
    assert result.success, "the sealed result remains valid; the check reports that its source changed"
    assert "has changed: expected sha256" in wrong_in(result, key, "plate-005")
    assert evaluations(result, key)["plate-004"].passed


def test_a_touched_but_unchanged_source_passes(graph):
    graph.materialize(EMBEDDINGS)
    graph.dataset.plate("plate-001").source_path().touch()
    assert verdicts(graph, EMBEDDINGS, plates=["plate-001"]) == {"plate-001": True, None: True}


@pytest.mark.parametrize(
    ("name", "change", "line"),
    [
        ("input_color_histograms", lambda file: file["red"].__setitem__(0, file["red"][0] + 1), "red sums to"),
        ("input_color_histograms", lambda file: file.update(pixel_count=7), "pixel_count"),
        ("input_image", lambda file: file.update(width=file["width"] + 1), "x 420 pixels, pixel_count"),
    ],
)
def test_counts_that_do_not_sum_to_the_pixel_count_fail_the_check(graph, name, change, line):
    graph.materialize(*GROUNDWORK)
    path = graph.dataset.plate("plate-002").derived_path(f"{name}.json")
    change_json(path, change)
    result = graph.materialize(*GROUNDWORK)
    assert {plate for plate, check in evaluations(result, HISTOGRAMS).items() if not check.passed} == {
        "plate-002",
        None,
    }
    assert line in wrong_in(result, HISTOGRAMS, "plate-002")


VECTOR = {"plate_id": "plate-001", "instrument": "one", "vector": [3.0, 4.0], "l2_norm": 5.0}


class TestRows:
    """Sound and unsound rows, computed by hand."""

    def vectors(self, **changed: object) -> list[str]:
        rows = pl.DataFrame([{**VECTOR, **changed}], schema_overrides={"vector": pl.List(pl.Float32)})
        return list(unsound_vectors(rows, {"one": 2}))

    def test_a_sound_vector(self):
        assert self.vectors() == []

    @pytest.mark.parametrize(
        ("changed", "line"),
        [
            ({"vector": [3.0, 4.0, 0.0]}, "3 values, declared 2"),
            ({"vector": [3.0, float("nan")]}, "not finite"),
            ({"vector": [3.0, float("inf")]}, "not finite"),
            ({"vector": [0.0, 0.0], "l2_norm": 0.0}, "of length 0, expected 0.001 to 1e+06"),
            ({"vector": [3e7, 4e7], "l2_norm": 5e7}, "of length 5e+07"),
            ({"l2_norm": 5.01}, "l2_norm 5.01, found 5.0"),
            ({"l2_norm": float("nan")}, "l2_norm nan"),
            ({"instrument": "other"}, "2 values, declared None"),
        ],
    )
    def test_an_unsound_vector_is_named(self, changed, line):
        (found,) = self.vectors(**changed)
        assert found.startswith(f"plate-001 {changed.get('instrument', 'one')}: ")
        assert line in found

    def test_vectors_of_another_type_are_refused(self):
        rows = pl.DataFrame([VECTOR], schema_overrides={"vector": pl.List(pl.Float64)})
        assert list(unsound_vectors(rows, {"one": 2})) == ["vectors are List(Float64), expected a list of float32"]

    def test_scores_sum_to_one_unless_there_is_only_one(self):
        names = ["plate_id", "instrument", "score", "logit"]
        rows = [("p", "a", 0.25, 1.0), ("p", "a", 0.75, 2.0), ("p", "b", 0.5, 1.0), ("p", "b", 0.4, 1.0)]
        rows += [("p", "rating", 6.5, 6.5), ("q", "rating", float("nan"), 1.0)]
        assert list(unsound_scores(pl.DataFrame(rows, names, orient="row"))) == [
            "p b: scores sum to 0.9",
            "q rating: a score is not finite",
        ]

    @pytest.mark.parametrize(
        ("changed", "line"),
        [
            ({}, ""),
            ({"area_px": 3}, "area 2, recorded 3"),
            ({"mask_sha256": "0" * 64}, "recorded 000000000000..."),
            ({"x_max": 3}, "box (1, 0, 2, 2), recorded (1, 0, 3, 2)"),
        ],
    )
    def test_a_mask_has_its_area_digest_and_box(self, changed, line):
        """The right column of a raster of 2 x 2, column-major: two pixels off, two on."""
        from atlas_resources.measures.masks import run_lengths

        counts = run_lengths.encode(np.array([[False, True], [False, True]]))
        row = {
            **{"plate_id": "p", "instrument": "i", "segment_id": "mask-0001", "height_px": 2, "width_px": 2},
            **{"mask_rle": counts, "mask_sha256": run_lengths.mask_sha256(counts, 2, 2), "area_px": 2},
            **{"x_min": 1, "y_min": 0, "x_max": 2, "y_max": 2},
        }
        found = list(unsound_masks(pl.DataFrame([{**row, **changed}])))
        assert [text.partition(line)[1] for text in found] == ([line] if line else [])

"""The drawn truth judges foregrounds and nearest plates."""

import json
from pathlib import Path

import duckdb
import numpy as np
import pytest
from PIL import Image

from atlas_assets.demo.judgement import Disagreement, disagreements, read_kinds, score_reading, score_segments
from atlas_resources.measures.masks import run_lengths

SUBJECT = (slice(2, 8), slice(2, 8))  # 36 pixels of 10 x 10


def mask(*parts: tuple[slice, slice]) -> np.ndarray:
    pixels = np.zeros((10, 10), dtype=bool)
    for part in parts:
        pixels[part] = True
    return pixels


@pytest.fixture
def truth(tmp_path: Path) -> Path:
    """Three drawn plates: two birds and a shell, each with the same square subject."""
    for number, kind in enumerate(("bird", "bird", "shell"), start=1):
        Image.fromarray(mask(SUBJECT)).save(tmp_path / f"plate-{number:03d}.mask.png")
        (tmp_path / f"plate-{number:03d}.json").write_text(json.dumps({"kind": kind}), encoding="utf-8")
    return tmp_path


def catalogue(*segments: tuple[str, str, np.ndarray, str]) -> duckdb.DuckDBPyConnection:
    """The columns that are read of `segments`: plate, instrument, mask, class, all current."""
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE segments (plate_id VARCHAR, instrument VARCHAR, segment_id VARCHAR, height_px INT, width_px INT, "
        "mask_rle VARCHAR, class_name VARCHAR, is_current BOOLEAN)"
    )
    for number, (plate_id, instrument, pixels, class_name) in enumerate(segments):
        row = [plate_id, instrument, f"mask-{number:04d}", 10, 10, run_lengths.encode(pixels), class_name]
        connection.execute("INSERT INTO segments VALUES (?, ?, ?, ?, ?, ?, ?, true)", row)
    return connection


def test_the_segments_on_the_subject_are_compared_with_it(truth: Path):
    """Half of the subject (18 of 36 pixels), and beside it a speck of 4 pixels that is not on the subject."""
    half, speck = mask((slice(2, 5), slice(2, 8))), mask((slice(0, 2), slice(8, 10)))
    made = catalogue(
        ("plate-001", "otsu", half, "printed"),
        ("plate-001", "otsu", speck, "printed"),
        ("plate-001", "otsu", ~half, "paper"),
    )
    assert score_segments(made, truth, "otsu") == {"plate-001": pytest.approx(18 / 36)}


def test_a_salient_mask_that_takes_paper_with_it_loses_by_that(truth: Path):
    made = catalogue(("plate-001", "net", mask((slice(2, 8), slice(2, 10))), "salient"))
    assert score_segments(made, truth, "net") == {"plate-001": pytest.approx(36 / 48)}


def test_a_mask_that_is_mostly_elsewhere_scores_nothing(truth: Path):
    made = catalogue(("plate-001", "net", mask((slice(7, 10), slice(0, 10))), "salient"))
    assert score_segments(made, truth, "net") == {"plate-001": 0.0}


def test_plates_that_were_not_drawn_are_not_judged(truth: Path):
    made = catalogue(("heron", "net", mask(SUBJECT), "salient"))
    assert score_segments(made, truth, "net") == {}


def test_encoders_are_judged_where_they_differ(truth: Path):
    kinds = read_kinds(truth)
    assert kinds == {"plate-001": "bird", "plate-002": "bird", "plate-003": "shell"}
    one = {"plate-001": "plate-002", "plate-002": "plate-001", "plate-003": "plate-001"}
    other = {"plate-001": "plate-003", "plate-002": "plate-001", "plate-003": "plate-002"}
    assert disagreements(one, other, kinds) == (
        3,
        [
            Disagreement("plate-001", ("plate-002", "plate-003"), (True, False)),
            Disagreement("plate-003", ("plate-001", "plate-002"), (False, False)),
        ],
    )


def test_without_drawn_kinds_they_differ_and_nobody_is_right():
    compared = disagreements({"a": "b", "b": "a"}, {"a": "c", "b": "a"}, {})
    assert compared == (2, [Disagreement("a", ("b", "c"), (None, None))])


def readings(*lines: tuple[str, str, bool]) -> duckdb.DuckDBPyConnection:
    """Current lines (plate, text, whether above the threshold) of `reader`, which has read all three plates."""
    connection = duckdb.connect()
    connection.execute(
        "CREATE TABLE texts (plate_id VARCHAR, instrument VARCHAR, text_id VARCHAR, text VARCHAR, "
        "is_above_threshold BOOLEAN, is_current BOOLEAN)"
    )
    connection.execute("CREATE TABLE runs (plate_id VARCHAR, instrument VARCHAR, is_current BOOLEAN)")
    connection.execute("INSERT INTO runs SELECT 'plate-00' || number, 'reader', true FROM range(1, 4) AS t(number)")
    for number, (plate_id, text, is_above) in enumerate(lines):
        row = [plate_id, f"line-{number:04d}", text, is_above]
        connection.execute("INSERT INTO texts VALUES (?, 'reader', ?, ?, ?, true)", row)
    return connection


class TestReading:
    @pytest.fixture
    def lettered(self, tmp_path: Path) -> Path:
        for number in (1, 2):
            lettering = {"kind": "bird", "lettering": ["PLATE 1.", "Red Bird"]}
            (tmp_path / f"plate-{number:03d}.json").write_text(json.dumps(lettering), encoding="utf-8")
        return tmp_path

    def test_errors_are_counted_over_all_that_was_drawn(self, lettered: Path):
        """By hand: 2 plates of 17 characters and 4 words. Plate 1 has one letter changed; plate 2 lacks ` Red Bird`,
        9 characters, and two words."""
        made = readings(
            ("plate-001", "PLATE 1.", True), ("plate-001", "Rod Bird", True), ("plate-002", "PLATE 1.", True)
        )
        errors = score_reading(made, lettered, "reader")
        assert errors is not None
        assert errors.character_error_rate == pytest.approx((1 + 9) / 34)
        assert errors.word_error_rate == pytest.approx((1 + 2) / 8)
        assert (errors.plates, errors.line_count, errors.whole_line_count) == (2, 4, 2)

    def test_what_is_read_beside_the_lettering_is_an_error_unless_it_is_below_the_threshold(self, lettered: Path):
        right = [(f"plate-00{number}", text, True) for number in (1, 2) for text in ("PLATE 1.", "Red Bird")]
        errors = score_reading(readings(*right, ("plate-002", "ink", True)), lettered, "reader")
        assert errors is not None
        assert errors.word_error_rate == pytest.approx(1 / 8)
        errors = score_reading(readings(*right, ("plate-002", "ink", False)), lettered, "reader")
        assert errors is not None
        assert (errors.character_error_rate, errors.word_error_rate) == (0, 0)

    def test_without_drawn_plates_there_is_nothing_to_judge(self, tmp_path: Path):
        assert score_reading(readings(("plate-001", "PLATE 1.", True)), tmp_path, "reader") is None

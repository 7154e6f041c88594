"""Rows of each role are compared by what their columns hold; distances are those of a hand calculation."""

from typing import Any

import numpy as np
import polars as pl
import pytest

from atlas_assets.reproduction.comparison import FOLLOWERS, PLATE_WIDE, RULES, compare_rows, measured_columns, rule_of
from atlas_resources.instruments.fast_modes import EXACT_TOLERANCE, FAST_TOLERANCE, MIN_COSINE, tolerance_of
from atlas_resources.instruments.spec.numeric import Numeric, mode_of
from atlas_resources.measures.masks import run_lengths
from atlas_resources.plates.records.reproduction import ColumnDifference
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import frame_of

RED, GREEN = [53.24, 80.09, 67.2], [87.73, -86.18, 83.18]
LIMIT = EXACT_TOLERANCE


def rows_of(role: str, *rows: dict[str, Any]) -> pl.DataFrame:
    return frame_of(measured_columns(role), rows)


def compared(role: str, sealed: dict[str, Any] | list, repeated: dict[str, Any] | list) -> list[ColumnDifference]:
    before, after = (rows_of(role, *(rows if isinstance(rows, list) else [rows])) for rows in (sealed, repeated))
    return list(compare_rows(role, before, after, LIMIT).differences)


def only(differences: list[ColumnDifference]) -> tuple[str, str, Any, float, str]:
    (one,) = differences
    return one.column, one.measure, pytest.approx(one.largest, rel=1e-6), one.tolerance, one.row


def vector(*values: float, **columns: Any) -> dict[str, Any]:
    return {"scope": "plate", "vector": [float(value) for value in values], **columns}


class TestVectors:
    def test_equal_rows_have_no_difference_and_the_cosine_is_1(self):
        rows = rows_of("embedding", vector(3, 4), {"scope": "tile", "tile_id": "2x2-r0c0", "vector": [1, 0]})
        comparison = compare_rows("embedding", rows, rows, LIMIT)
        assert comparison.differences == ()
        assert comparison.cosine_min == pytest.approx(1)

    def test_the_difference_is_its_length_over_the_sealed_length(self):
        """From 3, 4 to 3, 4.5: 0.5 over 5."""
        assert only(compared("embedding", vector(3, 4), vector(3, 4.5))) == ("vector", "relative", 0.1, 1e-4, "plate")

    def test_the_farthest_row_is_named_by_its_key_and_the_cosine_is_the_smallest(self):
        """3, 4 to 4, 3 has cosine 24 / 25; its difference is the square root of 2, over 5."""
        tile = {"scope": "tile", "tile_id": "2x2-r0c1"}
        before = rows_of("embedding", vector(3, 4), {**tile, "vector": [3.0, 4.0]})
        after = rows_of("embedding", vector(3, 4.0001), {**tile, "vector": [4.0, 3.0]})
        comparison = compare_rows("embedding", before, after, LIMIT)
        assert only(list(comparison.differences)) == ("vector", "relative", 2**0.5 / 5, 1e-4, "tile 2x2-r0c1")
        assert comparison.cosine_min == pytest.approx(0.96)
        assert comparison.beyond == comparison.differences

    def test_within_the_tolerance_nothing_is_beyond(self):
        before, after = (rows_of("embedding", vector(3, value)) for value in (4, 4.0001))
        comparison = compare_rows("embedding", before, after, LIMIT)
        assert comparison.beyond == ()
        assert 0 < comparison.differences[0].largest <= 1e-4

    @pytest.mark.parametrize("other", [[3.0, 4.0, 0.0], [float("nan"), 4.0], None])
    def test_a_vector_of_another_length_or_without_numbers_is_unequal(self, other):
        found = compared("embedding", vector(3, 4), {"scope": "plate", "vector": other})
        assert only(found) == ("vector", "unequal_rows", 1, 0, "plate")

    def test_a_box_in_whole_pixels_must_be_equal(self):
        assert only(compared("embedding", vector(1, x_min=10), vector(1, x_min=11))) == (
            "x_min", "unequal_rows", 1, 0, "plate"
        )  # fmt: skip

    def test_a_column_that_the_sealed_file_lacks_is_not_compared(self):
        before = rows_of("embedding", vector(1)).drop("tile_id")
        after = rows_of("embedding", vector(1, tile_id=None, crop_policy="box"))
        found = compare_rows("embedding", before.drop("crop_policy"), after, LIMIT)
        assert found.differences == ()


class TestRowsThatOneSideLacks:
    def test_they_are_counted_and_named(self):
        names = [{"segment_id": f"mask-000{number}", "height_px": 4, "width_px": 4} for number in (1, 2, 3)]
        found = compared("segmentation", names, names[:1])
        assert only(found) == ("(rows)", "unequal_rows", 2, 0, "mask-0002, mask-0003")

    def test_an_empty_result_equals_an_empty_one(self):
        assert compared("detection", [], []) == []


def mask(*columns: int, **fields: Any) -> dict[str, Any]:
    """A mask of some columns of a plate of 10 x 10 px."""
    pixels = np.zeros((10, 10), bool)
    pixels[:, list(columns)] = True
    counts = run_lengths.encode(pixels)
    digest = run_lengths.mask_sha256(counts, 10, 10)
    size = {"height_px": 10, "width_px": 10, "mask_sha256": digest}
    return {"segment_id": "mask-0001", "mask_rle": counts, "area_px": int(pixels.sum()), **size, **fields}


class TestMasks:
    def test_the_difference_is_1_minus_intersection_over_union(self):
        """4 columns and 5, 4 in common: 1 - 4 / 5. What follows from the mask is not counted again."""
        found = compared("segmentation", mask(0, 1, 2, 3), mask(0, 1, 2, 3, 4, hole_count=1))
        assert only(found) == ("mask_rle", "pixel_share", 0.2, 0.01, "mask-0001")

    def test_what_is_measured_of_an_equal_mask_is_compared(self):
        found = compared("segmentation", mask(1, solidity=0.5), mask(1, solidity=0.75))
        assert only(found) == ("solidity", "relative", 0.25, 1e-4, "mask-0001")

    def test_a_class_must_be_equal_also_where_the_masks_differ(self):
        found = compared("segmentation", mask(1, class_name="paper"), mask(2, class_name="printed"))
        assert [(one.column, one.measure) for one in found] == [
            ("class_name", "unequal_rows"), ("mask_rle", "pixel_share")
        ]  # fmt: skip

    def test_masks_of_other_plate_sizes_are_unequal(self):
        found = compared("segmentation", mask(1), mask(1, height_px=20))
        assert ("mask_rle", "unequal_rows") not in [(one.column, one.measure) for one in found]  # equal run lengths
        assert ("height_px", "unequal_rows") in [(one.column, one.measure) for one in found]

    def test_a_palette_is_compared_by_ciede2000_and_by_its_shares(self):
        """CIEDE2000 of sRGB red and green is 86.6 (Lindbloom's calculator, from the Lab values above)."""
        palette = [[{"lab": lab, "srgb_hex": "#ff0000", "share": share}] for lab, share in ((RED, 1), (GREEN, 0.75))]
        found = compared("segmentation", mask(1, palette=palette[0]), mask(1, palette=palette[1]))
        assert [(one.column, one.measure) for one in found] == [
            ("palette", "delta_e"), ("palette.share", "pixel_share")
        ]  # fmt: skip
        assert found[0].largest == pytest.approx(86.6, abs=0.1)
        assert found[1].largest == pytest.approx(0.25)

    def test_a_palette_of_more_colours_is_unequal(self):
        colour = {"lab": RED, "srgb_hex": "#ff0000", "share": 0.5}
        found = compared("segmentation", mask(1, palette=[colour]), mask(1, palette=[colour, colour]))
        assert {(one.column, one.measure) for one in found} == {
            ("palette", "unequal_rows"), ("palette.share", "unequal_rows")
        }  # fmt: skip


class TestScoresAndBoxes:
    def test_scores_differ_by_their_difference_and_logits_as_one_vector(self):
        """Logits 3 and 4 to 3 and 4.5: 0.5 over 5, although a logit alone would be 0.5 over 4.5."""
        before = [{"label_index": number, "logit": logit, "score": 0.5} for number, logit in enumerate((3, 4))]
        after = [{**before[0]}, {**before[1], "logit": 4.5, "score": 0.75}]
        found = {one.column: one for one in compared("probe", before, after)}
        assert found["logit"].largest == pytest.approx(0.1)
        assert (found["score"].measure, found["score"].largest, found["score"].row) == ("score", 0.25, "1")
        comparison = compare_rows("probe", rows_of("probe", *before), rows_of("probe", *after), LIMIT)
        assert comparison.cosine_min == pytest.approx((9 + 18) / (5 * np.hypot(3, 4.5)))

    def test_an_edge_differs_in_pixels_and_its_ratio_is_not_counted_again(self):
        box = {"detection_id": "box-0001", "label": "bird", "x_min": 10.0, "x_min_ratio": 0.1}
        found = compared("detection", box, {**box, "x_min": 10.75, "x_min_ratio": 0.1075})
        assert only(found) == ("x_min", "box_px", 0.75, 0.5, "box-0001")

    def test_another_label_is_unequal(self):
        box = {"detection_id": "box-0001", "label": "bird"}
        assert only(compared("detection", box, {**box, "label": "kite"}))[:3] == ("label", "unequal_rows", 1)

    def test_polygons_must_be_equal(self):
        row = {"segment_id": "mask-0001", "multipolygon": "a"}
        found = compared("outline", row, {**row, "multipolygon": "b"})
        assert only(found)[:2] == ("multipolygon", "unequal_rows")

    def test_a_mean_colour_is_compared_by_ciede2000(self):
        row = {"segment_id": "mask-0001", "lab_mean": RED}
        (found,) = compared("palette", row, {**row, "lab_mean": [53.24, 80.09, 67.3]})
        assert found.measure == "delta_e"
        assert 0 < found.largest < 0.1


@pytest.mark.parametrize("role", INSTRUMENT_TABLES)
class TestEveryRole:
    def test_rules_and_followers_name_columns_of_the_role(self, role):
        names = {column.name for column in measured_columns(role)}
        followers = FOLLOWERS.get(role, {})
        assert set(RULES.get(role, {})) | set(PLATE_WIDE.get(role, ())) | set(followers) <= names
        assert set(followers.values()) <= names

    def test_a_change_of_any_column_is_found(self, role):
        """A null in place of a value is a difference in every column that is no key."""
        key = INSTRUMENT_TABLES[role].order_by[3:]
        columns = measured_columns(role)
        values = {column.name: value_of(column.dtype) for column in columns}
        before = rows_of(role, values)
        for column in columns:
            after = before.with_columns(pl.lit(None, column.dtype).alias(column.name))
            found = compare_rows(role, before, after, LIMIT).beyond
            assert {one.column.partition(".")[0] for one in found} == {"(rows)" if column.name in key else column.name}

    def test_numbers_with_a_fraction_have_a_rule(self, role):
        for column in measured_columns(role):
            if column.dtype in (pl.Float32, pl.Float64):
                assert rule_of(role, column) is not None


def value_of(dtype: Any) -> Any:
    if dtype == pl.String:
        return run_lengths.encode(np.eye(4, dtype=bool))
    if dtype == pl.Boolean:
        return True
    if isinstance(dtype, pl.List):
        inner = dtype.inner
        if isinstance(inner, pl.Struct):
            return [{"lab": RED, "srgb_hex": "#ff0000", "share": 1.0}]
        return [1, 2, 3] if inner.is_integer() else [1.0, 2.0, 3.0]
    return 4


class TestTolerance:
    def test_float32_and_a_fast_mode_have_their_own(self):
        assert tolerance_of(Numeric(dtype="float32", device="cpu")) == EXACT_TOLERANCE
        assert tolerance_of(Numeric(dtype="bfloat16", device="cuda")) == FAST_TOLERANCE

    def test_vectors_at_the_limit_of_a_fast_mode_have_the_cosine_of_the_golden_test(self):
        """Two unit vectors with an angle between them differ by twice the sine of its half."""
        angle = np.arccos(MIN_COSINE)
        assert FAST_TOLERANCE.relative == pytest.approx(2 * np.sin(angle / 2))

    def test_a_spec_may_declare_its_own_which_is_not_part_of_the_mode(self):
        plain = Numeric(dtype="float32", device="cpu")
        own = Numeric(dtype="float32", device="cpu", tolerance={"relative": 0.001})
        assert tolerance_of(own) == EXACT_TOLERANCE.model_copy(update={"relative": 0.001})
        assert mode_of(own) == mode_of(plain)
        assert "tolerance" not in plain.model_dump()


class TestTexts:
    def line(self, shift_px: float = 0.0, **columns: Any) -> dict[str, Any]:
        corners = [10.0 + shift_px, 10, 60, 10, 60, 30, 10, 30]
        return {
            "text_id": "line-0001",
            "text": "Snow Bird",
            "quadrilateral": corners,
            "x_min": 10.0 + shift_px,
            **columns,
        }

    def test_a_corner_that_moved_is_told_once_in_pixels(self):
        """x_min follows from the corners."""
        found = compared("text", self.line(), self.line(0.25))
        assert only(found) == ("quadrilateral", "box_px", 0.25, LIMIT.box_px, "line-0001")

    def test_a_letter_that_is_read_otherwise_is_another_row(self):
        found = compared("text", self.line(), self.line(text="Snon Bird"))
        assert only(found) == ("text", "unequal_rows", 1, 0, "line-0001")

    def test_a_score_that_crosses_the_threshold_is_told_by_the_score(self):
        before, after = self.line(score=0.75, is_above_threshold=False), self.line(score=1.0, is_above_threshold=True)
        assert only(compared("text", before, after)) == ("score", "score", 0.25, LIMIT.score, "line-0001")

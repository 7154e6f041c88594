"""Lines that two readings of a plate have in common are kept once, and lines are in reading order."""

import numpy as np
import pytest
from support.made_specs import project_spec

from atlas_resources.instruments.parameters.reading import PpocrParameters
from atlas_resources.models.loaders.readers._pages import in_reading_order, merge_readings, read_by_tiles
from atlas_resources.models.protocols import TextLine

PARAMETERS = PpocrParameters.model_validate(project_spec("ppocr_v6_small").parameters)
SMALL = PARAMETERS.model_copy(update={"tile_px": 400, "overlap_px": 100, "tiled_above_px": 500})


def line(text: str, left: float, top: float, width: float = 100, *, height: float = 20, score: float = 0.9) -> TextLine:
    right, bottom = left + width, top + height
    return TextLine(text, score, np.array([(left, top), (right, top), (right, bottom), (left, bottom)], float))


def texts(lines: list[TextLine]) -> list[str]:
    return [one.text for one in lines]


class TestMerging:
    def test_the_same_lettering_is_kept_once_as_the_reading_with_most_evidence_has_it(self):
        whole, tile = [line("Snow Bnd", 10, 10, score=0.5)], [line("Snow Bird", 12, 11, score=0.9)]
        assert texts(merge_readings([whole, tile], 0.5)) == ["Snow Bird"]

    def test_of_equals_the_first_reading_is_kept(self):
        assert texts(merge_readings([[line("one", 0, 0)], [line("two", 0, 0)]], 0.5)) == ["one"]

    def test_a_line_cut_by_a_tile_gives_way_to_the_whole_one(self):
        cut, whole = [line("American Fl", 300, 0, 100)], [line("American Flamingo", 300, 0, 160, score=0.85)]
        assert texts(merge_readings([cut, whole], 0.5)) == ["American Flamingo"]

    def test_two_words_and_one_line_are_the_same_lettering(self):
        """By hand: 16 at 0.85 are 13.6, 16 at 0.87 are 13.92; 7 + 7 at 0.98 are 13.72."""
        words = [line("American", 0, 0, 80, score=0.98), line("Flamingo", 85, 0, 80, score=0.98)]
        together = [line("American Flamingo", 0, 0, 165, score=0.85)]
        assert texts(merge_readings([together, words], 0.5)) == ["American", "Flamingo"]
        assert texts(merge_readings([words, [line("American Flamingo", 0, 0, 165, score=0.87)]], 0.5)) == [
            "American Flamingo"
        ]

    def test_lines_of_one_reading_and_lines_that_barely_touch_are_all_kept(self):
        assert len(merge_readings([[line("one", 0, 0), line("two", 0, 0)]], 0.5)) == 2
        assert len(merge_readings([[line("one", 0, 0)], [line("two", 60, 0)]], 0.5)) == 2  # 40 of 100 px in common
        assert len(merge_readings([[line("one", 0, 0)], [line("two", 50, 0)]], 0.5)) == 1  # 50 of 100


class TestReadingOrder:
    def test_rows_from_the_top_and_within_a_row_from_the_left(self):
        found = in_reading_order([line("d", 0, 100), line("b", 200, 3), line("c", 400, -4), line("a", 0, 0)])
        assert texts(found) == ["a", "b", "c", "d"]

    def test_a_line_half_its_height_lower_begins_a_row(self):
        assert texts(in_reading_order([line("b", 0, 10), line("a", 200, 0)])) == ["a", "b"]
        assert texts(in_reading_order([line("a", 0, 9), line("b", 200, 0)])) == ["a", "b"]

    def test_nothing_is_in_order(self):
        assert in_reading_order([]) == []


class TestTiles:
    def test_a_small_plate_is_read_once(self):
        seen = []
        assert (
            read_by_tiles(lambda pixels: seen.append(pixels.shape) or [], np.zeros((500, 300, 3), np.uint8), SMALL)
            == []
        )
        assert seen == [(500, 300, 3)]

    def test_tiles_cover_a_large_one_and_their_lines_are_in_the_plates_pixels(self):
        """Each tile reports the pixel that is set in it, and that is one place of the plate."""
        plate = np.zeros((400, 1000, 3), np.uint8)
        plate[50, 650] = 255
        shapes = []

        def read(pixels: np.ndarray) -> list[TextLine]:
            shapes.append(pixels.shape[:2])
            rows, columns, _ = np.nonzero(pixels)
            return [line("dot", int(columns[0]), int(rows[0]), 10, height=10)] if len(rows) else []

        (found,) = read_by_tiles(read, plate, SMALL)
        assert found.corners[0].tolist() == [650, 50]
        assert shapes == [(400, 1000), (400, 400), (400, 400), (400, 400)]


def test_tiles_that_do_not_advance_are_refused():
    with pytest.raises(ValueError, match="overlap_px is less than tile_px, found 400 of 400"):
        PpocrParameters.model_validate({**SMALL.model_dump(), "overlap_px": 400})

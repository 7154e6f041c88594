"""Single values of the page: years, messages, paths of outlines, sheets, the nearest segments."""

import json

import duckdb
import numpy as np
import pytest
import shapely
from support.page_sql import rows_of

from atlas_resources.catalogue.build import empty_catalogue
from atlas_resources.instruments.registry import read_registry
from atlas_resources.measures.masks.outlines import fill_outline
from atlas_resources.measures.masks.run_lengths import encode
from atlas_resources.page.details.nearest import find_nearest
from atlas_resources.page.details.outlines import path_of_mask, path_of_polygons
from atlas_resources.page.details.readings import read_detections
from atlas_resources.page.folder.files import script
from atlas_resources.page.folder.pictures import picture_size
from atlas_resources.page.folder.sprites import sheet_shape
from atlas_resources.page.library.plates import answer_words, first_year
from atlas_resources.page.library.records import read_failures, read_refused_scans
from atlas_resources.page.shown import Shown
from atlas_resources.page.values import number, without_folders

EMBEDDER = "otsu_luma_efficientnet_lite0"


@pytest.mark.parametrize(
    ("extra", "year"),
    [
        ({"year": "c. 1830"}, 1830),
        ({"Year": 1827}, 1827),
        ({"date": "between 1827 and 1838"}, 1827),
        ({"year": "189", "date": "1776"}, 1776),
        ({"year": "12345"}, None),
        ({"artist": "born 1785"}, None),
        ({}, None),
    ],
)
def test_a_year_is_the_first_of_a_column_that_states_one(extra, year):
    assert first_year(json.dumps(extra)) == year
    assert first_year(None) is None


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("/home/ada/scans/plate.tif: is empty", "…/plate.tif: is empty"),
        ("expected '/data/atlas/source/a.png', found none", "expected '…/a.png', found none"),
        ("see https://example.org/a/b/c.html", "see https://example.org/a/b/c.html"),
        ("1/2 of embeddings/dinov2_base", "1/2 of embeddings/dinov2_base"),
    ],
)
def test_a_message_names_no_folder_of_the_machine(message, shown):
    assert without_folders(message) == shown


def test_numbers_have_nine_digits_and_none_is_without_a_form_in_json():
    assert number(0.1234567891234) == 0.123456789
    assert [number(value) for value in (None, float("nan"), float("inf"))] == [None, None, None]
    with pytest.raises(ValueError, match="not JSON compliant"):
        script("x", {"y": float("nan")})


def test_words_of_an_answer_are_its_texts():
    assert answer_words('{"species": "owl", "where": ["tree", {"near": "water"}], "count": 2}') == "owl\ntree\nwater"
    assert answer_words("{no json") == "{no json"


@pytest.mark.parametrize(
    ("source", "picture"), [((4000, 5000), (1280, 1600)), ((800, 600), (800, 600)), ((100_000, 10), (1600, 1))]
)
def test_a_picture_is_never_enlarged_and_has_a_pixel_at_least(source, picture):
    assert picture_size(*source) == picture


@pytest.mark.parametrize(
    ("plates", "cell", "columns", "rows", "sheets"),
    [(1, 128, 16, 1, 1), (24, 128, 16, 2, 1), (435, 128, 16, 16, 2), (1000, 128, 16, 16, 4), (10_000, 64, 32, 32, 10)],
)
def test_sheets_have_a_cell_for_each_plate_and_no_side_over_2048_px(plates, cell, columns, rows, sheets):
    shape = sheet_shape(plates)
    assert (shape.cell_px, shape.columns, shape.rows, shape.sheet_count) == (cell, columns, rows, sheets)
    assert max(columns, rows) * cell <= 2048
    assert columns * rows * sheets >= plates


def ring(size: int = 200) -> np.ndarray:
    """A ring off the centre, so that a wrong axis or origin shows."""
    rows, columns = np.mgrid[:size, : size * 3 // 2]
    radius = np.hypot(rows - size * 0.4, columns - size * 0.9)
    return (radius < size * 0.35) & (radius > size * 0.2)


def filled(path: str, height: int, width: int) -> np.ndarray:
    """The pixels inside a path by the even-odd rule."""
    rings = [
        [[float(number) for number in corner.split()] for corner in part.split("L")] for part in path[1:-1].split("ZM")
    ]
    inside = np.zeros((height, width), np.bool_)
    for corners in rings:
        inside ^= fill_outline(shapely.MultiPolygon([shapely.Polygon(corners)]), height, width)
    return inside


def agreement(one: np.ndarray, other: np.ndarray) -> float:
    return np.count_nonzero(one & other) / np.count_nonzero(one | other)


class TestOutlines:
    def test_a_traced_mask_is_filled_to_itself_with_its_hole(self):
        mask = ring()
        path = path_of_mask(encode(mask), 200, 300, (300, 200))
        assert path.count("M") == 2
        assert agreement(filled(path, 200, 300), mask) > 0.97

    def test_a_mask_is_traced_at_the_size_of_the_picture(self):
        path = path_of_mask(encode(ring(400)), 400, 600, (300, 200))
        assert agreement(filled(path, 200, 300), ring()) > 0.97

    def test_a_line_that_is_thinner_than_a_pixel_of_the_picture_is_still_drawn(self):
        mask = np.zeros((100, 4000), np.bool_)
        mask[50:51] = True
        path = path_of_mask(encode(mask), 100, 4000, (400, 10))
        assert path.startswith("M")
        assert "400 5" in path  # row 50 of 100 at a tenth

    def test_polygons_of_an_instrument_are_scaled_and_keep_their_holes(self):
        square = [[100, 100], [500, 100], [500, 300], [100, 300], [100, 100]]
        hole = [[200, 150], [200, 250], [300, 250], [300, 150], [200, 150]]
        speck = [[400, 200], [400, 202], [402, 202], [402, 200], [400, 200]]
        shape = json.dumps({"type": "MultiPolygon", "coordinates": [[square, hole, speck]]})
        assert path_of_polygons(shape, 0.5) == "M50 50L250 50L250 150L50 150ZM100 75L100 125L150 125L150 75Z"


def shown_of(catalogue: duckdb.DuckDBPyConnection, plates: list[str], run: str = "run") -> Shown:
    runs = frozenset((plate, run) for plate in plates)
    return Shown(catalogue, False, {plate: place for place, plate in enumerate(plates)}, runs, (), True, ())


def insert(catalogue: duckdb.DuckDBPyConnection, table: str, *rows: dict) -> None:
    for row in rows:
        values = ", ".join("?" for _ in row)
        catalogue.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({values})", list(row.values()))


@pytest.fixture(scope="module")
def empty():
    return empty_catalogue(read_registry())


@pytest.fixture
def catalogue(empty):
    """A catalogue without rows, whose rows are taken back."""
    empty.execute("BEGIN")
    yield empty
    empty.execute("ROLLBACK")


def test_the_nearest_segments_are_those_of_the_macro(catalogue):
    """Drawn vectors of 30 plates with one to three segments, compared with `nearest_regions` one by one."""
    drawing = np.random.default_rng(5)
    plates = [f"plate-{number:03d}" for number in range(1, 31)]
    for place, plate in enumerate(plates):
        insert(catalogue, "plates", {"plate_id": plate, "title": plate})
        for segment in range(1 + place % 3):
            vector = drawing.normal(size=8).astype(np.float32)
            row = {"plate_id": plate, "segment_id": f"mask-{segment}", "instrument": EMBEDDER, "run_id": "run"}
            more = {"scope": "segment", "is_current": True, "vector_dim": 8, "l2_norm": float(np.linalg.norm(vector))}
            insert(catalogue, "embeddings", {**row, **more, "vector": vector.tolist()})
    catalogue.execute("COMMIT")  # the reader has a cursor of its own
    try:
        found = find_nearest(shown_of(catalogue, plates), EMBEDDER)
        for plate, segment in found.names:
            sql = f"FROM nearest_regions('{plate}', '{segment}', '{EMBEDDER}', 5)"
            said = [(row["plate_id"], row["segment_id"], row["cosine"]) for row in rows_of(catalogue, sql)]
            near = [(plates[one.plate], one.segment_id, one.cosine) for one in found.of(plate, segment)]
            assert [one[:2] for one in near] == [one[:2] for one in said]
            assert [one[2] for one in near] == pytest.approx([one[2] for one in said], rel=1e-8)
    finally:
        catalogue.execute("DELETE FROM embeddings; DELETE FROM plates; BEGIN")


def test_boxes_are_in_pixels_of_the_picture_and_the_surest_comes_first(catalogue):
    box = {"x_min": 100.0, "y_min": 200.0, "x_max": 300.0, "y_max": 401.0}
    of_plate = {"plate_id": "plate-001", "instrument": "detr", "run_id": "run", "is_current": True, **box}
    for name, score in (("det-1", 0.25), ("det-2", 0.75)):
        insert(catalogue, "detections", {**of_plate, "detection_id": name, "label": "bird", "score": score})
    insert(catalogue, "detections", {**of_plate, "detection_id": "det-3", "label": "owl", "run_id": "hidden"})
    (found,) = read_detections(shown_of(catalogue, ["plate-001"]), ["plate-001"], {"plate-001": 0.5})["plate-001"]
    assert [(one.detection_id, one.score) for one in found.detections] == [("det-2", 0.75), ("det-1", 0.25)]
    assert found.detections[0].box.model_dump() == {"x_min": 50.0, "y_min": 100.0, "x_max": 150.0, "y_max": 200.5}
    assert "det-2" in str(rows_of(catalogue, found.sql))


def test_many_plates_that_lack_the_same_are_counted(catalogue):
    plates = [f"plate-{number:03d}" for number in range(60)]
    lacking = {"is_active": True, "state": "missing", "reason": "not measured"}
    for place, plate in enumerate(plates):
        insert(catalogue, "completeness", {"plate_id": plate, "instrument": "dinov2_base", **lacking})
        if place < 2:
            insert(catalogue, "completeness", {"plate_id": plate, "instrument": "u2netp", **lacking})
    failures = read_failures(shown_of(catalogue, plates))
    assert [(one.plate, one.instrument, one.reason) for one in failures] == [
        (None, "dinov2_base", "60 plates: not measured"),
        (0, "u2netp", "not measured"),
        (1, "u2netp", "not measured"),
    ]


def test_of_a_refused_file_elsewhere_the_name_is_shown(catalogue):
    for path in ("/home/ada/scans/torn.tif", "plates/empty.png"):
        insert(catalogue, "refused_scans", {"path": path, "reason": f"{path}: is empty"})
    found = read_refused_scans(shown_of(catalogue, []))
    assert [one.path for one in found] == ["torn.tif", "plates/empty.png"]
    assert found[0].reason == "…/torn.tif: is empty"

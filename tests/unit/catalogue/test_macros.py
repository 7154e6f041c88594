"""Macros rank by hand-computed numbers, take arguments from other tables, and refuse what they do not know."""

import duckdb
import pytest
from support.made_catalogue import made_catalogue, vector_row

NAN, INFINITY = float("nan"), float("inf")
PLATES = [{"plate_id": f"plate-{number:03d}", "title": f"Title {number}"} for number in range(1, 8)]
VECTORS = [
    vector_row("plate-001", (3, 4)),
    vector_row("plate-002", (4, 3)),
    vector_row("plate-003", (0, 2)),
    vector_row("plate-004", (0, 0)),
    vector_row("plate-005", (NAN, 1)),
    vector_row("plate-006", (INFINITY, 1)),
    vector_row("plate-002", (3, 4), is_current=False),
    vector_row("plate-001", (1, 0), "tile", tile_id="2x2-r1c1", instrument="tiler"),
    vector_row("plate-001", (0, 1), "plate", instrument="tiler"),
    vector_row("plate-002", (1, 1), "tile", tile_id="2x2-r1c2", instrument="tiler"),
    vector_row("plate-002", (0, 0), "tile", tile_id="2x2-r2c2", instrument="tiler"),
    vector_row("plate-001", (1, 0), "segment", segment_id="mask-0001", instrument="regions"),
    vector_row("plate-002", (1, 1), "segment", segment_id="mask-0001", instrument="regions"),
    vector_row("plate-002", (1, 0), "segment", segment_id="mask-0002", instrument="regions"),
    vector_row("plate-003", (0, 1), "segment", segment_id="mask-0001", instrument="regions"),
]
HISTOGRAMS = [
    {"plate_id": "plate-001", "pixel_count": 4, "lab": [4, 0], "is_current": True},
    {"plate_id": "plate-002", "pixel_count": 4, "lab": [1, 3], "is_current": True},
    {"plate_id": "plate-003", "pixel_count": 4, "lab": [0, 4], "is_current": True},
    {"plate_id": "plate-004", "pixel_count": 4, "lab": [4, 0], "is_current": False},
]
MODELS = [{"instrument": key} for key in ("embedder", "tiler", "regions", "otsu_luma", "dinov2_base")]
RUN = {
    **{"run_id": "run-1", "plate_id": "plate-001", "instrument": "regions", "role": "embedding", "is_current": True},
    "inputs": [{"path": "source/a.png", "sha256": "aa"}, {"path": "runs/run-0/s.parquet", "sha256": "bb"}],
    "outputs": [{"path": "runs/run-1/preview.webp", "sha256": "ff"}, {"path": "runs/run-1/e.parquet", "sha256": "ee"}],
}


@pytest.fixture(scope="module")
def connection():
    with made_catalogue(
        plates=PLATES, embeddings=VECTORS, histograms=HISTOGRAMS, models=MODELS, runs=[RUN]
    ) as connection:
        yield connection


class TestRanking:
    def test_nearest_leaves_out_vectors_without_a_direction(self, connection):
        """By hand: (3*4 + 4*3) / (5*5) and 4*2 / (5*2). Zero and not finite vectors never rank."""
        assert connection.execute("FROM nearest('plate-001', 'embedder', 9)").fetchall() == [
            ("plate-002", "Title 2", pytest.approx(0.96)),
            ("plate-003", "Title 3", pytest.approx(0.8)),
        ]

    @pytest.mark.parametrize("plate_id", ["plate-004", "plate-005", "plate-006", "plate-007"])
    def test_a_plate_without_a_direction_or_not_measured_has_no_neighbours(self, connection, plate_id):
        assert connection.execute(f"FROM nearest('{plate_id}', 'embedder', 9)").fetchall() == []

    def test_nearest_tiles_of_a_tile_and_of_the_whole_plate(self, connection):
        query = "SELECT plate_id, tile_id, cosine FROM nearest_tiles('plate-001', {}, 'tiler', 9)"
        expected = [("plate-002", "2x2-r1c2", pytest.approx(0.5**0.5))]  # cos 45 degrees
        assert connection.execute(query.format("'2x2-r1c1'")).fetchall() == expected
        assert connection.execute(query.format("NULL")).fetchall() == expected

    def test_nearest_regions_takes_the_best_segment_of_each_plate(self, connection):
        rows = connection.execute("FROM nearest_regions('plate-001', 'mask-0001', 'regions', 9)").fetchall()
        assert rows == [("plate-002", "Title 2", "mask-0002", 1.0), ("plate-003", "Title 3", "mask-0001", 0.0)]

    def test_text_nearest_takes_any_list_of_numbers(self, connection):
        for vector in ("[0, 1]", "[0, 1]::FLOAT[2]", "[0.0, 1e-30]::DOUBLE[]"):
            rows = connection.execute(f"FROM text_nearest({vector}, 'embedder', 1)").fetchall()
            assert rows == [("plate-003", "Title 3", 1.0)]

    def test_cosines_are_of_every_scope(self, connection):
        rows = connection.execute(
            "SELECT scope, cosine FROM cosines([0, 1], 'tiler') ORDER BY scope, cosine"
        ).fetchall()
        assert rows == [("plate", 1.0), ("tile", 0.0), ("tile", pytest.approx(0.5**0.5))]

    def test_histogram_nearest(self, connection):
        """By hand: the shares (1, 0) and (1/4, 3/4) have the Hellinger distance sqrt(1 - sqrt(1/4))."""
        assert connection.execute("FROM histogram_nearest('plate-001', 9)").fetchall() == [
            ("plate-002", "Title 2", pytest.approx(0.5**0.5)),
            ("plate-003", "Title 3", 1.0),
        ]


class TestArgumentsFromAnotherTable:
    """DuckDB replaces a parameter by the argument's text, which must not meet a column of the macro's own tables."""

    @pytest.mark.parametrize(
        "query",
        [
            "FROM plates, nearest(plates.plate_id, 'embedder', 1) AS near",
            "FROM plates, nearest(plate_id, 'embedder', 1) AS near",
            "FROM plates AS others, nearest(others.plate_id, 'embedder', 1) AS near",
            "FROM plates AS asked, LATERAL (FROM nearest(asked.plate_id, 'embedder', 1)) AS near",
            "FROM embeddings, nearest(embeddings.plate_id, embeddings.instrument, 1) AS near "
            "WHERE embeddings.is_current AND embeddings.instrument = 'embedder'",
        ],
    )
    def test_each_row_has_its_own_neighbour(self, connection, query):
        rows = connection.execute(f"SELECT COLUMNS(*)::VARCHAR {query}").fetchall()
        names = [column[0] for column in connection.execute(f"{query} LIMIT 0").description]
        first, last = names.index("plate_id"), len(names) - 1 - names[::-1].index("plate_id")
        assert {(row[first], row[last]) for row in rows} == {
            ("plate-001", "plate-002"),
            ("plate-002", "plate-001"),
            ("plate-003", "plate-001"),
        }

    def test_histograms_and_provenance_too(self, connection):
        rows = connection.execute(
            "SELECT p.plate_id, n.plate_id FROM plates AS p, histogram_nearest(p.plate_id, 1) AS n ORDER BY ALL"
        ).fetchall()
        assert rows == [("plate-001", "plate-002"), ("plate-002", "plate-003"), ("plate-003", "plate-002")]
        rows = connection.execute("SELECT plates.plate_id, run_id FROM plates, why(plates.plate_id, 'regions')")
        assert rows.fetchall() == [("plate-001", "run-1")]

    def test_vectors_too(self, connection):
        rows = connection.execute(
            "SELECT v.plate_id, n.plate_id FROM (FROM embeddings WHERE plate_id IN ('plate-001', 'plate-003') "
            "AND instrument = 'embedder') AS v, text_nearest(vector, 'embedder', 1) AS n ORDER BY ALL"
        )
        assert rows.fetchall() == [("plate-001", "plate-001"), ("plate-003", "plate-003")]


class TestRefusals:
    @pytest.mark.parametrize(
        ("call", "message"),
        [
            (
                "nearest('plate-01', 'embedder', 3)",
                "nearest: no plate 'plate-01'. Did you mean plate-001, plate-002, plate-003? "
                "7 plates are registered: FROM plates.",
            ),
            ("nearest('PLATE-001', 'embedder', 3)", "no plate 'PLATE-001'. Did you mean plate-001,"),
            ("nearest('heron', 'embedder', 3)", "no plate 'heron'. 7 plates are registered"),
            ("nearest(NULL, 'embedder', 3)", "nearest: no plate NULL. 7 plates"),
            ("nearest(1, 'embedder', 3)", "nearest: no plate '1'."),
            (
                "nearest('plate-001', 'Embeder', 3)",
                "nearest: no instrument 'Embeder'. Did you mean embedder? "
                "Instruments with current vectors of plates: embedder, tiler.",
            ),
            ("nearest('plate-001', NULL, 3)", "nearest: no instrument NULL."),
            ("nearest('plate-001', 'otsu_luma', 3)", "nearest: 'otsu_luma' has no current vectors of plates."),
            ("nearest('plate-001', 'embedder', NULL)", "nearest: expected k to be a whole number from 1, found NULL."),
            ("nearest('plate-001', 'embedder', -1)", "found -1."),
            ("nearest('plate-001', 'embedder', 0)", "found 0."),
            ("nearest('plate-001', 'embedder', 1.5)", "found 1.5."),
            (
                "nearest_tiles('plate-001', '2x2-r9c9', 'tiler', 3)",
                "nearest_tiles: no tile '2x2-r9c9'. Did you mean 2x2-r1c1? "
                "plate-001 has vectors of tiler of these tiles: 2x2-r1c1.",
            ),
            (
                "nearest_tiles('plate-001', NULL, 'embedder', 3)",
                "nearest_tiles: 'embedder' has no current vectors of tiles. "
                "Instruments with current vectors of tiles: tiler.",
            ),
            ("nearest_tiles('plate-099', NULL, 'tiler', 3)", "no plate 'plate-099'."),
            ("nearest_tiles('plate-001', NULL, 'tiler', NULL)", "found NULL."),
            (
                "nearest_regions('plate-001', 'mask-0002', 'regions', 3)",
                "nearest_regions: no segment 'mask-0002'. Did you mean mask-0001?",
            ),
            ("nearest_regions('plate-001', 'MASK-0001', 'regions', 3)", "Did you mean mask-0001?"),
            ("nearest_regions('plate-001', NULL, 'regions', 3)", "nearest_regions: no segment NULL."),
            ("nearest_regions('plate-005', 'mask-0001', 'regions', 3)", "of these segments: none."),
            (
                "nearest_regions('plate-001', 'mask-0001', 'embedder', 3)",
                "nearest_regions: 'embedder' has no current vectors of segments. "
                "Instruments with current vectors of segments: regions.",
            ),
            ("nearest_regions('plate-001', 'mask-0001', 'regions', NULL)", "found NULL."),
            (
                "text_nearest([1, 2, 3], 'embedder', 3)",
                "expected a vector of 2 numbers, as those of embedder, found 3.",
            ),
            ("text_nearest(NULL, 'embedder', 3)", "text_nearest: expected a vector, found NULL."),
            ("text_nearest([1, NULL], 'embedder', 3)", "expected a vector of numbers, found NULL in it."),
            (
                "text_nearest([0, 0], 'embedder', 3)",
                "text_nearest: expected a vector of finite numbers that are not all",
            ),
            ("text_nearest(['nan'::FLOAT, 1], 'embedder', 3)", "expected a vector of finite numbers"),
            ("text_nearest(['inf'::FLOAT, 1], 'embedder', 3)", "expected a vector of finite numbers"),
            ("text_nearest([0, 1], 'regions', 3)", "text_nearest: 'regions' has no current vectors of plates."),
            ("text_nearest([0, 1], 'embedder', NULL)", "found NULL."),
            (
                "cosines([0, 1], 'embeddr')",
                "cosines: no instrument with current vectors 'embeddr'. Did you mean embedder?",
            ),
            ("cosines([1], 'embedder')", "cosines: expected a vector of 2 numbers, as those of embedder, found 1."),
            ("cosines([0, 0], 'embedder')", "cosines: expected a vector of finite numbers"),
            ("histogram_nearest('Plate-001', 3)", "histogram_nearest: no plate 'Plate-001'. Did you mean plate-001,"),
            ("histogram_nearest('plate-001', NULL)", "histogram_nearest: expected k to be a whole number from 1"),
            ("why('plate-1', 'regions')", "why: no plate 'plate-1'. Did you mean plate-001,"),
            (
                "why('plate-001', 'dinov2')",
                "why: no instrument 'dinov2'. Did you mean dinov2_base? 5 instruments are declared: FROM models.",
            ),
        ],
    )
    def test_an_unknown_argument_is_an_error_that_names_near_names(self, connection, call, message):
        with pytest.raises(duckdb.InvalidInputException) as error:
            connection.execute(f"FROM {call}").fetchall()
        assert message in str(error.value)

    @pytest.mark.parametrize(
        "query", ["SELECT count(*) FROM {}", "SELECT 1 FROM {} LIMIT 1", "SELECT EXISTS (FROM {})"]
    )
    def test_a_query_that_needs_no_column_of_the_macro_is_an_error_too(self, connection, query):
        for call in ("nearest('plate-99', 'embedder', 3)", "why('plate-99', 'regions')", "cosines([1], 'embedder')"):
            with pytest.raises(duckdb.InvalidInputException):
                connection.execute(query.format(call)).fetchall()

    def test_one_unknown_plate_among_many_is_an_error(self, connection):
        query = "FROM (VALUES ('plate-001'), ('plate-099')) AS given(plate), nearest(given.plate, 'embedder', 1)"
        with pytest.raises(duckdb.InvalidInputException, match="no plate 'plate-099'"):
            connection.execute(query).fetchall()

    def test_parameters_of_a_prepared_statement_are_arguments(self, connection):
        assert len(connection.execute("FROM nearest(?, ?, ?)", ["plate-001", "embedder", 2]).fetchall()) == 2
        with pytest.raises(duckdb.InvalidInputException, match="no plate 'plate-01'"):
            connection.execute("FROM nearest(?, ?, ?)", ["plate-01", "embedder", 2]).fetchall()

    def test_names_that_are_not_near_are_not_suggested(self, connection):
        query = "SELECT did_you_mean('plate-1', ['plate-001', 'PLATE-1', 'mask-0001']), did_you_mean('heron', ['x'])"
        assert connection.execute(query).fetchone() == (" Did you mean PLATE-1, plate-001?", "")


class TestWhy:
    def test_a_result_of_two_inputs_is_one_row(self, connection):
        rows = connection.execute(
            "SELECT run_id, inputs, output_path, output_sha256 FROM why('plate-001', 'regions')"
        ).fetchall()
        inputs = [{"path": "runs/run-0/s.parquet", "sha256": "bb"}, {"path": "source/a.png", "sha256": "aa"}]
        assert rows == [("run-1", inputs, "runs/run-1/e.parquet", "ee")]

    def test_a_plate_without_a_current_result_has_no_row(self, connection):
        assert connection.execute("FROM why('plate-002', 'regions')").fetchall() == []

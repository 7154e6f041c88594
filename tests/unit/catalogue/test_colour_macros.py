"""`delta_e` gives the published CIEDE2000 differences, `hex_lab` the project's own Lab of an sRGB colour."""

import duckdb
import numpy as np
import pytest
from skimage.color import deltaE_ciede2000
from support.made_catalogue import made_catalogue

from atlas_resources.measures.colour.census import count_colours

PUBLISHED = """
50 2.6772 -79.7751 50 0 -82.7485 2.0425
50 3.1571 -77.2803 50 0 -82.7485 2.8615
50 2.8361 -74.02 50 0 -82.7485 3.4412
50 -1.3802 -84.2814 50 0 -82.7485 1
50 -1.1848 -84.8006 50 0 -82.7485 1
50 -0.9009 -85.5211 50 0 -82.7485 1
50 0 0 50 -1 2 2.3669
50 -1 2 50 0 0 2.3669
50 2.49 -0.001 50 -2.49 0.0009 7.1792
50 2.49 -0.001 50 -2.49 0.001 7.1792
50 2.49 -0.001 50 -2.49 0.0011 7.2195
50 2.49 -0.001 50 -2.49 0.0012 7.2195
50 -0.001 2.49 50 0.0009 -2.49 4.8045
50 -0.001 2.49 50 0.001 -2.49 4.8045
50 -0.001 2.49 50 0.0011 -2.49 4.7461
50 2.5 0 50 0 -2.5 4.3065
50 2.5 0 73 25 -18 27.1492
50 2.5 0 61 -5 29 22.8977
50 2.5 0 56 -27 -3 31.903
50 2.5 0 58 24 15 19.4535
50 2.5 0 50 3.1736 0.5854 1
50 2.5 0 50 3.2972 0 1
50 2.5 0 50 1.8634 0.5757 1
50 2.5 0 50 3.2592 0.335 1
60.2574 -34.0099 36.2677 60.4626 -34.1751 39.4387 1.2644
63.0109 -31.0961 -5.8663 62.8187 -29.7946 -4.0864 1.263
61.2901 3.7196 -5.3901 61.4292 2.248 -4.962 1.8731
35.0831 -44.1164 3.7933 35.0232 -40.0716 1.5901 1.8645
22.7233 20.0904 -46.694 23.0331 14.973 -42.5619 2.0373
36.4612 47.858 18.3852 36.2715 50.5065 21.2231 1.4146
90.8027 -2.0831 1.441 91.1528 -1.6435 0.0447 1.4441
90.9257 -0.5406 -0.9208 88.6381 -0.8985 -0.7239 1.5381
6.7747 -0.2908 -2.4247 5.8714 -0.0985 -2.2286 0.6377
2.0776 0.0795 -1.135 0.9033 -0.0636 -0.5514 0.9082
"""
"""L1 a1 b1 L2 a2 b2 and their difference to four digits: table 1 of Sharma, Wu and Dalal, "The CIEDE2000
color-difference formula: implementation notes, supplementary test data, and mathematical observations", Color Research
and Application 30 (2005), 21-30."""
PAIRS = [[float(number) for number in line.split()] for line in PUBLISHED.strip().splitlines()]


@pytest.fixture(scope="module")
def connection():
    with made_catalogue() as connection:
        yield connection


def value(connection: duckdb.DuckDBPyConnection, expression: str, *parameters):
    return connection.execute(f"SELECT {expression}", parameters).fetchall()[0][0]


def test_all_34_pairs_are_there():
    assert len(PAIRS) == 34


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: " ".join(map(str, pair)))
def test_delta_e_gives_the_published_difference_in_both_orders(connection, pair):
    first, second, published = pair[:3], pair[3:6], pair[6]
    assert value(connection, "delta_e(?, ?)", first, second) == pytest.approx(published, abs=5e-5)
    assert value(connection, "delta_e(?, ?)", second, first) == pytest.approx(published, abs=5e-5)


def test_delta_e_is_scikit_images_over_random_colours(connection):
    colours = np.random.default_rng(5).uniform((0, -100, -100), (100, 100, 100), (2, 500, 3))
    rows = list(zip(*colours.tolist(), strict=True))
    connection.execute("CREATE OR REPLACE TEMP TABLE pairs (n INTEGER, a DOUBLE[], b DOUBLE[])")
    connection.executemany("INSERT INTO pairs VALUES (?, ?, ?)", [(n, *row) for n, row in enumerate(rows)])
    found = [row[0] for row in connection.execute("SELECT delta_e(a, b) FROM pairs ORDER BY n").fetchall()]
    assert found == pytest.approx(deltaE_ciede2000(*colours), abs=1e-9)


def test_equal_and_grey_colours(connection):
    assert value(connection, "delta_e([50, 10, -10], [50, 10, -10])") == 0
    assert value(connection, "delta_e([0, 0, 0], [100, 0, 0])") == pytest.approx(100)  # S_L is 1 at a mean L of 50


@pytest.mark.parametrize("call", ["NULL, [1, 2, 3]", "[1, 2, 3], NULL", "[1, NULL, 3], [1, 2, 3]"])
def test_delta_e_of_null_is_null(connection, call):
    assert value(connection, f"delta_e({call})") is None


def test_delta_e_refuses_what_is_no_colour(connection):
    with pytest.raises(
        duckdb.InvalidInputException, match="delta_e: expected two colours of 3 numbers, L, a and b, found 2 and 3"
    ):
        value(connection, "delta_e([1, 2], [1, 2, 3])")


def test_hex_lab_is_the_lab_of_the_projects_own_measures(connection):
    rgb = np.random.default_rng(6).integers(0, 256, (40, 3), dtype=np.uint8)
    rgb[:3] = (0, 0, 0), (255, 255, 255), (10, 11, 1)  # 10 and 11 are on either side of sRGB's linear part
    census = count_colours(rgb[None])
    for (red, green, blue), expected in zip(census.rgb.tolist(), census.lab.tolist(), strict=True):
        assert value(connection, "hex_lab(?)", f"#{red:02x}{green:02x}{blue:02x}") == pytest.approx(expected, abs=1e-9)


def test_hex_lab_takes_either_case_and_null(connection):
    assert value(connection, "hex_lab('#AbCdEf') = hex_lab('#abcdef')")
    assert value(connection, "hex_lab(NULL)") is None


@pytest.mark.parametrize("wrong", ["'red'", "'#fff'", "'#ggffff'", "'#ffffff '", "'ffffff'", "''", "255"])
def test_hex_lab_refuses_what_is_no_hex_colour(connection, wrong):
    with pytest.raises(duckdb.InvalidInputException, match="hex_lab: expected a colour as '#rrggbb', found"):
        value(connection, f"hex_lab({wrong})")


def test_they_work_in_conditions_aggregates_and_lists_of_other_names(connection):
    """Names inside the macros must not meet those of the query: k, m, f and p are used in them."""
    query = "SELECT avg(delta_e(k.m, hex_lab(k.f))) FROM (SELECT [0, 0, 0] AS m, '#000000' AS f) AS k"
    assert connection.execute(query).fetchone() == (pytest.approx(0),)
    assert value(connection, "[delta_e(p, [50, 0, 0]) FOR p IN [[50, 0, 0], [50, 2.5, 0]]]")[0] == 0
    joined = "FROM (SELECT '#101010' AS rgb) AS f JOIN (SELECT '#111111' AS rgb) AS p "
    joined += "ON delta_e(hex_lab(f.rgb), hex_lab(p.rgb)) < 1"
    assert len(connection.execute(joined).fetchall()) == 1

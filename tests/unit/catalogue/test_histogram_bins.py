"""Each filled bin of a Lab histogram has its edges, centre and share."""

from support.made_catalogue import made_catalogue

from atlas_resources.catalogue._view import create
from atlas_resources.catalogue.views import HISTOGRAM_BINS


def test_bins_are_flattened_in_l_a_b_order():
    """By hand: 2 x 1 x 3 bins, of 50 in L, 20 in a and 10 in b. Bin 1 is (0, 0, 1), bin 5 is (1, 0, 2)."""
    histogram = {
        **{"plate_id": "plate-001", "pixel_count": 8, "lab": [0, 6, 0, 0, 0, 2], "lab_bins": [2, 1, 3]},
        **{"lab_l_range": [0, 100], "lab_a_range": [-10, 10], "lab_b_range": [-10, 20], "is_current": True},
    }
    with made_catalogue(histograms=[histogram]) as connection:
        create(connection, HISTOGRAM_BINS)
        assert connection.execute("FROM histogram_bins ORDER BY bin").fetchall() == [
            ("plate-001", 1, 0, 50, -10, 10, 0, 10, [25, 0, 5], 6, 0.75, True),
            ("plate-001", 5, 50, 100, -10, 10, 10, 20, [75, 0, 15], 2, 0.25, True),
        ]

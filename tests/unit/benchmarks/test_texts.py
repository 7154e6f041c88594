"""The benchmark of readers: titles as they are printed, and swapped ones that show up."""

import pytest

from atlas_resources.instruments.registry import read_registry
from benchmarks.texts import conflicts, swapped_pairs_found, title_of

TITLES = {"one": "Snow Bird", "two": "Mallard Duck", "three": "American Coot"}
TEXTS = [
    {
        **{"plate_id": name, "instrument": "reader", "text_id": "line-0001", "form": "transcription", "text": text},
        **{"score": 0.9, "is_above_threshold": True, "is_current": True},
    }
    for name, text in (("one", "Snon Bird."), ("two", "Mallard Duck"))
]


@pytest.mark.parametrize(
    ("stated", "title"),
    [
        ("Plate 13: Snow Bird", "Snow Bird"),
        ("Station 00: Nihonbashi (53 Stations of the Tokaido)", "Nihonbashi"),
        ("Allspice (Koehler plate)", "Allspice"),
        ("Snow Bird", "Snow Bird"),
    ],
)
def test_a_title_is_what_a_plate_may_say(stated: str, title: str):
    assert title_of(stated) == title


def test_titles_that_are_swapped_show_up_where_both_are_read():
    """Of the two pairs of neighbours, the second has a plate on which nothing was read."""
    registry = read_registry()
    assert [row[4] for row in conflicts(registry, TITLES, TEXTS)] == [False, False]
    assert swapped_pairs_found(registry, TITLES, TEXTS) == (1, 2)

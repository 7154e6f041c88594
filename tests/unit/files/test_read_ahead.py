"""Results come in order, are computed ahead of their consumer, and no further ahead than asked."""

from collections.abc import Iterator
from contextlib import closing
from threading import Event

import pytest

from atlas_resources.files.read_ahead import ahead

PATIENCE_SECONDS = 30


def test_results_come_in_the_order_of_the_items():
    assert list(ahead(lambda number: number * number, range(20), depth=3)) == [n * n for n in range(20)]


def test_the_next_item_is_computed_before_it_is_asked_for():
    second_began = Event()

    def work(number: int) -> int:
        if number == 1:
            second_began.set()
        return number

    with closing(ahead(work, range(5), depth=2)) as results:
        assert next(results) == 0
        assert second_began.wait(PATIENCE_SECONDS)


def test_no_more_than_depth_items_are_taken_before_their_turn():
    taken: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            taken.append(number)
            yield number

    with closing(ahead(lambda number: number, items(), depth=3)) as results:
        assert next(results) == 0
        assert taken == [0, 1, 2]


def test_an_error_is_raised_when_its_item_comes():
    def work(number: int) -> int:
        if number == 1:
            raise ArithmeticError("one")
        return number

    with closing(ahead(work, range(5), depth=4)) as results:
        assert next(results) == 0
        with pytest.raises(ArithmeticError, match="one"):
            next(results)

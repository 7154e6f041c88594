"""`tests/slow_tests.txt`: tests that take long, which `make test` leaves out and `make test-all` runs."""

from collections.abc import Iterable
from pathlib import Path

import pytest

LISTED = Path(__file__).parents[1] / "slow_tests.txt"
ROOT = LISTED.parents[1]


def read_listed() -> list[str]:
    """The listed files and tests, such as `tests/system/test_page.py` and `tests/unit/a/test_b.py::test_it_works`."""
    lines = (line.partition("#")[0].strip() for line in LISTED.read_text(encoding="utf-8").splitlines())
    return [line for line in lines if line]


def leave_out(items: Iterable[pytest.Item], listed: Iterable[str]) -> None:
    """Skips the tests that are listed: with these parameters, with any, or with their file."""
    names = frozenset(listed)
    skip = pytest.mark.skip(reason="takes long: `make test-all` runs it")
    for item in items:
        name = item.nodeid.partition("[")[0]
        if names & {item.nodeid, name, name.partition("::")[0]}:
            item.add_marker(skip)

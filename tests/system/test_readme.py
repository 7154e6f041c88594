"""On the dataset of `make demo`, the README's queries give the answers shown there."""

import pytest
from rich.console import Console
from support.readme_answers import answer, shown

from atlas_assets.demo.tour import tour
from atlas_resources.catalogue.build import connect
from atlas_resources.plates.dataset import Dataset

pytestmark = pytest.mark.system

FLOAT_TOLERANCE = 2e-3  # cosines of float32 features differ in the last digits between processors


def is_alike(found: str, expected: str) -> bool:
    try:
        return abs(float(found) - float(expected)) <= FLOAT_TOLERANCE
    except ValueError:
        return found == expected


def test_each_query_gives_the_rows_below_it(tmp_path, monkeypatch):
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    dataset = Dataset(tmp_path / "atlas")
    dataset.ensure()
    assert tour(dataset, None, Console(quiet=True))
    examples = shown()
    assert len(examples) == 5
    with connect(dataset) as connection:
        for sql, expected in examples:
            found = answer(connection, sql)
            assert [len(row) for row in found] == [len(row) for row in expected], sql
            for found_row, expected_row in zip(found, expected, strict=True):
                assert all(map(is_alike, found_row, expected_row)), (sql, found_row, expected_row)

"""Rows become frames with exactly a table's columns, types and order."""

import polars as pl
import pytest

from atlas_resources.tables.ledgers import LEDGERS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import IS_CURRENT, Column, Table, frame_of

BIRDS = Table(
    "birds",
    "Birds.",
    (
        Column("plate_id", pl.String, "Plate."),
        Column("wing_px", pl.Int32, "Length of the wing."),
        Column("vector", pl.List(pl.Float32), "Vector."),
        IS_CURRENT,
    ),
    ("plate_id", "wing_px"),
)


def test_a_frame_has_the_tables_columns_whatever_names_its_rows_have():
    frame = BIRDS.frame([{"wing_px": 3, "vector": [1.0], "beak_px": 9}, {"plate_id": "plate-001", "is_current": True}])
    assert frame.schema == BIRDS.schema
    assert frame.rows() == [(None, 3, [1.0], None), ("plate-001", None, None, True)]


def test_a_frame_without_rows_has_the_columns_too():
    assert BIRDS.frame([]).schema == BIRDS.schema
    assert frame_of(BIRDS.columns[:2], iter(())).schema == {"plate_id": pl.String, "wing_px": pl.Int32}


def test_a_frame_keeps_the_order_of_its_rows_and_conforming_sorts_them():
    frame = BIRDS.frame([{"plate_id": "b"}, {"plate_id": "a", "wing_px": 2}, {"plate_id": "a", "wing_px": 1}])
    assert frame["plate_id"].to_list() == ["b", "a", "a"]
    shuffled = frame.select("is_current", "vector", "wing_px", "plate_id").cast({"wing_px": pl.Int64})
    assert BIRDS.conform(shuffled).equals(frame[[2, 1, 0]])


@pytest.mark.parametrize("wrong", [{"wing_px": pl.lit("three")}, {"vector": pl.lit("[1]")}])
def test_a_value_of_another_type_is_refused(wrong: dict[str, pl.Expr]):
    with pytest.raises(pl.exceptions.PolarsError):
        BIRDS.conform(BIRDS.frame([{"plate_id": "plate-001"}]).with_columns(**wrong))


def test_a_frame_that_lacks_a_column_is_refused():
    with pytest.raises(pl.exceptions.ColumnNotFoundError):
        BIRDS.conform(BIRDS.frame([]).drop("vector"))


def test_a_sealed_run_knows_every_column_but_whether_it_is_current():
    assert BIRDS.sealed_schema.names() == ["plate_id", "wing_px", "vector"]


@pytest.mark.parametrize("table", LEDGERS.values(), ids=LEDGERS)
def test_a_table_names_no_column_twice_and_sorts_by_its_own(table: Table):
    names = [column.name for column in table.columns]
    assert len(set(names)) == len(names)
    assert set(table.order_by) <= set(names)
    assert all(column.meaning.endswith(".") for column in table.columns)


def test_no_two_roles_share_a_table_or_a_file_in_a_sealed_run():
    assert len({table.name for table in INSTRUMENT_TABLES.values()}) == len(INSTRUMENT_TABLES)
    assert len({table.plate_file for table in INSTRUMENT_TABLES.values()}) == len(INSTRUMENT_TABLES)

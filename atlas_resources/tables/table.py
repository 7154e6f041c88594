"""What a table is: columns with type, unit and meaning; and the columns that tables share."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

import polars as pl

ROWS_AT_ONCE = 1_000
"""Rows that are objects of Python at the same time: those of a large library take several times a frame's memory."""


@dataclass(frozen=True)
class Column:
    """A column: its name, type, and what it means, with unit."""

    name: str
    dtype: pl.DataType | type[pl.DataType]
    meaning: str


def schema_of(columns: Sequence[Column]) -> pl.Schema:
    """Name and type of each column, in order."""
    return _schema_of(tuple(columns)).copy()


@cache
def _schema_of(columns: tuple[Column, ...]) -> pl.Schema:
    return pl.Schema({column.name: column.dtype for column in columns})


@cache
def _without_rows(columns: tuple[Column, ...]) -> pl.DataFrame:
    return _schema_of(columns).to_frame()


def frame_of(columns: Sequence[Column], rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
    """Rows as a frame with exactly these columns, by name. A missing value is null; other names are left out."""
    schema, left, frames = schema_of(columns), iter(rows), []
    while batch := list(islice(left, ROWS_AT_ONCE)):
        frames.append(pl.DataFrame({name: [row.get(name) for row in batch] for name in schema}, schema=schema))
    return pl.concat(frames) if frames else _without_rows(tuple(columns)).clone()


@dataclass(frozen=True)
class Table:
    """A ledger table.

    Attributes:
        name: its name.
        meaning: what a row is.
        columns: its columns, in order.
        order_by: columns that its rows are sorted by, so that a rebuild gives the same file.
        plate_file: name of the file of a plate's own rows in a sealed run; empty for what no instrument measures.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    order_by: tuple[str, ...]
    plate_file: str = ""

    @property
    def schema(self) -> pl.Schema:
        """Name and type of each column, in order."""
        return schema_of(self.columns)

    @property
    def sealed_schema(self) -> pl.Schema:
        """The columns that a sealed run knows: all but `is_current`, which depends on other runs."""
        return schema_of([column for column in self.columns if column != IS_CURRENT])

    def frame(self, rows: Iterable[Mapping[str, Any]]) -> pl.DataFrame:
        """Rows as a frame with exactly this table's columns, by name; see `frame_of`."""
        return frame_of(self.columns, rows)

    def conform(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Selects, casts and sorts a frame to this table's columns, types and order.

        Raises:
            polars.exceptions.PolarsError: a column is missing or cannot be cast.
        """
        schema = self.schema
        lazy = rows.lazy().select(schema.names())
        lazy = lazy if rows.schema == schema else lazy.cast(schema)
        return lazy.sort(self.order_by, nulls_last=True).collect()

    @property
    def empty(self) -> pl.DataFrame:
        """A frame with this table's columns and no row."""
        return _without_rows(self.columns).clone()


FILES = pl.List(pl.Struct({"path": pl.String, "sha256": pl.String}))
COLOURS = pl.List(pl.Struct({"lab": pl.List(pl.Float64), "srgb_hex": pl.String, "share": pl.Float64}))

PLATE_ID = Column("plate_id", pl.String, "Id of the plate.")
RUN_ID = Column("run_id", pl.String, "Sealed run that the row comes from.")
INSTRUMENT = Column("instrument", pl.String, "Key of the instrument (its spec is model_specs/KEY.yaml).")
MODEL_ID = Column("model_id", pl.String, "Model or algorithm.")
MODEL_SHA = Column("model_sha", pl.String, "Pinned revision, or library==version.")
WEIGHTS_SHA256 = Column("weights_sha256", pl.String, "sha256 of the weights; null for an algorithm without weights.")
PREPROCESS_TAG = Column("preprocess_tag", pl.String, "Short name of the preprocessing and of its reference.")
FINGERPRINT = Column("fingerprint", pl.String, "sha256 over everything in the instrument that can change a result.")
SOURCE_SHA256 = Column("source_sha256", pl.String, "sha256 of the source image's bytes.")
IDENTITY = (
    RUN_ID,
    PLATE_ID,
    INSTRUMENT,
    MODEL_ID,
    MODEL_SHA,
    WEIGHTS_SHA256,
    PREPROCESS_TAG,
    FINGERPRINT,
    SOURCE_SHA256,
    Column("licence", pl.String, "SPDX id of the instrument's licence, or unknown."),
    Column("commercial_use", pl.String, "yes, no or unknown: whether the licence allows commercial use of the rows."),
)
"""What the rows of every instrument begin with."""
CODE_GIT_SHA = Column("code_git_sha", pl.String, "Commit of the project's code.")
DAGSTER_RUN_ID = Column("dagster_run_id", pl.String, "Dagster run that made it.")
IS_CURRENT = Column(
    "is_current",
    pl.Boolean,
    "Newest complete run of the plate with the instrument's present fingerprint and the present source, unless it is "
    "withdrawn.",
)

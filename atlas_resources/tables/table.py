"""What a table is: columns with type, unit and meaning; and the columns that tables share.

Plate files, ledgers, the UI and the catalogue's comments follow it.
"""

from dataclasses import dataclass

import polars as pl


@dataclass(frozen=True)
class Column:
    """A column: its name, type, and what it means, with unit."""

    name: str
    dtype: pl.DataType | type[pl.DataType]
    meaning: str


@dataclass(frozen=True)
class Table:
    """A ledger table. Rows are ordered by `order_by`, so that a rebuild gives the same file content.

    `plate_file` is the name of a plate's own rows in a sealed run; only what instruments measure has one.
    """

    name: str
    meaning: str
    columns: tuple[Column, ...]
    order_by: tuple[str, ...]
    plate_file: str = ""

    @property
    def schema(self) -> pl.Schema:
        """Name and type of each column, in order."""
        return pl.Schema({column.name: column.dtype for column in self.columns})

    def conform(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows with exactly this table's columns and types, in its order.

        Raises polars' error for what does not fit.
        """
        return rows.select(self.schema.names()).cast(self.schema).sort(self.order_by, nulls_last=True)


COLOURS = pl.List(pl.Struct({"lab": pl.List(pl.Float64), "srgb_hex": pl.String, "share": pl.Float64}))

IDENTITY = (
    Column("run_id", pl.String, "Sealed run the row comes from."),
    Column("plate_id", pl.String, "Plate that was measured."),
    Column("instrument", pl.String, "Key of the instrument (its spec is model_specs/KEY.yaml)."),
    Column("model_id", pl.String, "Model or algorithm."),
    Column("model_sha", pl.String, "Pinned revision, or library==version."),
    Column("weights_sha256", pl.String, "sha256 of the weights; null for an algorithm without weights."),
    Column("preprocess_tag", pl.String, "Short name of the declared preprocessing."),
    Column("fingerprint", pl.String, "sha256 over everything in the instrument that can change a result."),
    Column("source_sha256", pl.String, "sha256 of the source image's bytes."),
    Column("licence", pl.String, "SPDX id of the instrument's licence, or unknown."),
    Column("commercial_use", pl.String, "yes, no or unknown: whether the licence allows commercial use of the rows."),
)
IS_CURRENT = Column(
    "is_current",
    pl.Boolean,
    "Newest complete run of the plate with the instrument's present fingerprint and the present source.",
)

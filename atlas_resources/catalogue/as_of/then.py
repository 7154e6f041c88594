"""The state that a snapshot has kept, beside the present catalogue, in a database in memory."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import polars as pl

from atlas_resources.catalogue._view import identifier, literal
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.records.snapshot import Snapshot
from atlas_resources.snapshots.tree import PLATES, Tree
from atlas_resources.tables.records.withdrawals import WITHDRAWALS
from atlas_resources.tables.table import Table
from atlas_resources.withdrawals.log import FOLDER

if TYPE_CHECKING:
    import duckdb

NOW = "now"
"""Name of the attached catalogue: `now.runs` is the present table."""
KEPT = "as_then"
"""Schema of what the snapshot keeps: `files` (path, sha256), `sealed` and `current_runs` (plate_id, run_id, ...)."""
_FILES = {"path": pl.String, "sha256": pl.String}
_CURRENT = {"plate_id": pl.String, "instrument": pl.String, "run_id": pl.String}


@dataclass
class Then:
    """A snapshot opened beside the catalogue.

    Attributes:
        dataset: the dataset.
        snapshot: the snapshot.
        tree: its digests.
        connection: a database in memory, to which the catalogue is attached read-only as `now`.
        warnings: what could not be answered as then, a line each.
    """

    dataset: Dataset
    snapshot: Snapshot
    tree: Tree
    connection: "duckdb.DuckDBPyConnection"
    warnings: list[str] = field(default_factory=list)

    def keep(self) -> None:
        """Puts what the snapshot keeps into the database."""
        self.connection.execute(f"ATTACH {literal(str(self.dataset.catalogue_path))} AS {NOW} (READ_ONLY)")
        self.connection.execute(f"CREATE SCHEMA {KEPT}")
        runs = [(plate.plate_id, key, run_id) for plate in self.snapshot.plates for key, run_id in plate.runs.items()]
        self.fill(f"{KEPT}.files", pl.DataFrame(list(self.tree.leaves.items()), schema=_FILES, orient="row"))
        self.fill(f"{KEPT}.current_runs", pl.DataFrame(runs, schema=_CURRENT, orient="row"))
        self.connection.execute(
            f"CREATE TABLE {KEPT}.sealed AS SELECT split_part(path, '/', 2) AS plate_id, "
            f"split_part(path, '/', 4) AS run_id FROM {KEPT}.files "
            f"WHERE path LIKE {literal(f'{PLATES}%/runs/%/run.manifest.json')}"
        )

    def fill(self, name: str, rows: pl.DataFrame) -> None:
        """Makes a table of these rows. The name is SQL."""
        self.connection.register("given", rows.to_arrow())
        self.connection.execute(f"CREATE TABLE {name} AS FROM given")
        self.connection.unregister("given")

    def leaf(self, plate_id: str, path: str) -> str | None:
        """Digest that a file of a plate had; None if it was not there."""
        return self.tree.leaves.get(f"{PLATES}{plate_id}/{path}")

    @property
    def created_at(self) -> str:
        """SQL of the time of the snapshot."""
        return f"TIMESTAMPTZ {literal(self.snapshot.created_at.isoformat())}"

    @property
    def entries(self) -> str:
        """SQL query of the numbers of the withdrawals and restorations that had been entered by then."""
        files = f"SELECT sha256 FROM {KEPT}.files WHERE path LIKE {literal(f'{FOLDER}/%')}"
        return f"SELECT number FROM {NOW}.{WITHDRAWALS.name} WHERE file_sha256 IN ({files})"

    def now(self, table: Table, where: str = "true") -> pl.DataFrame:
        """Rows of a table of the present catalogue, in the columns of the table."""
        found = self.connection.sql(f"SELECT * FROM {NOW}.{identifier(table.name)} WHERE {where}")
        return table.conform(pl.DataFrame(found.to_arrow_table()))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """The rows of a query."""
        return self.connection.execute(query).fetchall()

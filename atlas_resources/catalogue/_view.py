"""How views, tables and macros enter the catalogue, each with its comments; the only place that quotes SQL."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from atlas_resources.files.stated_digests import part_paths
from atlas_resources.tables.table import Table

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True)
class View:
    """A documented view of the catalogue.

    Attributes:
        name: its name.
        sql: the query that gives its rows.
        meaning: its comment.
        columns: the comment of each column, by name; may name columns that the view lacks.
    """

    name: str
    sql: str
    meaning: str
    columns: Mapping[str, str]


@dataclass(frozen=True)
class Macro:
    """A documented macro of the catalogue.

    Attributes:
        name: its name.
        parameters: names of its parameters, in order.
        sql: the query, or the expression of a scalar macro, which refers to the parameters by name.
        meaning: its comment.
        is_table: whether it gives rows, as in `FROM name(...)`, or a value.
        optional: names of further parameters, NULL unless given by name, as in `FROM name(1, other := 2)`.
    """

    name: str
    parameters: tuple[str, ...]
    sql: str
    meaning: str
    is_table: bool = True
    optional: tuple[str, ...] = ()

    @property
    def definition(self) -> str:
        """What follows CREATE MACRO."""
        parameters = [identifier(name) for name in self.parameters]
        parameters += [f"{identifier(name)} := NULL" for name in self.optional]
        return f"{identifier(self.name)}({', '.join(parameters)}) AS {'TABLE ' if self.is_table else ''}{self.sql}"


def identifier(name: str) -> str:
    """A name as a quoted SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as a SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def rows_of(path: Path, parts: Sequence[Path] | None = None) -> str:
    """SQL for the rows of a ledger: of its file or of all its parts, or of some parts."""
    files = ", ".join(literal(str(part)) for part in (part_paths(path) if parts is None else parts))
    return f"read_parquet([{files or literal(str(path))}])"


def meanings(*tables: Table, **derived: str) -> dict[str, str]:
    """What columns mean, by name: as `derived` says, or else as the first table that has the column says."""
    found = {column.name: column.meaning for table in reversed(tables) for column in table.columns}
    return found | derived


def create(connection: "duckdb.DuckDBPyConnection", view: View, kind: Literal["VIEW", "TABLE"] = "VIEW") -> None:
    """Creates a view, or a table that holds its rows, with a comment on it and on each of its columns.

    Raises:
        ValueError: a column has no meaning.
    """
    name = identifier(view.name)
    connection.execute(f"CREATE {kind} {name} AS {view.sql}")
    connection.execute(f"COMMENT ON {kind} {name} IS {literal(view.meaning)}")
    columns = [column[0] for column in connection.execute(f"SELECT * FROM {name} LIMIT 0").description or []]
    if missing := [column for column in columns if not view.columns.get(column)]:
        raise ValueError(f"{view.name}: expected a meaning of every column, found none of {', '.join(missing)}")
    for column in columns:
        connection.execute(f"COMMENT ON COLUMN {name}.{identifier(column)} IS {literal(view.columns[column])}")


def create_macro(connection: "duckdb.DuckDBPyConnection", macro: Macro) -> None:
    """Creates a macro with a comment on it."""
    connection.execute(f"CREATE MACRO {macro.definition}")
    kind = "MACRO TABLE" if macro.is_table else "MACRO"
    connection.execute(f"COMMENT ON {kind} {identifier(macro.name)} IS {literal(macro.meaning)}")

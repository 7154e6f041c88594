"""What the UI shows, as Dagster's metadata values."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import polars as pl

from atlas_assets.ui.metadata import Markdown
from atlas_resources.tables.table import Table


def column_schema(table: Table) -> Mapping[str, dg.TableSchema]:
    """The asset metadata entry `dagster/column_schema` of a table."""
    return {"dagster/column_schema": dg.TableSchema(columns=list(table_columns(table)))}


def table_columns(table: Table, prefix: str = "") -> Iterator[dg.TableColumn]:
    """The columns of a table as the UI shows them: name, type, meaning."""
    for column in table.columns:
        shown = "Datetime (UTC)" if isinstance(column.dtype, pl.Datetime) else str(column.dtype)
        yield dg.TableColumn(f"{prefix}{column.name}", shown, description=column.meaning)


def dagster_metadata(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with Markdown marked as such; Dagster knows numbers, text, paths and JSON by their types."""
    return {
        name: dg.MetadataValue.md(value.text) if isinstance(value, Markdown) else value
        for name, value in metadata.items()
    }


@dataclass(frozen=True)
class Origin:
    """What the columns of an asset are made of. A column comes from the parents' columns of the same name, by default.

    Attributes:
        parents: the assets that are read, each with the columns that are taken from it.
        made_of: the parents' columns that a column is made of, where its name is another.
        otherwise: where columns come from that have no parent's column.
    """

    parents: Mapping[dg.AssetKey, Collection[str]]
    made_of: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    otherwise: str = "this asset"

    def sources(self, column: str) -> list[dg.TableColumnDep]:
        """The parents' columns that a column is made of; none for what comes from elsewhere."""
        names = self.made_of.get(column, (column,))
        return [dg.TableColumnDep(key, name) for key, known in self.parents.items() for name in names if name in known]

    def lineage(self, columns: Iterable[str]) -> Mapping[str, dg.TableColumnLineage]:
        """The metadata entry `dagster/column_lineage`."""
        deps = {column: found for column in columns if (found := self.sources(column))}
        return {"dagster/column_lineage": dg.TableColumnLineage(deps_by_column=deps)}

    def shown(self, columns: Iterable[str]) -> dg.MarkdownMetadataValue:
        """The same as a table to read: the open-source UI (1.13) does not show `dagster/column_lineage`."""
        lines: dict[str, list[str]] = {}
        for column in columns:
            assets = dict.fromkeys(dep.asset_key.to_user_string() for dep in self.sources(column))
            names = _quoted(self.made_of[column]) if column in self.made_of else "the same"
            origin = f"{names} of {_quoted(assets)}" if assets else self.otherwise
            lines.setdefault(origin, []).append(column)
        rows = "\n".join(f"| {_quoted(names)} | {origin} |" for origin, names in lines.items())
        return dg.MetadataValue.md(f"| columns | come from |\n|---|---|\n{rows}")


def _quoted(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)

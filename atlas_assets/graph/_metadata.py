"""What the UI shows, as Dagster's metadata values."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from atlas_assets.ui.metadata import Markdown
from atlas_resources.tables.table import Table


def column_schema(table: Table) -> Mapping[str, dg.TableSchema]:
    """The asset metadata entry `dagster/column_schema` of a table."""
    columns = [dg.TableColumn(column.name, str(column.dtype), description=column.meaning) for column in table.columns]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}


def dagster_metadata(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """The same with Markdown marked as such; Dagster knows numbers, text, paths and JSON by their types."""
    return {
        name: dg.MetadataValue.md(value.text) if isinstance(value, Markdown) else value
        for name, value in metadata.items()
    }

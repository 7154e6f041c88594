"""A table's columns as the UI shows them."""

from collections.abc import Mapping

import dagster as dg

from atlas_resources.tables import Table


def column_schema(table: Table) -> Mapping[str, dg.TableSchema]:
    """The asset metadata entry `dagster/column_schema` of a table."""
    columns = [
        dg.TableColumn(column.name, str(column.dtype), description=column.meaning) for column in table.columns
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}

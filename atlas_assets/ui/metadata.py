"""Metadata as the UI shows it: a table's columns, and pictures. What is measured does not belong here."""

from collections.abc import Mapping

import dagster as dg

from atlas_assets.ui.plots import data_uri_markdown, glance_markdown
from atlas_resources.tables.table import Table


def column_schema(table: Table) -> Mapping[str, dg.TableSchema]:
    """The asset metadata entry `dagster/column_schema` of a table."""
    columns = [dg.TableColumn(column.name, str(column.dtype), description=column.meaning) for column in table.columns]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}


def picture_metadata(
    plate_id: str, picture: bytes | None, glance: bytes | None = None
) -> Mapping[str, dg.MarkdownMetadataValue]:
    """A picture twice: small enough to stand in place, and in full a click away. Nothing for no picture.

    Args:
        plate_id: names the picture.
        picture: JPEG or PNG.
        glance: what is shown in place where the picture itself says nothing when small, as a plot does.
    """
    if picture is None:
        return {}
    return {
        "glance": dg.MetadataValue.md(glance_markdown(glance or picture, plate_id)),
        "picture": dg.MetadataValue.md(data_uri_markdown(picture, plate_id)),
    }

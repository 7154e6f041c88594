"""The columns of every table and the fields of every JSON file, by path and type, as this release writes them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from atlas_resources.plates.json_files import CONTRACTS, json_schema
from atlas_resources.tables.ledgers import LEDGERS

SQL_TYPES: Mapping[Any, str] = {
    pl.String: "VARCHAR",
    pl.Boolean: "BOOLEAN",
    pl.Int32: "INTEGER",
    pl.Int64: "BIGINT",
    pl.Float32: "FLOAT",
    pl.Float64: "DOUBLE",
    pl.Datetime: "TIMESTAMP WITH TIME ZONE",
}
"""The type that DuckDB gives a column of a Parquet file, by the type that a table declares."""


@dataclass(frozen=True)
class Part:
    """A column, a field, or a part of one.

    Attributes:
        types: its types, of which a value has one: of SQL for a column, of JSON for a field; `'word'` is that word.
        is_required: whether a JSON object must have the field. False for columns, which are null in older files.
        meaning: the field's description in its schema; empty for columns.
    """

    types: tuple[str, ...]
    is_required: bool = False
    meaning: str = ""


Parts = Mapping[str, Part]
"""Parts by path: `a.b` is field b of a, `a[]` an element of a list, `a{}` a value of an object with free keys."""


def sql_type(dtype: Any) -> str:
    """A type as DuckDB names it. Raises KeyError for a type that no table has."""
    if isinstance(dtype, pl.List):
        return f"{sql_type(dtype.inner)}[]"
    if isinstance(dtype, pl.Struct):
        return f"STRUCT({', '.join(f'{field.name} {sql_type(field.dtype)}' for field in dtype.fields)})"
    return SQL_TYPES[dtype.base_type()]


def table_parts() -> dict[str, Parts]:
    """The columns of each ledger, with the parts of lists and structs, by the ledger's name."""
    return {
        name: {
            path: part for column in table.columns for path, part in parts_of_type(column.name, column.dtype).items()
        }
        for name, table in LEDGERS.items()
    }


def file_parts() -> dict[str, Parts]:
    """The fields of each JSON file, by the name of its contract."""
    return {name: parts_of_schema(json_schema(name)) for name in CONTRACTS}


def parts_of_schema(schema: Mapping[str, Any]) -> Parts:
    """The fields of a JSON file by its JSON Schema."""
    return dict(_parts_of_object("", schema, schema.get("$defs", {})))


def parts_of_type(path: str, dtype: Any) -> dict[str, Part]:
    """A column and the parts of its lists and structs."""
    if isinstance(dtype, pl.List):
        return {path: Part(("LIST",)), **parts_of_type(f"{path}[]", dtype.inner)}
    if isinstance(dtype, pl.Struct):
        inner = [parts_of_type(f"{path}.{field.name}", field.dtype) for field in dtype.fields]
        return {path: Part(("STRUCT",)), **{name: part for parts in inner for name, part in parts.items()}}
    return {path: Part((sql_type(dtype),))}


def _parts_of_object(path: str, schema: Mapping[str, Any], named: Mapping[str, Any]) -> Iterator[tuple[str, Part]]:
    for name, field in schema.get("properties", {}).items():
        is_required = name in schema.get("required", ())
        yield from _parts_of_field(f"{path}.{name}".lstrip("."), field, named, is_required)


def _parts_of_field(
    path: str, field: Mapping[str, Any], named: Mapping[str, Any], is_required: bool = True
) -> Iterator[tuple[str, Part]]:
    choices = [_resolved(choice, named) for choice in field.get("anyOf", [field])]
    types = [name for choice in choices for name in _types(choice)]
    meaning = field.get("description") or next((c["description"] for c in choices if c.get("description")), "")
    yield path, Part(tuple(dict.fromkeys(types)), is_required, " ".join(meaning.split()))
    for choice in choices:
        if choice.get("type") == "object":
            yield from _parts_of_object(path, choice, named)
            if isinstance(values := choice.get("additionalProperties"), Mapping):
                yield from _parts_of_field(f"{path}{{}}", values, named)
        elif isinstance(items := choice.get("items"), Mapping):
            yield from _parts_of_field(f"{path}[]", items, named)
        elif choice.get("prefixItems"):
            yield from _parts_of_field(f"{path}[]", choice["prefixItems"][0], named)


def _resolved(schema: Mapping[str, Any], named: Mapping[str, Any]) -> Mapping[str, Any]:
    return named[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema


def _types(schema: Mapping[str, Any]) -> Iterable[str]:
    if "enum" in schema or "const" in schema:
        return [
            f"'{value}'" if isinstance(value, str) else str(value).lower()
            for value in schema.get("enum", [schema.get("const")])
        ]
    if schema.get("format") == "date-time":
        return ["UTC time"]
    return [schema["type"]]

"""The page `docs/data-dictionary.md`: every table, view, macro and JSON file, from the schemas alone."""

from collections.abc import Iterator, Mapping

from atlas_assets.cli.dictionary.meanings import meaning_of
from atlas_assets.cli.dictionary.record import GONE, Record, Recorded
from atlas_assets.cli.dictionary.schemas import Parts, sql_type
from atlas_assets.cli.dictionary.units import unit_of
from atlas_resources.catalogue.build import empty_catalogue
from atlas_resources.files.contract import SCHEMA_VERSION
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.json_files import CONTRACTS
from atlas_resources.tables.ledgers import LEDGERS

PAGE_NAME = "docs/data-dictionary.md"
NUMBERS = {"INTEGER", "BIGINT", "FLOAT", "DOUBLE", "TIMESTAMP WITH TIME ZONE", "integer", "number", "UTC time"}
HEAD = """# Data dictionary

Written by `atlas dictionary` from the schemas: change a schema, not this page.

The files of a dataset have a version, now {version}: `schema_version` in every JSON file, `atlas.schema_version` in the
metadata of every Parquet file. Files of version 1 state none. Columns and fields are only added: none goes, and none
changes its type or its meaning. In a file that is older than a column, it is null. **Since** is the version that
brought it.

A *ratio* is a share, 0..1 unless its meaning says otherwise. *px* are pixels of the upright source, *px²* is an area in
them. *Lab* is CIE L\\*a\\*b\\* (D65, 2 degree observer), *luma* that of Rec. 709 on 8-bit sRGB. *number* is an ordinal
or an id. Times are UTC.

- [Tables](#tables): a Parquet file each in `ledger/`, and in `atlas.duckdb` under the same name
- [Views](#views) and [macros](#macros) of `atlas.duckdb`
- [JSON files](#json-files), with a JSON Schema each in `schemas/`
"""
PATTERNS = """Each admitted embedding instrument has a view `embeddings_<instrument>` of its current vectors as arrays
of fixed size, raw (`vector`) and of unit length (`vector_unit`). Each probe has a view `probes_<instrument>` of its
current scores, ranked per plate. Each table of results has a view `commercial_<table>` of the rows that may be used
commercially. `plate_index` also has a column for each further column of the scans' index.
"""


def _cell(text: str) -> str:
    """A text for a cell of a table: on one line, and with no Markdown but code in backticks."""
    pieces = " ".join(text.split()).replace("|", "\\|").split("`")
    pieces[::2] = [piece.replace("*", "\\*").replace("<", "&lt;") for piece in pieces[::2]]
    return "`".join(pieces)


def _row(*cells: str) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _table(*names: str) -> list[str]:
    return [_row(*names), "|" + "---|" * len(names)]


def dictionary_page(registry: Registry, record: Record) -> str:
    """The page in Markdown.

    Args:
        registry: the instruments, which views are made for.
        record: since which version there is each column and field; it must be complete.
    """
    lines = [HEAD.format(version=SCHEMA_VERSION), "## Tables", ""]
    for name in LEDGERS:
        lines += _ledger(name, record["tables"][name])
    lines += _catalogue(registry)
    lines += [
        "## JSON files",
        "",
        "A field in brackets may be missing.",
        "",
    ]
    for name in CONTRACTS:
        lines += _file(name, record["files"][name])
    return "\n".join(lines).rstrip() + "\n"


def _ledger(name: str, entries: Mapping[str, Recorded]) -> Iterator[str]:
    table = LEDGERS[name]
    where = f"`ledger/{name}.parquet`"
    if table.plate_file:
        where += f", from `runs/<run_id>/{table.plate_file}` of each plate"
    yield from (f'### <a id="{name}"></a>{name}', "", f"{_cell(table.meaning)} In {where}.", "")
    yield from _table("column", "type", "unit", "since", "meaning")
    for column in table.columns:
        unit = _unit(name, column.name, entries)
        kind = sql_type(column.dtype).replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ")
        yield _row(f"`{column.name}`", kind, unit, str(entries[column.name].since), column.meaning)
    yield ""
    if gone := GONE.get(name):
        yield from ("Columns of earlier releases that it has no longer:", "")
        yield from (f"- `{column}`, until version {version}: {reason}." for column, (version, reason) in gone.items())
        yield ""


def _unit(owner: str, path: str, entries: Mapping[str, Recorded]) -> str:
    """The unit of a number or of a list of numbers; empty for anything else."""
    leaf = next((one for one in (f"{path}[][]", f"{path}[]", path) if one in entries), path)
    is_number = bool(NUMBERS & set(entries[leaf].part.types))
    return unit_of(owner, leaf) if is_number else ""


def _catalogue(registry: Registry) -> Iterator[str]:
    """Views with their columns, and macros; the types are those that DuckDB gives them without rows."""
    with empty_catalogue(registry) as connection:
        views = connection.execute(
            "SELECT view_name, comment FROM duckdb_views() WHERE NOT internal ORDER BY view_name"
        ).fetchall()
        columns = connection.execute(
            "SELECT table_name, column_name, data_type, comment FROM duckdb_columns() WHERE NOT internal "
            "ORDER BY table_name, column_index"
        ).fetchall()
        macros = connection.execute(
            "SELECT function_name, parameters, comment FROM duckdb_functions() WHERE NOT internal ORDER BY ALL"
        ).fetchall()
    yield from ("## Views", "", PATTERNS)
    for name, comment in views:
        if _is_of_pattern(name, registry):
            continue
        yield from (f'### <a id="{name}"></a>{name}', "", _cell(comment), "")
        yield from _table("column", "type", "meaning")
        for _, column, kind, meaning in (one for one in columns if one[0] == name):
            yield _row(f"`{column}`", kind.replace("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"), meaning)
        yield ""
    yield from ("## Macros", "", *_table("macro", "meaning"))
    for name, parameters, comment in macros:
        yield _row(f"`{name}({', '.join(parameters)})`", comment)
    yield ""


def _is_of_pattern(name: str, registry: Registry) -> bool:
    return name.startswith("commercial_") or any(
        name in (f"embeddings_{key}", f"probes_{key}") for key in registry.instruments
    )


def _file(name: str, entries: Mapping[str, Recorded]) -> Iterator[str]:
    parts: Parts = {path: one.part for path, one in entries.items()}
    meaning = _cell(CONTRACTS[name].__doc__ or "")
    yield from (f'### <a id="{name}.json"></a>{name}.json', "", meaning, "")
    yield from _table("field", "type", "unit", "since", "meaning")
    for path, one in entries.items():
        if path.endswith("[]") or path.endswith("{}"):
            continue
        shown = f"`{path}`" if one.part.is_required else f"[`{path}`]"
        yield _row(shown, _json_type(path, parts), _unit(name, path, entries), str(one.since), meaning_of(name, path))
    yield ""


def _json_type(path: str, parts: Parts) -> str:
    """The types in words, such as `array of number or null`."""
    return " or ".join(
        f"array of {_json_type(f'{path}[]', parts)}"
        if name == "array" and f"{path}[]" in parts
        else f"object of {_json_type(f'{path}{{}}', parts)}"
        if name == "object" and f"{path}{{}}" in parts
        else name
        for name in parts[path].types
    )

"""The view of index data: a row per plate, a column per further column of any index."""

import json
from collections.abc import Mapping, Sequence

from atlas_resources.catalogue._view import View, identifier, literal, meanings
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import PLATES

IDENTITY_COLUMNS = ("plate_id", "plate_number", "title", "licence")


def index_columns(dataset: Dataset) -> list[dict[str, str | int]]:
    """The further columns of the index of each plate in `ledger/plates`, with their values."""
    return [json.loads(text) for text in read_ledger(dataset, PLATES)["extra"].drop_nulls()]


def plate_index(extras: Sequence[Mapping[str, str | int]]) -> View:
    """`plate_index`, with a column for each further column of any plate's index.

    A column is BIGINT if all of its values are whole numbers, else VARCHAR. Names that differ only in case are one
    column, since SQL does not tell them apart. A name that the view has already gets the suffix " (index)".
    """
    keys: dict[str, list[str]] = {}
    for key in dict.fromkeys(key for extra in extras for key in extra):
        keys.setdefault(key.casefold(), []).append(key)
    names: list[str] = list(IDENTITY_COLUMNS)
    columns, columns_meanings = [", ".join(names)], dict[str, str]()
    for spellings in keys.values():
        values = [extra[key] for extra in extras for key in spellings if key in extra]
        is_integer = all(isinstance(value, int) for value in values)
        name = unused_name(spellings[0], names)
        names.append(name)
        columns.append(f"{expression(spellings, is_integer)} AS {identifier(name)}")
        kind = "whole numbers" if is_integer else "text"
        columns_meanings[name] = f"Column {' or '.join(map(repr, spellings))} of the index: {kind}."
    return View(
        "plate_index",
        f"SELECT {', '.join(columns)} FROM {PLATES.name} WHERE withdrawn_by IS NULL",
        "One row per plate that is not withdrawn: what its index states, with a column for each further column of any "
        "index.",
        meanings(PLATES, **columns_meanings),
    )


def unused_name(name: str, names: list[str]) -> str:
    """The name, with " (index)" as often as it takes to differ from the others in more than case."""
    while name.casefold() in (other.casefold() for other in names):
        name += " (index)"
    return name


def expression(spellings: list[str], is_integer: bool) -> str:
    """SQL for the value of a column: of the first spelling that the plate has. Keys are JSON pointers (RFC 6901)."""
    pointers = ["/" + key.replace("~", "~0").replace("/", "~1") for key in spellings]
    value = f"coalesce({', '.join(f'extra->>{literal(pointer)}' for pointer in pointers)})"
    return f"CAST({value} AS BIGINT)" if is_integer else value

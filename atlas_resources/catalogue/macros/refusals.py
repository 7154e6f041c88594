"""How a macro takes its arguments, and refuses those that it does not know: an error that names the nearest names.

DuckDB replaces a parameter by the argument's text. Beside a table, an argument such as `plate_id` would be the table's
column, so parameters occur only in a query of one row and no table, `asked`; the macro's tables are joined to it.

A macro's rows are united with those of a query that has none and raises the error. A condition among the macro's own
would not do: where an unknown argument leaves no row, no condition is evaluated.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from atlas_resources.catalogue._view import Macro, literal

NEAR_SIMILARITY = 0.8
"""Jaro-Winkler similarity, 0..1, from which a name is near. `plate-1` and `plate-001` have 0.95; the names of two
instruments of different models mostly less than 0.7."""
MOST_NEAR_NAMES = 3
MOST_NAMES = 20
"""Names of what there is that an error lists at most."""

_SIMILARITY = "jaro_winkler_similarity(lower(asked), lower(known_name))"
DID_YOU_MEAN = Macro(
    "did_you_mean",
    ("asked", "known"),
    f"""
    coalesce(' Did you mean ' || nullif(array_to_string([
        known_name.name
        FOR known_name IN list_sort([
            {{'distance': 1 - {_SIMILARITY}, 'name': known_name}}
            FOR known_name IN known IF {_SIMILARITY} >= {NEAR_SIMILARITY}
        ])[1:{MOST_NEAR_NAMES}]
    ], ', '), '') || '?', '')
    """,
    f"' Did you mean A, B, C?' with the up to {MOST_NEAR_NAMES} names of a list that are nearest to the one asked for, "
    "by Jaro-Winkler similarity without regard to case; empty if none is near.",
    is_table=False,
)


@dataclass(frozen=True)
class Refusal:
    """A reason to refuse a macro's arguments.

    Attributes:
        condition: SQL, true if the arguments are refused. NULL is not true.
        message: SQL, the text of the error.
        known: SQL queries of one value, by the name that condition and message refer to it by.
    """

    condition: str
    message: str
    known: Mapping[str, str] = field(default_factory=dict)


def refusing(macro: str, columns: tuple[str, ...], asked: Mapping[str, str], rows: str, *refusals: Refusal) -> str:
    """SQL of the rows of a query, or an error if an argument is refused.

    Args:
        macro: name of the macro, which begins the message.
        columns: its columns.
        asked: SQL of each argument, by the name that it has as a column of `asked`.
        rows: the query that gives the columns; it reads `asked`.
        refusals: the first that holds is reported; they refer to the columns of `asked`.
    """
    known = {name: query for refusal in refusals for name, query in refusal.known.items()}
    cases = "\n".join(
        f"WHEN {refusal.condition} THEN error({literal(f'{macro}: ')} || {refusal.message})::BOOLEAN"
        for refusal in refusals
    )
    return f"""
        WITH asked AS (SELECT {", ".join(f"{sql} AS {name}" for name, sql in asked.items())}),
        found AS ({rows}),
        known AS (SELECT *{"".join(f", ({query}) AS {name}" for name, query in known.items())} FROM asked),
        refused AS (SELECT {", ".join("NULL" for _ in columns)} FROM known WHERE CASE {cases} ELSE false END)
        SELECT {", ".join(columns)} FROM (FROM found UNION ALL FROM refused)
    """


def most(count: str = "k") -> str:
    """SQL for LIMIT: a number of rows, or no limit where it is refused, since LIMIT 0 would skip the error."""
    return f"CASE WHEN {count} >= 1 THEN {count} END"


def in_quotes(value: str) -> str:
    """SQL of a text in single quotes, or NULL without them."""
    return f"coalesce('''' || {value} || '''', 'NULL')"


def names_of(column: str, rows: str) -> str:
    """SQL query of the distinct names in a column, as a sorted list."""
    return f"SELECT coalesce(list({column} ORDER BY {column}), []) FROM (SELECT DISTINCT {column} {rows})"


def listed(names: str) -> str:
    """SQL of the first names of a list as a text, or the word none."""
    more = f"CASE WHEN len({names}) > {MOST_NAMES} THEN ', ... (' || len({names}) || ')' ELSE '' END"
    return f"coalesce(nullif(array_to_string({names}[1:{MOST_NAMES}], ', '), ''), 'none') || {more}"


def unknown_name(kind: str, asked: str, names: str, query: str, rest: str) -> Refusal:
    """Refuses a name that is NULL or not among those that there are.

    Args:
        kind: what is named, for the message.
        asked: name of the argument in SQL, a text.
        names: what to call the list of names in SQL.
        query: SQL query of that list.
        rest: SQL of a text that ends the message.
    """
    return Refusal(
        f"NOT coalesce(list_contains({names}, {asked}), false)",
        f"{literal(f'no {kind} ')} || {in_quotes(asked)} || '.' || did_you_mean({asked}, {names}) || {rest}",
        {names: query},
    )


PLATE = {"asked_plate": "plate::VARCHAR"}
INSTRUMENT = {"asked_instrument": "instrument_key::VARCHAR"}
COUNT = {"asked_count": "k"}
"""SQL of arguments that macros share, by the name that queries refer to them by."""
UNKNOWN_PLATE = unknown_name(
    "plate",
    "asked_plate",
    "known_plates",
    names_of("plate_id", "FROM plates"),
    "' ' || len(known_plates) || ' plates are registered: FROM plates.'",
)
NO_COUNT = Refusal(
    "asked_count IS NULL OR asked_count < 1 OR asked_count % 1 <> 0",
    "'expected k to be a whole number from 1, found ' || coalesce(asked_count::VARCHAR, 'NULL') || '.'",
)

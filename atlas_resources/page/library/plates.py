"""The columns of all plates: what their index states, their paper, and the words that are read or written on them."""

import json
import re
from collections.abc import Iterable
from typing import Any

from atlas_resources.page.contract.library import PlateColumns
from atlas_resources.page.shown import PLATES_ORDER, Row, Shown
from atlas_resources.page.values import literal, number

PLATES_SQL = (
    "SELECT plate_id, title, extra, licence, paper_srgb_hex, paper_lab[1] AS paper_lightness, disagreement,\n"
    "       outlier_in\n"
    "FROM plates\n"
    "LEFT JOIN (SELECT plate_id, paper_srgb_hex, paper_lab FROM histograms WHERE is_current) USING (plate_id)\n"
    "LEFT JOIN (SELECT plate_id, disagreement FROM plate_agreement) USING (plate_id)\n"
    "LEFT JOIN (SELECT plate_id, count(*) FILTER (is_outlier) AS outlier_in FROM plate_spaces GROUP BY plate_id)\n"
    "     USING (plate_id)\n"
    f"WHERE withdrawn_by IS NULL ORDER BY {PLATES_ORDER}"
)
PRINTED = """
    SELECT plate_id, run_id, text FROM tagged_texts
    WHERE is_current AND form = 'transcription' AND coalesce(is_above_threshold, true)
      AND coalesce(status, 'done') = 'done' AND judgement IS DISTINCT FROM 'rejected'
    ORDER BY instrument, text_id
"""
MACHINE = """
    SELECT plate_id, run_id, text_id, words FROM (
        SELECT plate_id, run_id, text_id, text AS words FROM captions
        UNION ALL SELECT plate_id, run_id, text_id, keyword FROM keywords
        UNION ALL SELECT plate_id, run_id, text_id, coalesce(parsed_json, text) FROM descriptions
    ) AS written
    WHERE NOT EXISTS (
        SELECT 1 FROM tagged_texts AS judged WHERE judged.judgement = 'rejected' AND judged.plate_id = written.plate_id
        AND judged.run_id = written.run_id AND judged.text_id = written.text_id
    )
    ORDER BY plate_id, run_id, text_id, words
"""
YEAR_NAMES = ("year", "date", "published")
"""Further columns of an index that state a plate's date, by name in lower case, the surest first."""
YEAR = re.compile(r"(?<!\d)1[0-9]{3}(?!\d)|(?<!\d)20[0-9]{2}(?!\d)")


def plates_sql(shown: Shown) -> str:
    """The query of `PlateColumns`."""
    if not shown.is_commercial:
        return PLATES_SQL
    return PLATES_SQL.replace(
        "\nWHERE ", "\nWHERE plate_id NOT IN (SELECT plate_id FROM plates_not_for_commercial_use) AND "
    )


def plate_columns(shown: Shown, sizes: dict[str, tuple[int, int]]) -> PlateColumns:
    """What is known of every plate, a list a column.

    Args:
        shown: what is shown.
        sizes: width and height of each plate's thumbnail in its cell; (0, 0) without one.
    """
    rows = shown.rows(plates_sql(shown))
    outliers = _outlier_counts(shown)
    printed, machine = _words(shown, PRINTED, "text"), _words(shown, MACHINE, "words")
    ids = [row["plate_id"] for row in rows]
    return PlateColumns(
        plate_id=ids,
        title=[row["title"] or row["plate_id"] for row in rows],
        year=[first_year(row["extra"]) for row in rows],
        licence=[row["licence"] for row in rows],
        paper=[row["paper_srgb_hex"] for row in rows],
        paper_lightness=[number(row["paper_lightness"]) for row in rows],
        printed_text=["\n".join(printed.get(plate_id, ())) for plate_id in ids],
        machine_words=["\n".join(machine.get(plate_id, ())) for plate_id in ids],
        disagreement=[number(row["disagreement"]) if shown.has_all_spaces else None for row in rows],
        outlier_in=[outliers.get(plate_id, 0) for plate_id in ids],
        thumbnail_width=[sizes[plate_id][0] for plate_id in ids],
        thumbnail_height=[sizes[plate_id][1] for plate_id in ids],
    )


def first_year(extra: str | None) -> int | None:
    """The first year, 1000..2099, in the column of an index that states a date; None if there is none.

    Args:
        extra: the further columns of the index, a JSON object.
    """
    columns = {name.casefold(): value for name, value in json.loads(extra or "{}").items()}
    for name in YEAR_NAMES:
        if found := YEAR.search(str(columns.get(name, ""))):
            return int(found[0])
    return None


def _outlier_counts(shown: Shown) -> dict[str, int]:
    spaces = ", ".join(map(literal, shown.spaces)) or "NULL"
    sql = f"SELECT plate_id, count(*) AS count FROM plate_spaces WHERE is_outlier AND space IN ({spaces}) GROUP BY 1"
    return {row["plate_id"]: row["count"] for row in shown.rows(sql)}


def _words(shown: Shown, sql: str, column: str) -> dict[str, list[str]]:
    """The words of each plate, each once, in order."""
    found: dict[str, dict[str, None]] = {}
    for row in shown.rows(sql):
        if (row["plate_id"], row["run_id"]) in shown.runs and (words := _plain(row, column)):
            found.setdefault(row["plate_id"], {}).setdefault(words)
    return {plate_id: list(words) for plate_id, words in found.items()}


def _plain(row: Row, column: str) -> str:
    text = row[column] or ""
    if column != "words" or not text.startswith("{"):
        return text.strip()
    return answer_words(text)


def answer_words(text: str) -> str:
    """The words of an answer that is a JSON object, a line each; any other text as it is."""
    try:
        return "\n".join(_leaves(json.loads(text)))
    except ValueError:
        return text


def _leaves(value: Any) -> Iterable[str]:
    if isinstance(value, dict):
        for one in value.values():
            yield from _leaves(one)
    elif isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    elif isinstance(value, str) and value.strip():
        yield value.strip()

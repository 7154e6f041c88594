"""Views of machines' rows beside what people judge of them, and of the tags of plates."""

from collections.abc import Iterator

from atlas_resources.catalogue._view import View, meanings
from atlas_resources.tables.records.tags import TAGS, TARGET_IDS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import Table
from atlas_resources.tables.topology.spaces import PLATE_SPACES

_PERSON = {
    "judgement": "The newest judgement by anybody: accepted, rejected or corrected; null if nobody judged the row. By "
    "people; all other columns of the row are the machine's.",
    "corrected": "What is right, by that person; null unless the judgement is corrected.",
    "judged_by": "Who judged it last; null if nobody did.",
    "judged_at": "When, UTC.",
    "is_disputed": "Whether people say different things of it; null if nobody judged it.",
    "judgements": "What each person says of it, the oldest first; null if nobody judged it.",
    "tags": "Tags that people gave the row, by name; null without any.",
}


def _beside(name: str, table: Table, keys: dict[str, str]) -> View:
    """A table's rows, each once, with what people say.

    Args:
        name: the view.
        table: the machine's table.
        keys: columns of `tags` by the table's columns that they name a row by.
    """
    on = " AND ".join(f"rows.{column} = said.{of_tags}" for column, of_tags in keys.items())
    key = ", ".join(keys.values())
    return View(
        name,
        f"""
        SELECT rows.*, said.judgements[-1].judgement AS judgement, said.judgements[-1].corrected AS corrected,
               said.judgements[-1].person AS judged_by, said.judgements[-1].entered_at AS judged_at,
               said.is_disputed, said.judgements, said.tags
        FROM {table.name} AS rows LEFT JOIN (
            SELECT {key},
                   list({{'person': person, 'judgement': judgement, 'corrected': corrected, 'note': note,
                          'entered_at': entered_at}} ORDER BY number, position)
                       FILTER (judgement <> 'tag') AS judgements,
                   count(DISTINCT {{'judgement': judgement, 'corrected': corrected}})
                       FILTER (judgement <> 'tag') > 1 AS is_disputed,
                   list_sort(list(DISTINCT tag) FILTER (judgement = 'tag')) AS tags
            FROM tags WHERE is_latest AND target_table = '{table.name}' GROUP BY {key}
        ) AS said ON {on}
        """,
        f"The rows of {table.name}, each once, beside what people judge of them. The machine's columns stay.",
        meanings(table) | _PERSON,
    )


PLATE_TAGS = View(
    "plate_tags",
    """
    SELECT plate_id, tag, list_sort(list(DISTINCT person)) AS people, max(entered_at) AS tagged_at,
           list(note ORDER BY number, position) FILTER (note IS NOT NULL) AS notes
    FROM tags WHERE is_current AND target_table = 'plates' AND judgement = 'tag' GROUP BY plate_id, tag
    """,
    "One row per plate and tag that a person gave it and did not take back. Withdrawn plates have none.",
    meanings(
        TAGS,
        tag="The tag, as written.",
        people="Who gave it, by name.",
        tagged_at="When it was given last, UTC.",
        notes="Notes on it; null without any.",
    ),
)


TAGGED_CLUSTERS = _beside(
    "tagged_plate_spaces",
    PLATE_SPACES,
    {name: name for name in ("space", "plate_id", "cluster", "inputs_sha256")},
)
"""Apart from the others, since a snapshot keeps no clusters."""


def tag_views() -> Iterator[View]:
    """`tagged_<table>` of each table whose sealed rows people judge, and `plate_tags`."""
    for table in INSTRUMENT_TABLES.values():
        if table.name in TARGET_IDS:
            keys = {"plate_id": "plate_id", "run_id": "run_id", TARGET_IDS[table.name]: "row_id"}
            yield _beside(f"tagged_{table.name}", table, keys)
    yield PLATE_TAGS

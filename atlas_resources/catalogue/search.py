"""Search of plates by words as words: in titles, and in what instruments read or wrote. No model is asked."""

from dataclasses import dataclass

from atlas_resources.catalogue.build import connect
from atlas_resources.catalogue.macros.texts import is_without_spaces, nearness, words_of
from atlas_resources.plates.dataset import Dataset

_BEST = "list_max([jaro_winkler_similarity(asked_word, word) FOR word IN title_words])"
_TITLES = f"""
    SELECT plate_id, title, similarity
    FROM (
        SELECT plate_id, title, list_avg([
            CASE WHEN {is_without_spaces("asked_word")} AND contains(lower(title), asked_word) THEN 1
                 ELSE coalesce({nearness(_BEST)}, 0) END
            FOR asked_word IN asked_words
        ]) AS similarity
        FROM (SELECT plate_id, title, {words_of("title")} AS title_words FROM plates WHERE title IS NOT NULL)
        CROSS JOIN (SELECT {words_of("?::VARCHAR")} AS asked_words)
    )
    WHERE similarity > 0
    ORDER BY similarity DESC, plate_id
    LIMIT ?
"""
"""The similarity is that of the macro `text_search`."""


@dataclass(frozen=True)
class TitleFound:
    """A plate whose title has the words; similarity 0..1, as of `text_search`."""

    plate_id: str
    title: str
    similarity: float


@dataclass(frozen=True)
class TextFound:
    """A plate on which an instrument read or wrote the words, with its best text."""

    plate_id: str
    title: str | None
    instrument: str
    text: str
    similarity: float


def find_words(dataset: Dataset, words: str, k: int) -> tuple[list[TitleFound], list[TextFound]]:
    """The k plates with the words in their title, and the k plates on which they were read or written, best first.

    Raises:
        FileNotFoundError: there is no catalogue; the message names the command that builds it.
        ValueError: no letter or digit is among the words.
    """
    import duckdb

    with connect(dataset) as connection:
        try:
            texts = connection.execute(
                "SELECT plate_id, title, instrument, text, similarity FROM text_search(?, ?)", [words, k]
            ).fetchall()
        except duckdb.InvalidInputException as error:  # raised by error() in the macro
            raise ValueError(str(error).removeprefix("Invalid Input Error: ")) from None
        titles = connection.execute(_TITLES, [words, k]).fetchall()
    return [TitleFound(*row) for row in titles], [TextFound(*row) for row in texts]

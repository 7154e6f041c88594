"""Macros that look for words in what instruments of role `text` read or wrote, in spite of letters read wrongly.

DuckDB's extension for full-text search is downloaded when it is loaded, so that a catalogue that needs it could not be
asked offline. Words are compared by Jaro-Winkler similarity instead.
"""

from collections.abc import Mapping

from atlas_resources.catalogue._view import Macro
from atlas_resources.catalogue.macros.refusals import COUNT, NO_COUNT, Refusal, in_quotes, most, refusing

NEAR_WORD = 0.85
"""Jaro-Winkler similarity, 0..1, from which a word that was read counts as the word asked for: `snow` and `snon` have
0.88, `american` and `amencan` 0.91, `ruby` and `rubyahrated` 0.87; other words such as `bird` and `birch` 0.848,
`grouse` and `house` 0.82. `hawk` and `hank` have 0.87 too, so that short words find others."""
IS_SHOWN = (
    "is_current AND coalesce(is_above_threshold, true) AND coalesce(status, 'done') = 'done' AND form <> 'ranking'"
)
"""SQL: which texts count. What was read with a score below its instrument's threshold is mostly noise; an answer that
is cut off or invalid is none; a ranking has the keywords of another instrument again."""


def words_of(text: str) -> str:
    """SQL of the distinct words of a text: runs of letters and digits, in lower case, without accents."""
    return rf"list_distinct(regexp_extract_all(lower(strip_accents({text})), '[\p{{L}}\p{{N}}]+'))"


def is_without_spaces(word: str) -> str:
    """SQL: whether a word is of a script that puts no spaces between words; it may be any part of what was read."""
    return rf"regexp_matches({word}, '[\p{{Han}}\p{{Hiragana}}\p{{Katakana}}]')"


def nearness(similarity: str) -> str:
    """SQL of what a word counts for: the similarity, or 0 if it is not near."""
    return f"CASE WHEN {similarity} >= {NEAR_WORD} THEN {similarity} ELSE 0 END"


_WORDS: Mapping[str, str] = {"asked_words": "words::VARCHAR"}
_NO_WORDS = Refusal(
    f"coalesce(len({words_of('asked_words')}), 0) = 0",
    f"'expected words to look for, found ' || {in_quotes('asked_words')} || '.'",
)
_BEST = "list_max([jaro_winkler_similarity(asked_word, word) FOR word IN read_words])"
_SIMILARITY = f"""
    list_avg([
        CASE WHEN {is_without_spaces("asked_word")} AND contains(lower(text), asked_word) THEN 1
             ELSE coalesce({nearness(_BEST)}, 0) END
        FOR asked_word IN asked_list
    ])
"""
TEXT_SEARCH = Macro(
    "text_search",
    ("words", "k"),
    refusing(
        "text_search",
        ("plate_id", "title", "instrument", "text_id", "text", "score", "similarity"),
        {**_WORDS, **COUNT},
        f"""
        SELECT plate_id, title, instrument, text_id, text, score, similarity
        FROM (
            SELECT asked_words, texts.*, {_SIMILARITY} AS similarity
            FROM (SELECT *, {words_of("asked_words")} AS asked_list FROM asked)
            CROSS JOIN (
                SELECT plate_id, instrument, text_id, text, score, {words_of("text")} AS read_words
                FROM texts WHERE {IS_SHOWN}
            ) AS texts
        ) AS found
        LEFT JOIN plates USING (plate_id)
        WHERE similarity > 0
        QUALIFY row_number() OVER (
            PARTITION BY asked_words, found.plate_id ORDER BY similarity DESC, instrument, text_id
        ) = 1
        """,
        _NO_WORDS,
        NO_COUNT,
    )
    + f"ORDER BY similarity DESC, plate_id LIMIT {most()}",
    "The k plates on which the words were read or written best, each with its best text. Similarity is the mean over "
    "the words asked for of the Jaro-Winkler similarity to the nearest word of the text, without regard to case and "
    f"accents; less than {NEAR_WORD} counts as 0. So a few letters read wrongly do no harm. Texts below their "
    "instrument's threshold are left out.",
)
TEXT_CONTAINS = Macro(
    "text_contains",
    ("words",),
    refusing(
        "text_contains",
        ("plate_id", "title", "instrument", "text_id", "text", "score"),
        _WORDS,
        f"""
        SELECT plate_id, title, instrument, text_id, text, score
        FROM asked
        JOIN (SELECT * FROM texts WHERE {IS_SHOWN}) AS texts
            ON contains(lower(strip_accents(text)), lower(strip_accents(trim(asked_words))))
        LEFT JOIN plates USING (plate_id)
        """,
        _NO_WORDS,
    )
    + "ORDER BY plate_id, instrument, text_id",
    "Every text that contains the words exactly as they are given, without regard to case and accents. Texts below "
    "their instrument's threshold are left out.",
)
MACROS = (TEXT_SEARCH, TEXT_CONTAINS)

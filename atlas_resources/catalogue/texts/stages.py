"""Views of the stages: the usable captions, keywords and descriptions, and ranked keywords, each with its origin."""

from atlas_resources.catalogue._view import View, literal, meanings
from atlas_resources.catalogue.macros.texts import IS_SHOWN
from atlas_resources.tables.ledgers import PLATES
from atlas_resources.tables.results import INSTRUMENT_TABLES

TEXTS = INSTRUMENT_TABLES["text"]
ORIGIN = (
    *("model_id", "model_sha", "weights_sha256", "prompt_set", "prompt_version", "prompt_id", "prompt_sha256"),
    *("question_sha256", "machine_made", "licence", "commercial_use", "fingerprint", "run_id"),
)
"""Columns of `texts` that say where an answer comes from."""
IS_ANSWER = f"{IS_SHOWN} AND scope <> 'segment' AND raw_text IS NOT NULL"
"""SQL: usable answers of current runs on the whole plate; places that an answer has are rows without a raw text."""


TITLES = "(SELECT plate_id, title FROM plates)"


def keyword_list(text: str, parsed_json: str) -> str:
    """SQL of the keywords in an answer, as `roles.text.keywords` takes them from it; one may be in it twice.

    Args:
        text: SQL of the answer.
        parsed_json: SQL of its object, or NULL.
    """
    stated = f"[word ->> '$' FOR word IN json_extract({parsed_json}, '$.keywords[*]') IF json_type(word) = 'VARCHAR']"
    parts = rf"regexp_split_to_array({text}, '[,;\n\r，；、]+')"
    marks = r"'^(?:[-*•·]|\d{1,3}[.)])[\s\p{Z}]+'"
    unmarked = f"[trim(regexp_replace(trim(part, {SPACES}), {marks}, ''), {SPACES}) FOR part IN {parts}]"
    plain = rf"[regexp_replace(part, '\.$', '') FOR part IN {unmarked}]"
    words = f"CASE WHEN {parsed_json} IS NOT NULL THEN {stated} ELSE {plain} END"
    joined = rf"[trim(regexp_replace(word, '[\s\p{{Z}}]+', ' ', 'g')) FOR word IN {words}]"
    return f"[word FOR word IN {joined} IF word <> '']"


SPACES = "' ' || chr(9) || chr(10) || chr(13) || chr(160) || chr(12288)"
"""SQL of the characters that are trimmed around a part."""


def _answers(form: str, columns: str) -> str:
    return f"""
    SELECT plate_id, title, instrument, text_id, {columns}, {", ".join(ORIGIN)}
    FROM (SELECT plate_id, instrument, text_id, {columns}, {", ".join(ORIGIN)} FROM texts
          WHERE form = {literal(form)} AND {IS_ANSWER})
    LEFT JOIN {TITLES} USING (plate_id)
    """


_MEANINGS = meanings(TEXTS, PLATES, text_id=f"Id of the answer in `{TEXTS.name}`.")
CAPTIONS = View(
    "captions",
    _answers("caption", "text"),
    "The usable captions of the plates, by current runs. Machine-made: no caption is a fact of a plate.",
    _MEANINGS,
)
DESCRIPTIONS = View(
    "descriptions",
    _answers("description", "text, parsed_json"),
    "The usable descriptions of the plates, by current runs; `parsed_json` has the fields of a structured one. "
    "Machine-made: no description is a fact of a plate.",
    _MEANINGS,
)
KEYWORD_ROWS = f"""
    SELECT *, keywords[position] AS keyword
    FROM (
        SELECT *, unnest(range(1, len(keywords) + 1))::INTEGER AS position
        FROM (
            SELECT *, {keyword_list("text", "parsed_json")} AS keywords
            FROM texts WHERE form = 'keywords' AND {IS_ANSWER}
        )
    )
    QUALIFY row_number() OVER (
        PARTITION BY plate_id, instrument, run_id, lower(keywords[position]) ORDER BY text_id, position
    ) = 1
"""
"""SQL of the usable keywords, once for each plate and instrument, with the columns of `texts`."""
KEYWORDS = View(
    "keywords",
    f"""
    SELECT plate_id, title, instrument, keyword, text_id, position, {", ".join(ORIGIN)}
    FROM ({KEYWORD_ROWS}) LEFT JOIN {TITLES} USING (plate_id)
    """,
    "One row per usable keyword of a plate, by current runs: the field `keywords` of a structured answer, else the "
    "parts of a list between commas, semicolons and line breaks; each once without regard to case. Machine-made.",
    _MEANINGS
    | {
        "keyword": "The keyword, as it was written.",
        "position": "Its place in the answer, from 1.",
    },
)
_RANKED = ("rank", "rank_low", "rank_high", "top_ratio", "rank_agreement", "text_id", "ranked_text_id")
_OF_RANKS = tuple(name for name in ORIGIN if name not in ("prompt_id", "prompt_sha256", "question_sha256"))
KEYWORD_RANKS = View(
    "keyword_ranks",
    f"""
    SELECT plate_id, title, instrument, keyword, score, {", ".join(_RANKED)}, {", ".join(_OF_RANKS)}
    FROM (
        SELECT plate_id, instrument, text AS keyword, cosine AS score, {", ".join(_RANKED)}, {", ".join(_OF_RANKS)}
        FROM texts WHERE form = 'ranking' AND is_current
    )
    LEFT JOIN {TITLES} USING (plate_id)
    """,
    "One row per ranked keyword of a plate, by current runs: how near its text is to the plate's image in the space of "
    "an image-text model, and how stable its rank is when other prompt templates are drawn. A weak signal: scores of "
    "two instruments are on different scales.",
    meanings(
        TEXTS,
        PLATES,
        keyword="The keyword, as another instrument wrote it.",
        score="Cosine of the keyword's text with the plate's image vector, -1..1, the mean over the prompt templates.",
        prompt_set="Prompt set of the templates; null if there are several.",
        prompt_version="Version of the set; null if there are several.",
    ),
)
VIEWS = (CAPTIONS, KEYWORDS, DESCRIPTIONS, KEYWORD_RANKS)

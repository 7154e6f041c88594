"""The view `title_conflicts`: the titles of the index compared with what was read on the plates."""

from atlas_resources.catalogue._view import View, meanings
from atlas_resources.catalogue.macros.texts import IS_SHOWN, NEAR_WORD, words_of
from atlas_resources.tables.ledgers import PLATES
from atlas_resources.tables.results import INSTRUMENT_TABLES

LEAST_OF_OTHER = 0.5
"""Similarity that another plate's title must have to be better: half of its words. Less comes about by chance, such as
`Pica` for `Pelican`."""

TITLE_CONFLICTS = View(
    "title_conflicts",
    f"""
    WITH lines AS (
        SELECT plate_id, instrument, text_id, text, {words_of("text")} AS words
        FROM texts WHERE {IS_SHOWN} AND form = 'transcription'
    ),
    titles AS (
        SELECT plate_id AS titled, title, words, len(words) AS word_count
        FROM (SELECT plate_id, title, {words_of("title")} AS words FROM plates) WHERE len(words) > 0
    ),
    title_words AS (SELECT titled, unnest(words) AS title_word FROM titles),
    line_words AS (SELECT plate_id, instrument, text_id, unnest(words) AS line_word FROM lines),
    near AS (
        SELECT * FROM (
            SELECT title_word, line_word, jaro_winkler_similarity(title_word, line_word) AS nearness
            FROM (SELECT DISTINCT title_word FROM title_words) CROSS JOIN (SELECT DISTINCT line_word FROM line_words)
        ) WHERE nearness >= {NEAR_WORD}
    ),
    found AS (
        SELECT titled, title_word, plate_id, instrument, text_id, max(nearness) AS nearness
        FROM title_words JOIN near USING (title_word) JOIN line_words USING (line_word) GROUP BY ALL
    ),
    matches AS (
        SELECT titled, plate_id, instrument, sum(best) / any_value(word_count) AS similarity
        FROM (
            SELECT titled, title_word, plate_id, instrument, max(nearness) AS best FROM found GROUP BY ALL
        ) JOIN titles USING (titled)
        GROUP BY titled, plate_id, instrument
    ),
    own_lines AS (
        SELECT plate_id, instrument, text_id FROM (
            SELECT plate_id, instrument, text_id, sum(nearness) AS total
            FROM found WHERE titled = plate_id GROUP BY plate_id, instrument, text_id
        )
        QUALIFY row_number() OVER (PARTITION BY plate_id, instrument ORDER BY total DESC, text_id) = 1
    ),
    others AS (
        SELECT plate_id, instrument, titled AS other_plate_id, similarity AS other_similarity
        FROM matches WHERE titled <> plate_id
        QUALIFY row_number() OVER (PARTITION BY plate_id, instrument ORDER BY similarity DESC, titled) = 1
    )
    SELECT plate_id, instrument, own.title, coalesce(own_match.similarity, 0) AS similarity,
           own_lines.text_id, lines.text, other_plate_id, other.title AS other_title, other_similarity,
           coalesce(
               other_similarity > coalesce(own_match.similarity, 0) AND other_similarity >= {LEAST_OF_OTHER}, false
           ) AS is_other_better
    FROM (SELECT DISTINCT plate_id, instrument FROM lines) AS read_plates
    JOIN titles AS own ON own.titled = plate_id
    LEFT JOIN (SELECT * FROM matches WHERE titled = plate_id) AS own_match USING (plate_id, instrument)
    LEFT JOIN own_lines USING (plate_id, instrument)
    LEFT JOIN lines USING (plate_id, instrument, text_id)
    LEFT JOIN others USING (plate_id, instrument)
    LEFT JOIN titles AS other ON other.titled = other_plate_id
    """,
    "The title that the index gives a plate, compared with the lines that an instrument read on it; and the other "
    "plate whose title fits them best. Where is_other_better is true, two plates may be swapped in the index. A sign, "
    "not a verdict: titles are not always printed on plates, and nothing here changes one.",
    meanings(
        PLATES,
        INSTRUMENT_TABLES["text"],
        similarity="Mean over the title's words of the Jaro-Winkler similarity to the nearest word that was read, "
        f"0..1; less than {NEAR_WORD} counts as 0.",
        text_id="The line that has most of the title; null if none has a word of it.",
        text="That line, as it was read.",
        other_plate_id="The other plate whose title has most similarity to what was read here; null if none has any.",
        other_title="That plate's title.",
        other_similarity="That title's similarity.",
        is_other_better=f"Whether that similarity is {LEAST_OF_OTHER} or more and above the plate's own.",
    ),
)

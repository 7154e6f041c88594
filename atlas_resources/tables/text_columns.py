"""What instruments of role `text` read or say, column by column."""

import polars as pl

from atlas_resources.tables.result_columns import PROMPT
from atlas_resources.tables.table import Column

RANKING = (
    Column(
        "cosine",
        pl.Float32,
        "Of a ranked keyword: cosine of its text with the plate's image vector, -1..1, the mean over the prompt "
        "templates; null for other forms.",
    ),
    Column("rank", pl.Int32, "Rank of the cosine among the plate's keywords, 1 for the highest; null for other forms."),
    Column(
        "rank_low",
        pl.Int32,
        "Better end of the rank's interval: over seeded draws of the templates, with replacement, the declared share "
        "of ranks is not outside it.",
    ),
    Column("rank_high", pl.Int32, "Worse end of the rank's interval."),
    Column("top_ratio", pl.Float64, "Share of these draws in which the keyword is among the declared top, 0..1."),
    Column(
        "rank_agreement",
        pl.Float64,
        "Kendall's tau-b of the ranks and those by one template alone, the mean over the templates, -1..1; the same "
        "for all keywords of a plate. Null for one keyword.",
    ),
    Column("ranked_text_id", pl.String, "Text of the instrument that it reads, by its text_id, that has the keyword."),
)
"""Of a keyword that was ranked; null for every other form. A weak signal: cosines of two models are on other scales."""

TEXT = (
    Column(
        "text_id",
        pl.String,
        "line-0001 ... in reading order; answer-0001 ... in the order asked; keyword-0001 ... as they were written. A "
        "further attempt, a region of an answer and an answer on a segment have that in their id.",
    ),
    Column("machine_made", pl.Boolean, "Always true: a model read or wrote it. It never changes a plate's identity."),
    Column("form", pl.String, "transcription, caption, keywords, ranking, description, regions or answer."),
    Column("scope", pl.String, "What the model was shown: plate, segment or line."),
    Column("segment_id", pl.String, "Segment that was shown; null unless the scope is segment."),
    Column("text", pl.String, "What was read or written, as the model gave it, without what it says of its form."),
    Column("score", pl.Float32, "The model's own, 0..1, not calibrated; null if it gives none."),
    Column(
        "is_above_threshold",
        pl.Boolean,
        "Whether the score is at or above the instrument's threshold, below which reading is mostly noise; null "
        "without a score or a threshold.",
    ),
    Column("language", pl.String, "Language as an ISO 639 code; null if the model does not tell."),
    Column("script", pl.String, "Script of most letters, as an ISO 15924 code such as Latn; null without letters."),
    Column(
        "quadrilateral",
        pl.List(pl.Float64),
        "x and y of the four corners, clockwise from the text's upper left, source pixels; null without a place.",
    ),
    Column("x_min", pl.Float64, "Left edge, source pixels; null without a place."),
    Column("y_min", pl.Float64, "Top edge, source pixels; null without a place."),
    Column("x_max", pl.Float64, "Right edge, source pixels; null without a place."),
    Column("y_max", pl.Float64, "Bottom edge, source pixels; null without a place."),
    *PROMPT,
    *RANKING,
)
"""Of every text. A text that was not asked for has no prompt; a ranked keyword has the set of its templates."""

ANSWER = (
    Column(
        "status",
        pl.String,
        "done; cut_off (the model stopped at the length limit); invalid (breaks its schema); empty (it wrote nothing). "
        "Only done is an answer.",
    ),
    Column("attempt", pl.Int32, "1 for the first time it was asked; a further attempt is a further row."),
    Column("finish_reason", pl.String, "Why the model stopped, as it or its server said: stop, length, ..."),
    Column("raw_text", pl.String, "What the model gave before anything was taken from it."),
    Column("parsed_json", pl.String, "The answer's object, as JSON with sorted keys; null if none was asked for."),
    Column("is_valid", pl.Boolean, "Whether the object follows its schema; null if none was asked for."),
    Column(
        "question_sha256",
        pl.String,
        "sha256 of the words that were asked, UTF-8, with the earlier answer filled in; null without words.",
    ),
    Column("rendered_prompt_sha256", pl.String, "sha256 of the whole prompt as the template rendered it, UTF-8."),
    Column("chat_template_sha256", pl.String, "sha256 of the chat template, UTF-8; null without one."),
    Column("json_schema_sha256", pl.String, "sha256 of the JSON Schema, canonical JSON; null if none was asked for."),
    Column(
        "sent_width_px",
        pl.Int32,
        "Width of the image as it reached the network or the server, pixels; of one tile where the model cuts it.",
    ),
    Column("sent_height_px", pl.Int32, "Height of that image, pixels."),
    Column("image_grid", pl.List(pl.Int32), "Frames, rows and columns of image patches; null if the model has none."),
    Column("image_token_count", pl.Int32, "Tokens that stand for the image; null if it is not known."),
    Column("prompt_token_count", pl.Int32, "Tokens of the whole prompt, those of the image included."),
    Column("output_token_count", pl.Int32, "Tokens that the model wrote."),
    Column("answer_seconds", pl.Float64, "Time from the question to the answer, seconds."),
    Column(
        "peak_memory_bytes",
        pl.Int64,
        "Most memory while it answered: of the GPU, or of the process on the CPU; null of a server.",
    ),
    Column("server_sha256", pl.String, "Digest of the record of the server that answered; null in process."),
    Column("attested_by", pl.String, "Who vouches for a server that was started elsewhere; null otherwise."),
    Column(
        "request_count",
        pl.Int32,
        "Requests that the answer took: 1, and one for each that was repeated after an error of the server or the "
        "connection; null in process.",
    ),
)
"""Of a text that was asked for; all null for one that was read. A region of an answer has the first three only."""

"""What people judged of machines' rows, as exports for viewers follow it. Nothing is written here.

The newest judgement of a row counts, by whomever: a rejected row is not published, and a corrected one is published
with what the person says beside it.
"""

import polars as pl

PART = r"-region-\d+$"
"""End of the id of a part of an answer."""
MASK = ["plate_id", "segmenter", "segment_id", "mask_sha256"]
"""What names a segment in the tables that are derived from it."""


def newest_verdicts(tags: pl.DataFrame, table: str) -> pl.DataFrame:
    """The newest accepted, rejected or corrected of each row of a table: its key, `judgement`, `corrected`, `person`.

    Args:
        tags: the ledger of people's judgements.
        table: name of the table whose rows are judged.
    """
    is_verdict = pl.col("is_latest") & (pl.col("target_table") == table) & (pl.col("judgement") != "tag")
    keys = ["plate_id", "run_id", "row_id"]
    verdicts = tags.filter(is_verdict).sort("number", "position")
    return verdicts.select(*keys, "judgement", "corrected", "person").unique(keys, keep="last", maintain_order=True)


def with_people(texts: pl.DataFrame, tags: pl.DataFrame) -> pl.DataFrame:
    """The texts without those that people rejected, with what they corrected: `corrected` and `judged_by`, else null.

    Parts of a rejected text are left out too.

    Args:
        texts: rows of `texts` that are published.
        tags: the ledger of people's judgements.
    """
    keys = ["plate_id", "run_id", "text_id"]
    newest = newest_verdicts(tags, "texts").rename({"row_id": "text_id"})
    rejected = newest.filter(judgement="rejected").select(keys)
    whole = texts.with_columns(pl.col("text_id").str.replace(PART, "").alias("whole"))
    kept = (
        whole.join(rejected, left_on=["plate_id", "run_id", "whole"], right_on=keys, how="anti")
        .drop("whole")
        .join(rejected, on=keys, how="anti")
    )
    corrected = newest.filter(judgement="corrected").select(*keys, "corrected", pl.col("person").alias("judged_by"))
    return kept.join(corrected, on=keys, how="left")


def judged_segments(segments: pl.DataFrame, tags: pl.DataFrame) -> pl.DataFrame:
    """The segments that people judged, as tables derived from them name them: `MASK`, with the newest verdict.

    Args:
        segments: current rows of `segments`, which name the segmenter `instrument`.
        tags: the ledger of people's judgements.

    Returns:
        The columns of `MASK`, `judgement`, `corrected` (the class, by the person) and `judged_by`.
    """
    newest = newest_verdicts(tags, "segments").rename({"row_id": "segment_id", "person": "judged_by"})
    of_segments = segments.rename({"instrument": "segmenter"}).select(*MASK, "run_id")
    judged = of_segments.join(newest, on=["plate_id", "run_id", "segment_id"])
    return judged.select(*MASK, "judgement", "corrected", "judged_by")


def without_rejected_segments(
    texts: pl.DataFrame, kept: pl.DataFrame, judged: pl.DataFrame, models: pl.DataFrame
) -> pl.DataFrame:
    """The texts without those about a segment that people rejected.

    Args:
        texts: rows of `texts`.
        kept: current rows of `kept_segments`, which are what models are shown.
        judged: the segments that people judged.
        models: the ledger, which says what each instrument reads.
    """
    shown = kept.select(*MASK, pl.col("instrument").alias("upstream"))
    rejected = shown.join(judged.filter(judgement="rejected"), on=MASK).select("upstream", "plate_id", "segment_id")
    readers = models.select("instrument", "upstream").drop_nulls()
    keys = ["instrument", "plate_id", "segment_id"]
    return texts.join(readers.join(rejected, on="upstream").select(keys).unique(), on=keys, how="anti")

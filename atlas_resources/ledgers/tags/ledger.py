"""Builds `ledger/tags`, and says whether it is behind the log."""

from collections.abc import Iterator

import polars as pl

from atlas_resources.ledgers.parquet import read_ledger, write_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import PLATES, RUNS
from atlas_resources.tables.records.tags import TAGS
from atlas_resources.tables.topology.spaces import PLATE_SPACES
from atlas_resources.tags.log import LOG

TARGET = ["target_table", "plate_id", "run_id", "row_id", "space", "cluster", "inputs_sha256", "tag"]
"""What a judgement is of. Of one person, the newest on the same target stands."""
CLUSTER = ["space", "plate_id", "cluster", "inputs_sha256"]
RUN = ["plate_id", "run_id"]


def build_tags(dataset: Dataset) -> pl.DataFrame:
    """`ledger/tags`: every judgement of the log. Raises DatasetBroken if the log is not whole."""
    rows = [
        {
            **judgement.model_dump(exclude={"table"}),
            "target_table": judgement.table,
            "position": position,
            "number": entry.content.number,
            "person": entry.content.person,
            "person_from": entry.content.person_from,
            "entered_at": entry.content.entered_at,
            "file_sha256": entry.sha256,
        }
        for entry in LOG.read(dataset.root)
        for position, judgement in enumerate(entry.content.judgements, start=1)
    ]
    if not rows:  # without a tag, nothing is read of the plates
        return write_ledger(dataset, TAGS, TAGS.empty)
    plates = read_ledger(dataset, PLATES, ("plate_id", "withdrawn_by")).filter(pl.col("withdrawn_by").is_null())
    runs = read_ledger(dataset, RUNS, (*RUN, "is_current")).filter("is_current")
    clusters = read_ledger(dataset, PLATE_SPACES, CLUSTER)
    return write_ledger(dataset, TAGS, mark_standing(TAGS.frame(rows), plates, runs, clusters))


def mark_standing(tags: pl.DataFrame, plates: pl.DataFrame, runs: pl.DataFrame, clusters: pl.DataFrame) -> pl.DataFrame:
    """Rows of `tags` with `is_latest` and `is_current`.

    Args:
        tags: judgements, in any order; what they say in the two columns does not count.
        plates: plates that are not withdrawn, by plate_id.
        runs: current runs, by plate_id and run_id.
        clusters: present clusters of plates, as in `plate_spaces`.
    """
    ordered = tags.drop("is_latest", "is_current").sort(TAGS.order_by)
    is_last = pl.int_range(pl.len()).over("person", *TARGET) == pl.len().over("person", *TARGET) - 1
    there = pl.lit(True).alias("is_there")
    of_plates = plates.select("plate_id", there.alias("of_plate"))
    of_runs = runs.select(*RUN, there.alias("of_run")).unique()
    of_clusters = clusters.select(*CLUSTER, there.alias("of_cluster")).unique()
    known = (
        ordered.with_columns(is_latest=is_last & (pl.col("judgement") != "retracted"))
        .join(of_plates, on="plate_id", how="left")
        .join(of_runs, on=RUN, how="left")
        .join(of_clusters, on=CLUSTER, how="left")
    )
    is_there = (
        pl.when(pl.col("target_table") == "plates")
        .then(pl.col("of_plate"))
        .when(pl.col("target_table") == "plate_spaces")
        .then(pl.col("of_cluster"))
        .otherwise(pl.col("of_run"))
    )
    return known.with_columns(is_current=pl.col("is_latest") & is_there.fill_null(False)).select(TAGS.schema.names())


def changed_tags(dataset: Dataset) -> Iterator[str]:
    """Why the ledger is behind the log, if it is. Raises DatasetBroken if the log is not whole."""
    present = {(entry.content.number, entry.sha256) for entry in LOG.read(dataset.root)}
    known = set(read_ledger(dataset, TAGS, ("number", "file_sha256")).iter_rows())
    if differing := present ^ known:
        number, digest = max(differing)
        # The reason is part of a run key: another digest requests another refresh.
        yield f"people judged plates or rows; the newest is entry {number} of tags ({digest[:8]})"

"""`ledger/lineage`: the edges of groundwork, sealed runs and instruments, from what the other ledgers hold."""

from collections.abc import Iterator

import polars as pl

from atlas_resources.ledgers.lineage.columns import PROMPT_COLUMNS, PROMPTED
from atlas_resources.ledgers.lineage.edges import edges_of_groundwork, edges_of_runs, edges_of_sources
from atlas_resources.ledgers.lineage.pins import RecordedPins, edges_of_pins, edges_of_prompts, read_pins
from atlas_resources.ledgers.parquet import read_ledger, write_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import HISTOGRAMS, LINEAGE, PLATES, RUNS


def build_lineage(dataset: Dataset) -> pl.DataFrame:
    """`ledger/lineage`. Reads other ledgers, and of the files one configuration for each instrument that ever ran."""
    plates, runs = read_ledger(dataset, PLATES), read_ledger(dataset, RUNS)
    pins = dict(_read_all_pins(dataset, runs))
    frames = [
        edges_of_sources(plates),
        edges_of_groundwork(plates, read_ledger(dataset, HISTOGRAMS)),
        edges_of_runs(runs),
        edges_of_pins(runs, pins),
        edges_of_prompts(_answered_prompts(dataset), pins),
    ]
    names = LINEAGE.schema.names()
    return write_ledger(dataset, LINEAGE, pl.concat([frame.select(names) for frame in frames]).unique())


def _read_all_pins(dataset: Dataset, runs: pl.DataFrame) -> Iterator[tuple[str, RecordedPins | None]]:
    instruments = runs.group_by("fingerprint", "weights_sha256").agg(pl.col("run_id").unique().sort())
    for fingerprint, weights_sha256, run_ids in instruments.sort("fingerprint").iter_rows():
        yield fingerprint, read_pins(dataset, fingerprint, weights_sha256, run_ids)


def _answered_prompts(dataset: Dataset) -> pl.DataFrame:
    """Each prompt that a row of a result answers, once for each instrument."""
    frames = [read_ledger(dataset, table, PROMPT_COLUMNS) for table in PROMPTED]
    return pl.concat(frames).drop_nulls("prompt_sha256").unique()

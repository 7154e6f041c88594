"""`ledger/lineage`: the edges of groundwork, sealed runs and instruments, from what the other ledgers hold."""

from collections.abc import Iterator, Sequence

import polars as pl

from atlas_resources.ledgers.growth.distinct import read_distinct
from atlas_resources.ledgers.growth.growing import RowsOfPlates, grow, read_made_of
from atlas_resources.ledgers.growth.made_of import NOTHING, combined
from atlas_resources.ledgers.lineage.columns import HISTOGRAM_COLUMNS, PROMPT_COLUMNS, PROMPTED
from atlas_resources.ledgers.lineage.edges import edges_of_groundwork, edges_of_runs, edges_of_sources
from atlas_resources.ledgers.lineage.pins import PINNED, RecordedPins, edges_of_pins, edges_of_prompts, read_pins
from atlas_resources.ledgers.parquet import keep, ledger_path, read_ledger, write_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import HISTOGRAMS, LINEAGE, PLATES, RUNS

MADE_FROM = (PLATES, HISTOGRAMS, RUNS)


def build_lineage(dataset: Dataset) -> pl.LazyFrame:
    """`ledger/lineage`. Reads other ledgers, and of the files one configuration for each instrument that ever ran.

    Makes the edges of plates whose rows in those ledgers changed.
    """
    keep(dataset, *(table.name for table in MADE_FROM))
    paths = {table.name: ledger_path(dataset, table) for table in MADE_FROM}
    made_of = [read_made_of(dataset, paths[table.name], table) for table in MADE_FROM]
    ran = read_distinct(dataset, RUNS, (*PINNED, "run_id"))
    pins = dict(_read_all_pins(dataset, ran))
    of_instruments = _edges(edges_of_pins(ran, pins), edges_of_prompts(_answered_prompts(dataset), pins))

    plates_of, histograms_of, runs_of = (RowsOfPlates.of_ledger(dataset, paths[one.name], one) for one in MADE_FROM)

    def make(plate_ids: Sequence[str]) -> pl.DataFrame:
        plates, histograms = plates_of.of(plate_ids), histograms_of.of(plate_ids, HISTOGRAM_COLUMNS)
        groundwork = edges_of_groundwork(plates, histograms)
        return _edges(edges_of_sources(plates), groundwork, edges_of_runs(runs_of.of(plate_ids)))

    present = combined(made_of, LINEAGE.conform(of_instruments).rows())
    if present is NOTHING:
        plates, runs = read_ledger(dataset, PLATES), read_ledger(dataset, RUNS)
        histograms = read_ledger(dataset, HISTOGRAMS, HISTOGRAM_COLUMNS)
        edges = [edges_of_sources(plates), edges_of_groundwork(plates, histograms), edges_of_runs(runs)]
        return write_ledger(dataset, LINEAGE, _edges(*edges, of_instruments)).lazy()
    return grow(dataset, LINEAGE, present, lambda plate_ids, _: (make(plate_ids), ()), common=of_instruments)


def _edges(*frames: pl.DataFrame) -> pl.DataFrame:
    names = LINEAGE.schema.names()
    return pl.concat([frame.select(names) for frame in frames]).unique()


def _read_all_pins(dataset: Dataset, runs: pl.DataFrame) -> Iterator[tuple[str, RecordedPins | None]]:
    instruments = runs.group_by("fingerprint", "weights_sha256").agg(pl.col("run_id").unique().sort())
    for fingerprint, weights_sha256, run_ids in instruments.sort("fingerprint").iter_rows():
        yield fingerprint, read_pins(dataset, fingerprint, weights_sha256, run_ids)


def _answered_prompts(dataset: Dataset) -> pl.DataFrame:
    """Each prompt that a row of a result answers, once for each instrument."""
    frames = [read_distinct(dataset, table, PROMPT_COLUMNS) for table in PROMPTED]
    return pl.concat(frames).drop_nulls("prompt_sha256").unique()

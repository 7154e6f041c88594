"""`ledger/lineage`: the edges of groundwork, sealed runs and instruments, from what the other ledgers hold."""

from collections.abc import Iterator, Sequence

import polars as pl

from atlas_resources.ledgers.growth.growing import NOTHING, combined, grow, read_made_of
from atlas_resources.ledgers.lineage.columns import HISTOGRAM_COLUMNS, PROMPT_COLUMNS, PROMPTED
from atlas_resources.ledgers.lineage.edges import edges_of_groundwork, edges_of_runs, edges_of_sources
from atlas_resources.ledgers.lineage.pins import RecordedPins, edges_of_pins, edges_of_prompts, read_pins
from atlas_resources.ledgers.parquet import ledger_path, read_ledger, write_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import HISTOGRAMS, LINEAGE, PLATES, RUNS


def build_lineage(dataset: Dataset) -> pl.DataFrame:
    """`ledger/lineage`. Reads other ledgers, and of the files one configuration for each instrument that ever ran.

    Makes the edges of plates whose rows in those ledgers changed.
    """
    made_of = [read_made_of(ledger_path(dataset, table), table) for table in (PLATES, HISTOGRAMS, RUNS)]
    plates, runs = read_ledger(dataset, PLATES), read_ledger(dataset, RUNS)
    histograms = read_ledger(dataset, HISTOGRAMS, HISTOGRAM_COLUMNS)
    pins = dict(_read_all_pins(dataset, runs))
    of_instruments = _edges(edges_of_pins(runs, pins), edges_of_prompts(_answered_prompts(dataset), pins))

    def make(plate_ids: Sequence[str] | None) -> pl.DataFrame:
        wanted = pl.lit(True) if plate_ids is None else pl.col("plate_id").is_in(plate_ids)
        some = plates.filter(wanted)
        return _edges(
            edges_of_sources(some),
            edges_of_groundwork(some, histograms.filter(wanted)),
            edges_of_runs(runs.filter(wanted)),
        )

    present = combined(made_of, LINEAGE.conform(of_instruments).rows())
    if present is NOTHING:
        return write_ledger(dataset, LINEAGE, pl.concat([make(None), of_instruments]))
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
    frames = [read_ledger(dataset, table, PROMPT_COLUMNS) for table in PROMPTED]
    return pl.concat(frames).drop_nulls("prompt_sha256").unique()

"""The ledgers and the catalogue as assets: unpartitioned, and rebuilt from the plates' own files."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import dagster as dg
import polars as pl

from atlas_assets.graph._metadata import column_schema, table_columns
from atlas_assets.graph.ledger_origins import Ledger, ledger_key, ledgers_of
from atlas_assets.ui.metadata import markdown_list
from atlas_assets.ui.neighbours import disagreement_pictures, neighbour_pictures
from atlas_assets.ui.plots import data_uri_markdown, scores_plot
from atlas_resources.catalogue.build import MACROS, build_catalogue
from atlas_resources.files.stated_digests import part_paths
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.builders import build_ledger
from atlas_resources.ledgers.completeness.states import MOST_ATTEMPTS, STATES
from atlas_resources.ledgers.left_out import find_left_out
from atlas_resources.ledgers.parquet import ledger_path, read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index.memory import one_look
from atlas_resources.resources import DatasetResource
from atlas_resources.runs.faults import SealedFault
from atlas_resources.tables.intake import REFUSED_SCANS
from atlas_resources.tables.ledgers import (
    GROUNDWORK_FAILURES,
    LEDGERS,
    RUNS,
)
from atlas_resources.tables.table import IS_CURRENT, Table
from atlas_resources.tables.topology.agreement import ADDITIONS, PLATE_AGREEMENT
from atlas_resources.tables.topology.spaces import NEIGHBOURS

CATALOGUE_KEY = dg.AssetKey("catalogue")
SHOWN = 20  # rows of a ledger on its page
DISPUTED_SHOWN = 3
DRAWN = (NEIGHBOURS, PLATE_AGREEMENT, ADDITIONS)
"""Ledgers that have a picture."""
SHOWN_COLUMNS = {"plate_id", IS_CURRENT.name, "status", "attempt", "state", "is_active", "instrument", "path", "reason"}
SHOWN_COLUMNS |= {"message"}
"""Columns of other ledgers that are counted or shown, where a ledger has them; those of seconds besides."""

LEDGER_KEYS = (*(ledger_key(table) for table in LEDGERS.values()), CATALOGUE_KEY)


def _counts(rows: pl.DataFrame) -> dict[str, Any]:
    """Numbers that the UI plots over the refreshes: plates, current rows, failures and seconds of runs, states."""
    counts: dict[str, Any] = {}
    if "plate_id" in rows.columns:
        counts["plates"] = rows["plate_id"].n_unique()
    if IS_CURRENT.name in rows.columns:
        counts["current_rows"] = rows[IS_CURRENT.name].sum()
    if "status" in rows.columns and "attempt" in rows.columns:
        counts["failed_runs"] = rows.filter(status="failed").height
        stages = [name for name in rows.columns if name.endswith("_seconds")]
        median = rows.filter(IS_CURRENT.name).select(pl.sum_horizontal(stages)).to_series().median()
        if isinstance(median, float):
            counts["median_seconds_per_plate"] = median
    if "state" in rows.columns:
        counts |= {f"{state}_count": rows.filter(pl.col("is_active"), state=state).height for state in STATES}
    return counts


def _first_rows(table: Table, rows: pl.DataFrame) -> dict[str, Any]:
    """What failed or is refused, a line each: a person opens these ledgers to see that, and they are short."""
    if table == REFUSED_SCANS:
        lines = [f"{path}: {reason}" for path, reason in rows.select("path", "reason").head(SHOWN).iter_rows()]
    elif table == GROUNDWORK_FAILURES:
        current = rows.filter(IS_CURRENT.name).select("plate_id", "message").head(SHOWN)
        lines = [f"{plate_id}: {message}" for plate_id, message in current.iter_rows()]
    else:
        return {}
    return {"first_rows": dg.MetadataValue.md(markdown_list(lines))} if lines else {}


def _is_shown(name: str) -> bool:
    return name in SHOWN_COLUMNS or name.endswith("_seconds")


def _metadata(dataset: Dataset, table: Table, built: pl.LazyFrame) -> dict[str, Any]:
    path = ledger_path(dataset, table)
    columns = table.schema.names()
    rows = built.select(columns if table in DRAWN else filter(_is_shown, columns)).collect()
    metadata: dict[str, Any] = {
        "dagster/row_count": built.select(pl.len()).collect().item(),
        "dagster/uri": path.as_uri(),
        "file_size_bytes": sum(part.stat().st_size for part in part_paths(path)),
        **_counts(rows),
        **_first_rows(table, rows),
    }
    if "instrument" in rows.columns and "is_current" in rows.columns:
        counts = rows.group_by("instrument").agg(pl.len().alias("rows"), pl.col("is_current").sum().alias("current"))
        lines = [f"| {key} | {number} | {current} |" for key, number, current in sorted(counts.iter_rows())]
        metadata["instruments"] = dg.MetadataValue.md(
            "| instrument | rows | current |\n|---|---|---|\n" + "\n".join(lines)
        )
    for name, picture in _pictures(dataset, table, rows):
        metadata[name] = dg.MetadataValue.md(data_uri_markdown(picture, name))
    return metadata


def _pictures(dataset: Dataset, table: Table, rows: pl.DataFrame) -> Iterator[tuple[str, bytes]]:
    """What a ledger of topology shows, by name: neighbours, the plates that spaces disagree on, what was added."""

    def thumbnail(plate_id: str) -> bytes | None:
        return dataset.plate(plate_id).thumbnail()

    if table == NEIGHBOURS:
        for shown in neighbour_pictures(rows, thumbnail):
            yield f"nearest to {shown.plate_id} ({shown.space})", shown.picture
    elif table == PLATE_AGREEMENT:
        disputed = rows.filter(pl.col("disagreement") > 0).sort("disagreement_rank", "plate_id").head(DISPUTED_SHOWN)
        near = read_ledger(dataset, NEIGHBOURS)
        for plate_id, picture in disagreement_pictures(near, disputed["plate_id"].to_list(), thumbnail):
            yield f"disputed: {plate_id}", picture
    elif table == ADDITIONS:
        added = rows.filter(pl.col("changed_ratio").is_not_null(), kind="in_order").sort("position")
        if added.height:
            plot = scores_plot(added["instrument"].to_list(), added["changed_ratio"].to_list(), added.height)
            yield "share of neighbours changed by each addition", plot


def _left_out_metadata(faults: Sequence[SealedFault]) -> dict[str, Any]:
    """Number of faults that keep runs out of the ledgers, and each in a line."""
    if not faults:
        return {}
    return {"left_out_count": len(faults), "left_out": dg.MetadataValue.text("\n".join(map(str, faults)))}


class _Forwarding(logging.Handler):
    """Gives the level and text of each record to a function."""

    def __init__(self, tell: Callable[[int, str], object]):
        super().__init__(logging.INFO)
        self.tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self.tell(record.levelno, record.getMessage())


@contextmanager
def told_by_ledgers(tell: Callable[[int, str], object]) -> Iterator[None]:
    """Gives a function what the builders of ledgers log meanwhile, by level and text: how far a long one is."""
    logger, handler = logging.getLogger("atlas_resources.ledgers"), _Forwarding(tell)
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def _run_of_ledgers(context: dg.AssetExecutionContext) -> str:
    """The run, if it makes ledgers alone, so that all of its steps in this process may share one look; else empty."""
    asked = context.run.asset_selection or ()
    return context.run.run_id if asked and set(asked) <= set(LEDGER_KEYS) else ""


def _build_ledger_asset(ledger: Ledger, registry: Registry, most_attempts: int) -> dg.AssetsDefinition:
    table, columns = ledger.table, ledger.table.schema.names()

    @dg.asset(
        key=ledger_key(table),
        deps=list(ledger.origin.parents),
        group_name=ledger.group,
        description=table.meaning,
        kinds={"parquet", "polars"},
        owners=["team:atlas"],
        metadata={**column_schema(table), "columns_from": ledger.origin.shown(columns)},
    )
    def ledger_asset(context: dg.AssetExecutionContext, dataset: DatasetResource) -> dg.MaterializeResult:
        opened, started = dataset.open(), time.monotonic()
        with told_by_ledgers(context.log.log), one_look(opened.root, of_run=_run_of_ledgers(context)):
            rows = build_ledger(table.name, opened, registry, most_attempts)
        seconds = time.monotonic() - started
        left_out = find_left_out(opened) if table == RUNS else []
        for fault in left_out:
            context.log.warning(f"left out of the ledgers: {fault}")
        metadata = _metadata(opened, table, rows) | {"seconds": seconds} | _left_out_metadata(left_out)
        return dg.MaterializeResult(metadata={**metadata, **ledger.origin.lineage(columns)})

    return ledger_asset


def build_ledger_assets(registry: Registry, most_attempts: int = MOST_ATTEMPTS) -> list[dg.AssetsDefinition]:
    """Builds an asset per ledger, each downstream of what it reads, and the catalogue's asset.

    Args:
        registry: the instruments.
        most_attempts: after as many failures, a plate is given up.
    """
    return [
        *(_build_ledger_asset(ledger, registry, most_attempts) for ledger in ledgers_of(registry)),
        _build_catalogue_asset(registry),
    ]


def _catalogue_lineage() -> dg.TableColumnLineage:
    """Each table is its ledger, column by column."""
    return dg.TableColumnLineage(
        deps_by_column={
            f"{table.name}.{name}": [dg.TableColumnDep(ledger_key(table), name)]
            for table in LEDGERS.values()
            for name in table.schema.names()
        }
    )


def _build_catalogue_asset(registry: Registry) -> dg.AssetsDefinition:
    columns = [column for name, table in LEDGERS.items() for column in table_columns(table, f"{name}.")]
    macros = "\n".join(f"- `{macro.name}`: {macro.meaning}" for macro in MACROS)

    @dg.asset(
        key=CATALOGUE_KEY,
        deps=[ledger_key(table) for table in LEDGERS.values()],
        group_name="catalogue",
        description=f"`atlas.duckdb`: ledgers as documented tables, a view per instrument, and macros:\n\n{macros}",
        kinds={"duckdb"},
        owners=["team:atlas"],
        metadata={"dagster/column_schema": dg.TableSchema(columns=columns)},
    )
    def catalogue(context: dg.AssetExecutionContext, dataset: DatasetResource) -> dg.MaterializeResult:
        opened, started = dataset.open(), time.monotonic()
        path = build_catalogue(opened, registry)
        return dg.MaterializeResult(
            metadata={
                "dagster/uri": path.as_uri(),
                "file_size_bytes": path.stat().st_size,
                "path": dg.MetadataValue.path(path),
                "seconds": time.monotonic() - started,
                "dagster/column_lineage": _catalogue_lineage(),
            }
        )

    return catalogue

"""The ledgers and the catalogue as assets: unpartitioned, and rebuilt from the plates' own files."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import dagster as dg
import polars as pl

from atlas_assets.graph._metadata import column_schema
from atlas_assets.graph.groundwork import HISTOGRAMS_KEY, INPUT_IMAGE_KEY
from atlas_assets.graph.instruments import asset_key
from atlas_assets.graph.plates import MANIFEST_KEY
from atlas_assets.ui.neighbours import neighbour_pictures
from atlas_assets.ui.plots import data_uri_markdown
from atlas_resources.catalogue.build import MACROS, build_catalogue
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.intake import build_refused_scans
from atlas_resources.ledgers.left_out import find_left_out
from atlas_resources.ledgers.models import build_models
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.ledgers.plates import build_groundwork_failures, build_histograms, build_plates
from atlas_resources.ledgers.runs import build_lineage, build_results, build_runs
from atlas_resources.ledgers.segment_sets import build_segment_sets
from atlas_resources.models.weights import has_weights
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource
from atlas_resources.runs.faults import SealedFault
from atlas_resources.tables.intake import REFUSED_SCANS
from atlas_resources.tables.ledgers import (
    GROUNDWORK_FAILURES,
    HISTOGRAMS,
    LEDGERS,
    LINEAGE,
    MODELS,
    PLATES,
    RUNS,
    SEGMENT_SETS,
)
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import Table

CATALOGUE_KEY = dg.AssetKey("catalogue")


def ledger_key(table: Table) -> dg.AssetKey:
    """`ledger/<table>`."""
    return dg.AssetKey(["ledger", table.name])


LEDGER_KEYS = (*(ledger_key(table) for table in LEDGERS.values()), CATALOGUE_KEY)


def _metadata(dataset: Dataset, table: Table, rows: pl.DataFrame) -> dict[str, Any]:
    path = ledger_path(dataset, table)
    metadata: dict[str, Any] = {
        "dagster/row_count": rows.height,
        "dagster/uri": path.as_uri(),
        "file_size_bytes": path.stat().st_size,
    }
    if "instrument" in rows.columns and "is_current" in rows.columns:
        counts = rows.group_by("instrument").agg(pl.len().alias("rows"), pl.col("is_current").sum().alias("current"))
        lines = [f"| {key} | {number} | {current} |" for key, number, current in sorted(counts.iter_rows())]
        metadata["instruments"] = dg.MetadataValue.md(
            "| instrument | rows | current |\n|---|---|---|\n" + "\n".join(lines)
        )
    if table.name == "embeddings":
        current = rows.filter(pl.col("is_current"))
        for shown in neighbour_pictures(current, lambda plate_id: dataset.plate(plate_id).thumbnail()):
            name = f"nearest to {shown.plate_id} ({shown.instrument})"
            metadata[name] = dg.MetadataValue.md(data_uri_markdown(shown.picture, name))
    return metadata


def _left_out_metadata(faults: Sequence[SealedFault]) -> dict[str, Any]:
    """Number of faults that keep runs out of the ledgers, and each in a line."""
    if not faults:
        return {}
    return {"left_out_count": len(faults), "left_out": dg.MetadataValue.text("\n".join(map(str, faults)))}


def _build_ledger_asset(
    table: Table, upstream: Sequence[dg.AssetKey], build: Callable[[Dataset], pl.DataFrame]
) -> dg.AssetsDefinition:
    @dg.asset(
        key=ledger_key(table),
        deps=upstream,
        group_name="ledger",
        description=table.meaning,
        kinds={"parquet", "polars"},
        owners=["team:atlas"],
        metadata=column_schema(table),
    )
    def ledger_asset(context: dg.AssetExecutionContext, dataset: DatasetResource) -> dg.MaterializeResult:
        opened = dataset.open()
        rows = build(opened)
        left_out = find_left_out(opened) if table == RUNS else []
        for fault in left_out:
            context.log.warning(f"left out of the ledgers: {fault}")
        return dg.MaterializeResult(metadata={**_metadata(opened, table, rows), **_left_out_metadata(left_out)})

    return ledger_asset


def build_ledger_assets(registry: Registry) -> list[dg.AssetsDefinition]:
    """Builds an asset per ledger, each downstream of what it reads, and the catalogue's asset.

    Instruments without their weights have no edge: nothing comes from them here. Results that they sealed elsewhere are
    in the ledgers all the same.
    """
    measuring = [instrument for instrument in registry.instruments.values() if has_weights(instrument)]
    keys_of_role = {
        role: [asset_key(instrument) for instrument in measuring if instrument.spec.role == role]
        for role in INSTRUMENT_TABLES
    }
    ledgers = [
        _build_ledger_asset(PLATES, [MANIFEST_KEY, INPUT_IMAGE_KEY], build_plates),
        _build_ledger_asset(HISTOGRAMS, [HISTOGRAMS_KEY], build_histograms),
        _build_ledger_asset(REFUSED_SCANS, [], build_refused_scans),
        _build_ledger_asset(GROUNDWORK_FAILURES, [INPUT_IMAGE_KEY, HISTOGRAMS_KEY], build_groundwork_failures),
        _build_ledger_asset(RUNS, [ledger_key(table) for table in INSTRUMENT_TABLES.values()], build_runs),
        _build_ledger_asset(LINEAGE, [ledger_key(RUNS)], build_lineage),
        _build_ledger_asset(MODELS, [], partial(build_models, registry=registry)),
    ]
    ledgers += [
        _build_ledger_asset(table, keys_of_role[role], partial(build_results, registry=registry, role=role))
        for role, table in INSTRUMENT_TABLES.items()
    ]
    segments = ledger_key(INSTRUMENT_TABLES["segmentation"])
    ledgers.append(_build_ledger_asset(SEGMENT_SETS, [segments], build_segment_sets))
    return [*ledgers, _build_catalogue_asset(registry)]


def _build_catalogue_asset(registry: Registry) -> dg.AssetsDefinition:
    macros = "\n".join(f"- `{macro.name}`: {macro.meaning}" for macro in MACROS)

    @dg.asset(
        key=CATALOGUE_KEY,
        deps=[ledger_key(table) for table in LEDGERS.values()],
        group_name="catalogue",
        description=f"`atlas.duckdb`: ledgers as documented tables, a view per instrument, and macros:\n\n{macros}",
        kinds={"duckdb"},
        owners=["team:atlas"],
    )
    def catalogue(context: dg.AssetExecutionContext, dataset: DatasetResource) -> dg.MaterializeResult:
        opened = dataset.open()
        path = build_catalogue(opened, registry)
        return dg.MaterializeResult(
            metadata={
                "dagster/uri": path.as_uri(),
                "file_size_bytes": path.stat().st_size,
                "path": dg.MetadataValue.path(path),
            }
        )

    return catalogue

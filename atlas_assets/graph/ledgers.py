"""The ledgers and the catalogue as assets: unpartitioned, and rebuilt from the plates' own files."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
import polars as pl

from atlas_assets.graph._metadata import Origin, column_schema, table_columns
from atlas_assets.graph.groundwork import HISTOGRAMS_KEY, INPUT_IMAGE_KEY
from atlas_assets.graph.instruments import asset_key
from atlas_assets.graph.plates import MANIFEST_KEY
from atlas_assets.ui.metadata import markdown_list
from atlas_assets.ui.neighbours import neighbour_pictures
from atlas_assets.ui.plots import data_uri_markdown
from atlas_resources.catalogue.build import MACROS, build_catalogue
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.builders import BUILDERS
from atlas_resources.ledgers.completeness.states import MOST_ATTEMPTS, STATES
from atlas_resources.ledgers.left_out import find_left_out
from atlas_resources.ledgers.lineage.columns import LINEAGE_MADE_OF, LINEAGE_READS
from atlas_resources.ledgers.parquet import ledger_path
from atlas_resources.models.weights import has_weights
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource
from atlas_resources.runs.faults import SealedFault
from atlas_resources.tables.completeness import COMPLETENESS
from atlas_resources.tables.groundwork import FACTS
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
from atlas_resources.tables.records.benchmarks import BENCHMARKS
from atlas_resources.tables.records.reproductions import REPRODUCTIONS
from atlas_resources.tables.records.snapshots import SNAPSHOT_RUNS, SNAPSHOTS
from atlas_resources.tables.records.withdrawals import WITHDRAWALS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import IS_CURRENT, Table

CATALOGUE_KEY = dg.AssetKey("catalogue")
SHOWN = 20  # rows of a ledger on its page
OF_PLATES, OF_RESULTS, OF_RUNS = "ledger_plates", "ledger_results", "ledger_runs"  # groups in the UI

SEGMENT_SETS_MADE_OF = {
    "segment_count": ("segment_id",),
    "largest_area_ratio": ("area_ratio",),
    "median_area_ratio": ("area_ratio",),
    "covered_ratio": ("mask_rle",),
    "foreground_instrument": ("instrument", "class_name"),
    "foreground_run_id": ("run_id", "class_name"),
    "foreground_ratio": ("mask_rle", "class_name"),
    "foreground_segment_count": ("mask_rle", "class_name", "area_px"),
    "foreground_covered_ratio": ("mask_rle", "class_name"),
    "largest_foreground_share": ("mask_rle", "class_name"),
}
"""Columns of `segments` that those of `segment_sets` are made of."""


def ledger_key(table: Table) -> dg.AssetKey:
    """`ledger/<table>`."""
    return dg.AssetKey(["ledger", table.name])


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


def _metadata(dataset: Dataset, table: Table, rows: pl.DataFrame) -> dict[str, Any]:
    path = ledger_path(dataset, table)
    metadata: dict[str, Any] = {
        "dagster/row_count": rows.height,
        "dagster/uri": path.as_uri(),
        "file_size_bytes": path.stat().st_size,
        **_counts(rows),
        **_first_rows(table, rows),
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


@dataclass(frozen=True)
class _Ledger:
    """What a ledger is made from. `BUILDERS` has the function that builds it."""

    table: Table
    group: str
    origin: Origin


def _build_ledger_asset(ledger: _Ledger, registry: Registry, most_attempts: int) -> dg.AssetsDefinition:
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
        rows = BUILDERS[table.name](opened, registry, most_attempts)
        seconds = time.monotonic() - started
        left_out = find_left_out(opened) if table == RUNS else []
        for fault in left_out:
            context.log.warning(f"left out of the ledgers: {fault}")
        metadata = _metadata(opened, table, rows) | {"seconds": seconds} | _left_out_metadata(left_out)
        return dg.MaterializeResult(metadata={**metadata, **ledger.origin.lineage(columns)})

    return ledger_asset


def _ledgers_of_plates() -> list[_Ledger]:
    """What registration and the groundwork leave; `plates` has a row for a plate without groundwork too."""
    facts = {column.name for column in FACTS}
    of_plates = {MANIFEST_KEY: PLATES.schema.keys() - facts, INPUT_IMAGE_KEY: facts}
    failed = {"plate_id", "source_sha256"}
    return [
        _Ledger(PLATES, OF_PLATES, Origin(of_plates)),
        _Ledger(HISTOGRAMS, OF_PLATES, Origin({HISTOGRAMS_KEY: HISTOGRAMS.schema.names()})),
        _Ledger(REFUSED_SCANS, OF_PLATES, Origin({}, otherwise="`refused_scans.json`")),
        _Ledger(
            GROUNDWORK_FAILURES,
            OF_PLATES,
            Origin({INPUT_IMAGE_KEY: failed, HISTOGRAMS_KEY: failed}, otherwise="each plate's `derived/`"),
        ),
    ]


def _ledgers_of_results(registry: Registry) -> list[_Ledger]:
    """The results of each role, by the instruments of the role that have their weights, and what follows from masks."""
    measuring = [instrument for instrument in registry.instruments.values() if has_weights(instrument)]
    ledgers = []
    for role, table in INSTRUMENT_TABLES.items():
        keys = [asset_key(instrument) for instrument in measuring if instrument.spec.role == role]
        origin = Origin(
            dict.fromkeys(keys, table.sealed_schema.names()),
            {IS_CURRENT.name: ("run_id", "fingerprint", "source_sha256")},
        )
        ledgers.append(_Ledger(table, OF_RESULTS, origin))
    segments = INSTRUMENT_TABLES["segmentation"]
    sets = Origin({ledger_key(segments): segments.schema.names()}, SEGMENT_SETS_MADE_OF)
    return [*ledgers, _Ledger(SEGMENT_SETS, OF_RESULTS, sets)]


def _ledgers_of_runs() -> list[_Ledger]:
    """What ran, from what, and which instruments there are."""
    results = {ledger_key(table): table.schema.names() for table in INSTRUMENT_TABLES.values()}
    read = {ledger_key(table): columns for table, columns in LINEAGE_READS}
    return [
        _Ledger(RUNS, OF_RUNS, Origin(results, otherwise="manifests of sealed runs, gathered with the results")),
        _Ledger(LINEAGE, OF_RUNS, Origin(read, LINEAGE_MADE_OF, "the kind of the edge")),
        _Ledger(MODELS, OF_RUNS, Origin({}, otherwise="`model_specs/`")),
        _Ledger(SNAPSHOTS, OF_RUNS, Origin({}, otherwise="`snapshots/`")),
        _Ledger(SNAPSHOT_RUNS, OF_RUNS, Origin({}, otherwise="`snapshots/`")),
        _Ledger(REPRODUCTIONS, OF_RUNS, Origin({}, otherwise="`reproductions/`")),
        _Ledger(BENCHMARKS, OF_RUNS, Origin({}, otherwise="`benchmarks/`")),
    ]


def _completeness() -> _Ledger:
    """It follows the ledgers that are built from the same files, so that one refresh shows one state of the library."""
    origin = Origin(
        {ledger_key(table): table.schema.names() for table in (RUNS, PLATES, GROUNDWORK_FAILURES, MODELS)},
        {
            "plate_id": ("plate_id",),
            "instrument": ("instrument",),
            "state": ("status", "fingerprint", "source_sha256", "measure_version"),
            "reason": ("error_message", "message"),
            "attempts": ("attempt", "attempts"),
            "since": ("sealed_at", "groundwork_measured_at", "failed_at"),
            "what_changed": ("fingerprint", "source_sha256", "measure_version"),
        },
        otherwise="`model_specs/`",
    )
    return _Ledger(COMPLETENESS, OF_RUNS, origin)


def build_ledger_assets(registry: Registry, most_attempts: int = MOST_ATTEMPTS) -> list[dg.AssetsDefinition]:
    """Builds an asset per ledger, each downstream of what it reads, and the catalogue's asset.

    Instruments without their weights have no edge: nothing comes from them here. Results that they sealed elsewhere are
    in the ledgers all the same.

    Args:
        registry: the instruments.
        most_attempts: after as many failures, a plate is given up.
    """
    ledgers = [*_ledgers_of_plates(), *_ledgers_of_results(registry), *_ledgers_of_runs()]
    ledgers.append(_completeness())
    log = Origin({}, otherwise="`withdrawals/`")
    ledgers.append(_Ledger(WITHDRAWALS, OF_RUNS, log))
    return [
        *(_build_ledger_asset(ledger, registry, most_attempts) for ledger in ledgers),
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

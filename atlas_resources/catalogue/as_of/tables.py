"""How each ledger answers as the library stood then: by a query of the present table, or by rows made for it."""

from collections.abc import Callable

import polars as pl

from atlas_resources.catalogue._view import identifier, literal
from atlas_resources.catalogue.as_of.plates import models_then, plates_then
from atlas_resources.catalogue.as_of.then import KEPT, NOW, Then
from atlas_resources.ledgers.lineage.closure import made_from
from atlas_resources.ledgers.segment_sets import compare_sets
from atlas_resources.ledgers.tags.ledger import mark_standing
from atlas_resources.plates.groundwork import COST_NAME, HISTOGRAMS_NAME
from atlas_resources.snapshots.tree import PLATES as PLATES_FOLDER
from atlas_resources.tables.ledgers import LEDGERS, PLATES, SEGMENT_SETS, TOPOLOGY
from atlas_resources.tables.records.withdrawals import WITHDRAWN_BY
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import Table
from atlas_resources.tables.topology.spaces import PLATE_SPACES
from atlas_resources.tags.log import FOLDER as TAGS_FOLDER

Rule = Callable[[Then, Table], str | pl.DataFrame | None]
_IS_CURRENT = f"(plate_id, run_id) IN (SELECT plate_id, run_id FROM {KEPT}.current_runs)"
_IS_SEALED = f"(plate_id, run_id) IN (SELECT plate_id, run_id FROM {KEPT}.sealed)"


def _sealed(then: Then, table: Table) -> str:
    """Rows of the runs that were sealed by then; those of current runs are current. Later withdrawals are left out."""
    columns = {"is_current": _IS_CURRENT, WITHDRAWN_BY.name: _then_in_force(then, WITHDRAWN_BY.name)}
    replaced = ", ".join(f"{sql} AS {name}" for name, sql in columns.items() if name in table.schema)
    return f"SELECT *{f' REPLACE ({replaced})' if replaced else ''} FROM {_now(table)} WHERE {_IS_SEALED}"


def _then_in_force(then: Then, column: str) -> str:
    """SQL of the number of an entry of `withdrawals`, null if it was made later."""
    return f"CASE WHEN {column} IN ({then.entries}) THEN {column} END"


def _withdrawals(then: Then, table: Table) -> str:
    """Entries that had been made by then."""
    restored = _then_in_force(then, "restored_by")
    in_force = f"kind = 'withdraw' AND {restored} IS NULL"
    return f"""
        SELECT * REPLACE ({restored} AS restored_by, ({in_force}) AS is_in_force) FROM {_now(table)}
        WHERE number IN ({then.entries})
    """


def _lineage(then: Then, table: Table) -> pl.DataFrame:
    """Edges of the runs sealed by then, of the measured files that are the same, and of what both were made from.

    The commit that measured a plate is known only if its groundwork.json is the same.
    """
    path, of_plate = f"{literal(PLATES_FOLDER)} || subject", "run_id IS NULL AND plate_id IS NOT NULL"
    files = then.now(
        table,
        f"{of_plate} AND subject_kind = 'file' AND ({path}, subject_sha256) IN (SELECT path, sha256 FROM {KEPT}.files)",
    )
    activities = files.filter(relation="wasGeneratedBy").select("object", "subject")
    costed = activities.filter(pl.col("subject").str.ends_with(f"/{COST_NAME}"))
    is_dated = pl.col("subject").is_in(costed["object"].implode()) | (pl.col("relation") != "wasAssociatedWith")
    runs = then.now(table, f"{of_plate} AND subject_kind = 'run'").filter(
        pl.col("subject").is_in(activities["object"].implode()), is_dated
    )
    others = then.now(table, f"{of_plate} AND subject_kind NOT IN ('file', 'run')")
    start = pl.concat([then.now(table, _IS_SEALED), files, runs])
    return made_from(start, pl.concat([others, then.now(table, "plate_id IS NULL")]))


def _measured(then: Then, table: Table) -> str:
    """Rows of measured files that are the same as then."""
    path = f"{literal(PLATES_FOLDER)} || plate_id || {literal(f'/derived/{HISTOGRAMS_NAME}')}"
    sources = [(plate.plate_id, plate.source_sha256) for plate in then.snapshot.plates]
    schema = {"plate_id": pl.String, "source": pl.String}
    then.fill(f"{KEPT}.sources", pl.DataFrame(sources, schema=schema, orient="row"))
    version = literal(then.snapshot.measure_version)
    is_current = (
        f"measure_version = {version} AND (plate_id, source_sha256) IN (SELECT plate_id, source FROM {KEPT}.sources)"
    )
    return f"""
        SELECT * REPLACE ({is_current} AS is_current) FROM {_now(table)}
        WHERE ({path}, file_sha256) IN (SELECT path, sha256 FROM {KEPT}.files)
    """


def _failed(then: Then, table: Table) -> str:
    """Failures of the groundwork whose file is the same as then."""
    version = literal(then.snapshot.measure_version)
    return f"""
        SELECT * REPLACE (coalesce(measure_version = {version}, true) AS is_current) FROM {_now(table)}
        WHERE file_sha256 IN (
            SELECT sha256 FROM {KEPT}.files WHERE path LIKE {literal(PLATES_FOLDER)} || plate_id || '/derived/%'
        )
    """


def _refused(then: Then, table: Table) -> str:
    """Scans that are refused still and were so by then: which others were is not kept."""
    return f"FROM {_now(table)} WHERE first_refused_at <= {then.created_at}"


def _snapshots(then: Then, table: Table) -> str:
    return f"FROM {_now(table)} WHERE created_at <= {then.created_at}"


def _snapshot_runs(then: Then, table: Table) -> str:
    return f"FROM {_now(table)} WHERE snapshot IN (SELECT snapshot FROM snapshots)"


def _segment_sets(then: Then, table: Table) -> pl.DataFrame:
    """The sets that were current: those known, and those of runs that others have replaced, compared again."""
    segments = INSTRUMENT_TABLES["segmentation"]
    current = [
        tuple(row)
        for row in then.rows(
            f"SELECT plate_id, instrument, run_id FROM {KEPT}.current_runs WHERE (plate_id, run_id) IN "
            f"(SELECT plate_id, run_id FROM {NOW}.runs WHERE role = 'segmentation') ORDER BY ALL"
        )
    ]
    known = then.now(SEGMENT_SETS)
    runs = set(known.select("plate_id", "run_id").iter_rows())
    is_same = runs == {(plate_id, run_id) for plate_id, _, run_id in current}
    return known if is_same else compare_sets(current, then.now(segments, _IS_CURRENT), known)


def _tags(then: Then, table: Table) -> pl.DataFrame:
    """Judgements that had been entered by then, with what stood. Those of clusters are not current: none are kept."""
    files = f"SELECT sha256 FROM {KEPT}.files WHERE path LIKE {literal(f'{TAGS_FOLDER}/%')}"
    current = then.rows(f"SELECT plate_id, run_id FROM {KEPT}.current_runs")
    schema = {"plate_id": pl.String, "run_id": pl.String}
    is_in_force = f"{WITHDRAWN_BY.name} IN ({then.entries})"
    plates = then.now(PLATES, f"NOT coalesce({is_in_force}, false)")
    plates = plates.filter(pl.col("plate_id").is_in([plate.plate_id for plate in then.snapshot.plates]))
    runs = pl.DataFrame(current, schema=schema, orient="row")
    return mark_standing(then.now(table, f"file_sha256 IN ({files})"), plates, runs, PLATE_SPACES.schema.to_frame())


def _recorded(then: Then, table: Table) -> str:
    """Rows of files of records that were there."""
    return f"FROM {_now(table)} WHERE file IN (SELECT path FROM {KEPT}.files)"


def _absent(then: Then, table: Table) -> None:
    """A snapshot does not keep it."""
    return None


def _now(table: Table) -> str:
    return f"{NOW}.{identifier(table.name)}"


RULES: dict[str, Rule] = {
    "plates": lambda then, table: plates_then(then),
    "histograms": _measured,
    "groundwork_failures": _failed,
    "refused_scans": _refused,
    "runs": _sealed,
    **{table.name: _sealed for table in INSTRUMENT_TABLES.values()},
    "segment_sets": _segment_sets,
    "models": lambda then, table: models_then(then),
    "lineage": _lineage,
    "completeness": _absent,
    "snapshots": _snapshots,
    "snapshot_runs": _snapshot_runs,
    "reproductions": _recorded,
    "benchmarks": _recorded,
    "withdrawals": _withdrawals,
    **{table.name: _absent for table in TOPOLOGY},
    "tags": _tags,
}
"""By the ledger's name. A ledger without a rule is not in the catalogue as then."""


def tables_then(then: Then) -> list[tuple[Table, str | pl.DataFrame]]:
    """Each ledger that can answer as then, with a query or rows, in an order in which none needs a later one."""
    found = []
    for name, table in LEDGERS.items():
        rows = RULES.get(name, _absent)(then, table)
        if rows is not None:
            found.append((table, rows))
    return found

"""Where the numbers of each plate come from: a line for each current result, as the macro `why` gives it."""

from collections.abc import Sequence

from atlas_resources.page.contract.plate import Provenance
from atlas_resources.page.shown import Row, Shown
from atlas_resources.page.values import literal, time
from atlas_resources.tables.results import INSTRUMENT_TABLES

_TEXTS = ("model_id", "model_sha", "source_sha256", "fingerprint")
_OPTIONAL = ("weights_sha256", "preprocess_tag", "code_git_sha", "code_is_dirty", "device", "dtype")


def provenance_sql(plate_id: str, instrument: str) -> str:
    """The query of a result's origin."""
    return (
        f"SELECT table_name, run_id, sealed_at, {', '.join(_TEXTS)},\n"
        f"       {', '.join(_OPTIONAL)}, licence\n"
        f"FROM why({literal(plate_id)}, {literal(instrument)})"
    )


def read_provenance(shown: Shown, plates: Sequence[str]) -> dict[str, list[Provenance]]:
    """The origin of each current result of plates, by instrument."""
    found = shown.of_plates(
        f"SELECT plate_id, instrument, role, run_id, sealed_at, {', '.join(_TEXTS)}, {', '.join(_OPTIONAL)}, licence "
        "FROM runs WHERE is_current AND plate_id IN (SELECT unnest(?)) ORDER BY plate_id, role, instrument",
        plates,
    )
    return {plate_id: [_provenance(row) for row in rows] for plate_id, rows in found.items()}


def _provenance(row: Row) -> Provenance:
    return Provenance(
        instrument=row["instrument"],
        table=INSTRUMENT_TABLES[row["role"]].name if row["role"] in INSTRUMENT_TABLES else row["role"] or "",
        run_id=row["run_id"],
        sealed_at=time(row["sealed_at"]) or "",
        licence=row["licence"] or "unknown",
        sql=provenance_sql(row["plate_id"], row["instrument"]),
        **{name: row[name] or "" for name in _TEXTS},
        **{name: row[name] for name in _OPTIONAL},
    )

"""What of a catalogue the page shows: plates that are not withdrawn, current results, and what licences allow."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from atlas_resources.ledgers.terms import PLATE_RULE, RULE, why_not, why_not_plate

if TYPE_CHECKING:
    import duckdb

Row = dict[str, Any]
PLATES_ORDER = "plate_number NULLS LAST, plate_id"
JUDGEMENT = "judgement, corrected, judged_by, judged_at, is_disputed"
"""Columns of the views `tagged_<table>` that `values.judgement` takes."""


@dataclass(frozen=True)
class Shown:
    """A catalogue and what of it is shown.

    Attributes:
        catalogue: open; it is only read.
        is_commercial: whether what may not be used commercially is left out.
        index: the position of each shown plate, in order.
        runs: sealed results that are shown: plate and run.
        spaces: keys of the spaces, embeddings first, in the order of the catalogue.
        has_all_spaces: whether no embedding space is left out.
        notices: what is left out and why, in sentences.
    """

    catalogue: "duckdb.DuckDBPyConnection"
    is_commercial: bool
    index: dict[str, int]
    runs: frozenset[tuple[str, str]]
    spaces: tuple[str, ...]
    has_all_spaces: bool
    notices: tuple[str, ...]

    def rows(self, sql: str, *parameters: object) -> list[Row]:
        """The rows of a query, each by column."""
        return query(self.catalogue, sql, *parameters)

    def of_plates(self, sql: str, plates: Sequence[str], *parameters: object) -> dict[str, list[Row]]:
        """The rows of a query by their plate, in its order, without results that are not shown.

        Args:
            sql: with `?` for the list of plates, first, and then for the parameters.
            plates: their ids.
            parameters: further ones.
        """
        found: defaultdict[str, list[Row]] = defaultdict(list)
        for row in self.rows(sql, list(plates), *parameters):
            if "run_id" not in row or row["run_id"] is None or (row["plate_id"], row["run_id"]) in self.runs:
                found[row["plate_id"]].append(row)
        return found


def query(catalogue: "duckdb.DuckDBPyConnection", sql: str, *parameters: object) -> list[Row]:
    """The rows of a query, each by column."""
    result = catalogue.execute(sql, parameters)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def find_shown(catalogue: "duckdb.DuckDBPyConnection", is_commercial: bool = False) -> Shown:
    """What is shown of a catalogue, by the rules of `atlas export` and its `--commercial`."""
    plate_rule, run_rule = (PLATE_RULE, RULE) if is_commercial else ("true", "true")
    plates = query(
        catalogue, f"SELECT plate_id FROM plates WHERE withdrawn_by IS NULL AND {plate_rule} ORDER BY {PLATES_ORDER}"
    )
    index = {row["plate_id"]: position for position, row in enumerate(plates)}
    runs = query(
        catalogue,
        f"SELECT plate_id, run_id FROM runs AS results WHERE is_current AND withdrawn_by IS NULL AND {run_rule}",
    )
    spaces = query(
        catalogue,
        "SELECT space, kind, coalesce(commercial_use = 'yes', false) AS is_allowed FROM spaces "
        "ORDER BY kind <> 'embedding', space",
    )
    allowed = [row for row in spaces if row["is_allowed"] or not is_commercial]
    return Shown(
        catalogue=catalogue,
        is_commercial=is_commercial,
        index=index,
        runs=frozenset((row["plate_id"], row["run_id"]) for row in runs if row["plate_id"] in index),
        spaces=tuple(row["space"] for row in allowed),
        has_all_spaces=sum(row["kind"] == "embedding" for row in spaces)
        == sum(row["kind"] == "embedding" for row in allowed),
        notices=tuple(_notices(catalogue, is_commercial)),
    )


def _notices(catalogue: "duckdb.DuckDBPyConnection", is_commercial: bool) -> Iterable[str]:
    ((withdrawn,),) = catalogue.execute("SELECT count(*) FROM plates WHERE withdrawn_by IS NOT NULL").fetchall()
    if withdrawn:
        yield f"{_plates(withdrawn)} withdrawn and not shown."
    if not is_commercial:
        return
    yield "This page is for commercial use: plates and results whose licence does not clearly allow it are left out."
    gone = query(
        catalogue,
        "SELECT licence, rights_uri, commercial_use, no_ai FROM plates "
        f"WHERE withdrawn_by IS NULL AND NOT {PLATE_RULE}",
    )
    reasons = Counter(
        why_not_plate(row["licence"] or row["rights_uri"], row["commercial_use"] or "unknown", row["no_ai"])
        for row in gone
    )
    for reason, count in reasons.most_common():
        yield f"{_plates(count)} left out: {reason}."
    terms = query(
        catalogue,
        f"""
        SELECT gone.*, models.licence AS now, models.commercial_use AS now_use FROM (
            SELECT instrument, licence, commercial_use, count(*) AS results FROM runs AS results
            WHERE is_current AND withdrawn_by IS NULL AND NOT {RULE}
            AND plate_id IN (SELECT plate_id FROM plates WHERE {PLATE_RULE}) GROUP BY ALL
        ) AS gone LEFT JOIN models USING (instrument) ORDER BY instrument
        """,
    )
    for row in terms:
        reason = why_not(row["licence"], row["commercial_use"] or "unknown", row["now"], row["now_use"])
        yield f"The results of {row['instrument']} on {row['results']} plates are left out: {reason}."


def _plates(count: int) -> str:
    return f"{count} plate{'' if count == 1 else 's'} {'is' if count == 1 else 'are'}"

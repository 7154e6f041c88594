"""The nearest plates of each plate: by all embedding spaces together, then by each space."""

from collections import defaultdict
from collections.abc import Sequence

from atlas_resources.measures.spaces.neighbour_graphs import RANK_OFFSET
from atlas_resources.page.contract.plate import Neighbour, Neighbours
from atlas_resources.page.shown import JUDGEMENT, Row, Shown
from atlas_resources.page.values import judgement, literal, number

LISTED = 10
"""Neighbours that are listed; also the rank up to which a space votes."""
_ALLOWED = " AND near.neighbour_id NOT IN (SELECT plate_id FROM plates_not_for_commercial_use)"


def space_sql(shown: Shown, plate_id: str, space: str) -> str:
    """The query of a plate's neighbours in a space."""
    return (
        "SELECT near.neighbour_id, near.cosine, (\n"
        "    SELECT count(*) FROM neighbours AS vote JOIN spaces USING (space)\n"
        "    WHERE kind = 'embedding' AND vote.plate_id = near.plate_id AND vote.neighbour_id = near.neighbour_id\n"
        f"      AND vote.rank <= {LISTED}{_of_spaces(shown, 'vote.space')}\n"
        ") AS votes\n"
        f"FROM neighbours AS near WHERE near.plate_id = {literal(plate_id)} AND near.space = {literal(space)}\n"
        f"  AND near.rank <= {LISTED}{_ALLOWED if shown.is_commercial else ''} ORDER BY near.rank"
    )


def ensemble_sql(shown: Shown, plate_id: str) -> str:
    """The query of a plate's neighbours by all embedding spaces that are shown."""
    if not shown.is_commercial:
        votes = f"len([vote FOR vote IN votes IF vote.rank <= {LISTED}])"
        return (
            f"SELECT plate_id AS neighbour_id, {votes} AS votes\nFROM ensemble_nearest({literal(plate_id)}, {LISTED})"
        )
    return _fused(shown, f"near.plate_id = {literal(plate_id)}")


def _fused(shown: Shown, condition: str) -> str:
    """As the macro `ensemble_nearest`, of the shown spaces and plates."""
    allowed = _ALLOWED if shown.is_commercial else ""
    return (
        "SELECT near.plate_id, near.neighbour_id, count(*) FILTER (near.rank <= "
        f"{LISTED}) AS votes\n"
        "FROM neighbours AS near JOIN spaces USING (space)\n"
        f"WHERE kind = 'embedding'{_of_spaces(shown, 'space')} AND {condition}{allowed}\n"
        "GROUP BY near.plate_id, near.neighbour_id\n"
        f"QUALIFY row_number() OVER (PARTITION BY near.plate_id ORDER BY sum(1.0 / ({RANK_OFFSET} + near.rank)) DESC,\n"
        f"                          near.neighbour_id) <= {LISTED}\n"
        f"ORDER BY near.plate_id, sum(1.0 / ({RANK_OFFSET} + near.rank)) DESC, near.neighbour_id"
    )


def _of_spaces(shown: Shown, column: str) -> str:
    if shown.has_all_spaces:
        return ""
    return f" AND {column} IN ({', '.join(map(literal, shown.spaces)) or 'NULL'})"


def read_neighbours(shown: Shown, plates: Sequence[str]) -> dict[str, list[Neighbours]]:
    """The neighbours of plates, the ensemble first. A plate without a vector has none.

    Args:
        shown: what is shown.
        plates: ids.
    """
    fused: defaultdict[str, list[Row]] = defaultdict(list)
    for row in shown.rows(_fused(shown, "near.plate_id IN (SELECT unnest(?))"), list(plates)):
        fused[row["plate_id"]].append(row)
    near: defaultdict[tuple[str, str], list[Row]] = defaultdict(list)
    votes: defaultdict[tuple[str, str], int] = defaultdict(int)
    for row in shown.rows(
        "SELECT space, plate_id, neighbour_id, cosine, kind FROM neighbours JOIN spaces USING (space) "
        f"WHERE rank <= {LISTED} AND plate_id IN (SELECT unnest(?)) ORDER BY space, plate_id, rank",
        list(plates),
    ):
        if row["space"] in shown.spaces and row["neighbour_id"] in shown.index:
            near[row["plate_id"], row["space"]].append(row)
            votes[row["plate_id"], row["neighbour_id"]] += row["kind"] == "embedding"
    places = {
        (row["plate_id"], row["space"]): row
        for row in shown.rows(
            f"SELECT plate_id, space, run_id, outlier_factor, is_outlier, cluster, {JUDGEMENT} "
            "FROM tagged_plate_spaces WHERE plate_id IN (SELECT unnest(?))",
            list(plates),
        )
    }
    found: dict[str, list[Neighbours]] = {}
    for plate_id in plates:
        lists = [_ensemble(shown, plate_id, fused[plate_id])] if fused[plate_id] else []
        for space in shown.spaces:
            if place := places.get((plate_id, space)):
                rows = [
                    Neighbour(
                        plate=shown.index[row["neighbour_id"]],
                        cosine=number(row["cosine"]),
                        votes=votes[plate_id, row["neighbour_id"]],
                    )
                    for row in near[plate_id, space]
                ]
                lists.append(_in_space(shown, plate_id, space, rows, place))
        found[plate_id] = lists
    return found


def _ensemble(shown: Shown, plate_id: str, rows: list[Row]) -> Neighbours:
    return Neighbours(
        space=None,
        nearest=[
            Neighbour(plate=shown.index[row["neighbour_id"]], cosine=None, votes=row["votes"])
            for row in rows
            if row["neighbour_id"] in shown.index
        ],
        outlier_factor=None,
        is_outlier=False,
        cluster=None,
        judgement=None,
        run_id=None,
        sql=ensemble_sql(shown, plate_id),
    )


def _in_space(shown: Shown, plate_id: str, space: str, rows: list[Neighbour], place: Row) -> Neighbours:
    return Neighbours(
        space=space,
        nearest=rows,
        outlier_factor=number(place["outlier_factor"]),
        is_outlier=bool(place["is_outlier"]),
        cluster=place["cluster"],
        judgement=judgement(place),
        run_id=place["run_id"],
        sql=space_sql(shown, plate_id, space),
    )

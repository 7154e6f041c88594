"""The spaces of vectors: layouts, clusters, outliers, and how far each two agree."""

import json
from collections import defaultdict
from typing import Literal, cast

from atlas_resources.page.contract.library import Agreement, Layout, Space
from atlas_resources.page.shown import Row, Shown
from atlas_resources.page.values import literal, number

MEASURE = "neighbours_10"
AGREEMENT_K = 10
AGREEMENT_SQL = (
    "SELECT first_space, second_space, value, low, high, calibrated\n"
    f"FROM agreement WHERE measure = '{MEASURE}' ORDER BY first_space, second_space"
)
METHODS: dict[str, str] = {
    "pca": "The two directions of the largest spread: distances are those of the vectors, as far as two directions "
    "hold them.",
    "umap": "Plates that are near are alike; the distance and the size of groups mean nothing.",
}
"""What distances mean in a layout, by its method."""


def read_spaces(shown: Shown) -> list[Space]:
    """The spaces that are shown, each with its layouts."""
    about = {
        row["space"]: row
        for row in shown.rows(
            "SELECT space, kind, title, cluster_stability FROM spaces "
            "LEFT JOIN (SELECT instrument, title FROM models) ON instrument = space"
        )
    }
    layouts = _layouts(shown)
    return [_space(shown, key, about[key], layouts.get(key, [])) for key in shown.spaces]


def _space(shown: Shown, key: str, about: Row, layouts: list[Layout]) -> Space:
    sql = (
        "SELECT plate_id, cluster, is_exemplar, outlier_factor, is_outlier, cluster_stability\n"
        f"FROM plate_spaces JOIN spaces USING (space) WHERE space = {literal(key)} ORDER BY plate_id"
    )
    places = {row["plate_id"]: row for row in shown.rows(sql)}
    nothing: Row = {"cluster": None, "is_exemplar": False, "outlier_factor": None, "is_outlier": False}
    rows = [places.get(plate_id, nothing) for plate_id in shown.index]
    return Space(
        key=key,
        title=about["title"] or ("Colour" if about["kind"] == "colour" else key),
        kind=about["kind"],
        layouts=layouts,
        cluster=[row["cluster"] for row in rows],
        is_exemplar=[position for position, row in enumerate(rows) if row["is_exemplar"]],
        cluster_stability=number(about["cluster_stability"]),
        outlier_factor=[number(row["outlier_factor"]) for row in rows],
        is_outlier=[position for position, row in enumerate(rows) if row["is_outlier"]],
        sql=sql,
    )


def _layouts(shown: Shown) -> dict[str, list[Layout]]:
    """The layouts of each space, pca first."""
    found: defaultdict[str, list[Layout]] = defaultdict(list)
    about = shown.rows(
        "SELECT space, method, any_value(explained_ratio) AS explained_ratio, any_value(parameters) AS parameters "
        "FROM coordinates GROUP BY ALL ORDER BY space, method"
    )
    for one in about:
        where = f"space = {literal(one['space'])} AND method = {literal(one['method'])}"
        sql = f"SELECT plate_id, x, y FROM coordinates WHERE {where} ORDER BY plate_id"
        places = {row["plate_id"]: (number(row["x"]), number(row["y"])) for row in shown.rows(sql)}
        at = [places.get(plate_id, (None, None)) for plate_id in shown.index]
        method = cast(Literal["pca", "umap"], one["method"])
        layout = Layout(method=method, x=[x for x, _ in at], y=[y for _, y in at], note=_note(one), sql=sql)
        found[one["space"]].append(layout)
    return found


def _note(row: Row) -> str:
    ratio = row["explained_ratio"]
    share = "" if ratio is None else f" They hold {float(ratio):.0%} of the spread."
    stated = json.loads(row["parameters"] or "{}")
    named = ", ".join(f"{name} {value}" for name, value in stated.items() if not isinstance(value, dict | list))
    return f"{METHODS[row['method']]}{share}{f' ({named})' if named else ''}"


def read_agreement(shown: Shown) -> list[Agreement]:
    """How far each two shown spaces have the same neighbours."""
    return [
        Agreement(
            first=row["first_space"],
            second=row["second_space"],
            k=AGREEMENT_K,
            overlap=number(row["value"]) or 0.0,
            low=number(row["low"]),
            high=number(row["high"]),
            calibrated=number(row["calibrated"]),
        )
        for row in shown.rows(AGREEMENT_SQL)
        if {row["first_space"], row["second_space"]} <= set(shown.spaces)
    ]

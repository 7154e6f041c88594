"""Whether a page shows what SQL says: every statement of its files is run, and its rows are compared with the page."""

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb

from atlas_resources.page.contract.library import Library
from atlas_resources.page.contract.plate import PlateDetail, Segmentation

Row = dict[str, Any]


def read_script(path: Path) -> tuple[str, Any]:
    """The name and the value that a data file hands over."""
    text = path.read_text(encoding="ascii")
    assert (text[:13], text[-3:]) == ("receiveAtlas(", ");\n"), path
    name, value = json.loads(f"[{text[13:-3]}]", parse_constant=_no_number)
    return name, value


def _no_number(name: str) -> None:
    raise ValueError(f"{name}: JSON has no form for it, though Python reads it")


def read_library(folder: Path) -> Library:
    name, value = read_script(folder / "data" / "library.js")
    assert name == "library"
    return Library.model_validate(value)


def read_plate(folder: Path, plate_id: str) -> PlateDetail:
    name, value = read_script(folder / "data" / "plates" / f"{plate_id}.js")
    assert name == f"plates/{plate_id}"
    return PlateDetail.model_validate(value)


def differences(folder: Path, catalogue: duckdb.DuckDBPyConnection, plates: int | None = None) -> list[str]:
    """Where a page shows something else than its SQL gives, a line each; of the first plates, or all."""
    library = read_library(folder)
    found = list(_of_library(library, catalogue))
    for plate_id in library.plates.plate_id[:plates]:
        detail = read_plate(folder, plate_id)
        found += (f"{plate_id}: {line}" for line in _of_plate(detail, library, catalogue))
    return found


def rows_of(catalogue: duckdb.DuckDBPyConnection, sql: str) -> list[Row]:
    result = catalogue.execute(sql)
    names = [column[0] for column in result.description or ()]
    return [dict(zip(names, row, strict=True)) for row in result.fetchall()]


def _same(what: str, shown: Any, said: Any) -> Iterator[str]:
    """A line if two values differ; numbers within the nine digits that are shown."""
    if not _is_same(shown, said):
        yield f"{what}: shown {shown!r}, SQL gives {said!r}"


def _is_same(shown: Any, said: Any) -> bool:
    if isinstance(shown, list | tuple) and isinstance(said, list | tuple):
        return len(shown) == len(said) and all(map(_is_same, shown, said))
    if isinstance(shown, float) and isinstance(said, float | int):
        return math.isclose(shown, said, rel_tol=1e-8, abs_tol=1e-12)
    return shown == said


def _palette(colours: list[Row] | None) -> list[tuple[str, float]]:
    return [(one["srgb_hex"], one["share"]) for one in colours or ()]


def _of_library(library: Library, catalogue: duckdb.DuckDBPyConnection) -> Iterator[str]:
    plates = library.plates
    rows = rows_of(catalogue, library.plates_sql)
    yield from _same("plates", plates.plate_id, [row["plate_id"] for row in rows])
    yield from _same("titles", plates.title, [row["title"] for row in rows])
    yield from _same("licences", plates.licence, [row["licence"] for row in rows])
    yield from _same("paper", plates.paper, [row["paper_srgb_hex"] for row in rows])
    yield from _same("lightness", plates.paper_lightness, [row["paper_lightness"] for row in rows])
    yield from _same("disagreement", plates.disagreement, [row["disagreement"] for row in rows])
    yield from _same("outliers", plates.outlier_in, [row["outlier_in"] or 0 for row in rows])
    for space in library.spaces:
        by_plate = {row["plate_id"]: row for row in rows_of(catalogue, space.sql)}
        told = [by_plate.get(plate_id) for plate_id in plates.plate_id]
        yield from _same(f"{space.key} clusters", space.cluster, [row and row["cluster"] for row in told])
        yield from _same(f"{space.key} factors", space.outlier_factor, [row and row["outlier_factor"] for row in told])
        exemplars = [place for place, row in enumerate(told) if row and row["is_exemplar"]]
        yield from _same(f"{space.key} exemplars", space.is_exemplar, exemplars)
        outliers = [place for place, row in enumerate(told) if row and row["is_outlier"]]
        yield from _same(f"{space.key} outliers", space.is_outlier, outliers)
        for layout in space.layouts:
            at = {row["plate_id"]: (row["x"], row["y"]) for row in rows_of(catalogue, layout.sql)}
            said = [at.get(plate_id, (None, None)) for plate_id in plates.plate_id]
            shown = list(zip(layout.x, layout.y, strict=True))
            yield from _same(f"{space.key} {layout.method}", shown, said)
    agreement = rows_of(catalogue, library.agreement_sql)
    shown = [(one.first, one.second, one.overlap, one.low, one.high, one.calibrated) for one in library.agreement]
    names = ("first_space", "second_space", "value", "low", "high", "calibrated")
    yield from _same("agreement", shown, [tuple(row[name] for name in names) for row in agreement])
    failures = {(row["plate_id"], row["instrument"], row["state"]) for row in rows_of(catalogue, library.failures_sql)}
    for one in library.failures:
        if one.plate is not None and (plates.plate_id[one.plate], one.instrument, one.state) not in failures:
            yield f"failure of {one.instrument} on plate {one.plate}: not in the rows"


def _of_plate(detail: PlateDetail, library: Library, catalogue: duckdb.DuckDBPyConnection) -> Iterator[str]:
    ids = library.plates.plate_id
    facts = rows_of(catalogue, detail.facts_sql)[0]
    told = {str(value) for value in (*facts.values(), *json.loads(facts["extra"] or "{}").values())}
    for fact in detail.facts:
        if fact.name != "Corrected" and fact.text not in told:
            yield f"fact {fact.name}: {fact.text!r} is not in the rows"
    yield from _of_colours(detail, catalogue)
    disagreement = [row["disagreement"] for row in rows_of(catalogue, detail.disagreement_sql)]
    yield from _same("disagreement", [detail.disagreement], disagreement or [None])
    yield from _same("tags", detail.tags, [row["tag"] for row in rows_of(catalogue, detail.tags_sql)])
    pairs = [{row["first_plate"], row["second_plate"]} for row in rows_of(catalogue, detail.duplicates_sql)]
    own = [{ids[pair.first], ids[pair.second]} for pair in library.duplicates]
    yield from _same("duplicates", [pair for pair in own if detail.plate_id in pair], pairs)
    for texts in detail.texts:
        rows = rows_of(catalogue, texts.sql)
        shown = [(one.text_id, one.stage, one.score) for one in texts.texts]
        yield from _same("texts", shown, [(row["text_id"], row["form"], row["score"]) for row in rows])
        yield from _same("runs", {row["run_id"] for row in rows}, {texts.run_id})
    for probe in detail.probes:
        rows = rows_of(catalogue, probe.sql)
        yield from _same("scores", [(s.label, s.score) for s in probe.scores], [(r["label"], r["score"]) for r in rows])
        yield from _same("labels", [probe.label_count] * len(rows), [row["label_count"] for row in rows])
    for detections in detail.detections:
        rows = rows_of(catalogue, detections.sql)
        shown = [(one.detection_id, one.label, one.score) for one in detections.detections]
        yield from _same("boxes", shown, [(row["detection_id"], row["label"], row["score"]) for row in rows])
    for near in detail.neighbours:
        rows = rows_of(catalogue, near.sql)
        shown = [(ids[one.plate], one.cosine, one.votes) for one in near.nearest]
        said = [(row["neighbour_id"], row.get("cosine"), row["votes"]) for row in rows]
        yield from _same(f"neighbours in {near.space}", shown, said)
    for segmentation in detail.segmentations:
        yield from _of_segments(segmentation, detail, ids, catalogue)
    for origin in detail.provenance:
        (row,) = rows_of(catalogue, origin.sql)
        shown = origin.model_dump(exclude={"instrument", "table", "sealed_at", "sql"})
        yield from _same(origin.instrument, list(shown.values()), [row[name] for name in shown])
        yield from _same("table", origin.table, row["table_name"])


def _of_colours(detail: PlateDetail, catalogue: duckdb.DuckDBPyConnection) -> Iterator[str]:
    rows = rows_of(catalogue, detail.colours_sql)
    row = rows[0] if rows else {"paper_srgb_hex": None, "paper_ratio": None, "dominant_colours": None}
    paper = (detail.paper.colour, detail.paper.share) if detail.paper else (None, None)
    yield from _same("paper", paper, (row["paper_srgb_hex"], row["paper_ratio"]))
    shown = [(colour.colour, colour.share) for colour in detail.colours]
    yield from _same("colours", shown, _palette(row["dominant_colours"]))


def _of_segments(
    segmentation: Segmentation, detail: PlateDetail, ids: list[str], catalogue: duckdb.DuckDBPyConnection
) -> Iterator[str]:
    rows = rows_of(catalogue, segmentation.sql)
    shown = [(one.segment_id, one.class_name, one.area_ratio) for one in segmentation.segments]
    yield from _same("segments", shown, [(r["segment_id"], r["class_name"], r["area_ratio"]) for r in rows])
    for one, row in zip(segmentation.segments, rows, strict=False):
        yield from _same("palette", [(c.colour, c.share) for c in one.palette], _palette(row["palette"]))
        if detail.picture and detail.source.width_px:
            scale = detail.picture.width_px / detail.source.width_px  # masks are of the source's size
            for name in ("x_min", "y_min", "x_max", "y_max"):
                if abs(getattr(one, name) - row[name] * scale) > 0.051:
                    yield f"{one.segment_id}.{name}: shown {getattr(one, name)}, SQL gives {row[name] * scale}"
    near = [
        (one.segment_id, ids[found.plate], found.segment_id, found.cosine)
        for one in sorted(segmentation.segments, key=lambda one: one.segment_id)
        for found in one.nearest
    ]
    if segmentation.nearest_sql:
        columns = ("segment_id", "near_plate", "near_segment", "cosine")
        said = [tuple(row[name] for name in columns) for row in rows_of(catalogue, segmentation.nearest_sql)]
        yield from _same("nearest segments", near, said)
    elif near:
        yield "nearest segments without their SQL"

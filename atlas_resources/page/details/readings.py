"""What instruments read, scored and detected on plates: texts, probes and detections, with what people judge."""

from collections.abc import Mapping, Sequence
from itertools import groupby

from atlas_resources.page.contract.plate import Box, Detection, Detections, Probe, Score, Text, Texts
from atlas_resources.page.library.plates import answer_words
from atlas_resources.page.shown import JUDGEMENT, Row, Shown
from atlas_resources.page.values import judgement, literal, number, pixels

LISTED_SCORES = 5
_BOX = "x_min, y_min, x_max, y_max"
_USABLE = (
    "is_current AND coalesce(is_above_threshold, true) AND coalesce(status, 'done') = 'done' AND form <> 'ranking'"
)
Scales = Mapping[str, float]
"""Pixels of each plate's picture by a pixel of its source."""


def _texts_sql(condition: str) -> str:
    return (
        f"SELECT plate_id, instrument, run_id, text_id, form, text, score, {_BOX}, {JUDGEMENT}\n"
        f"FROM tagged_texts WHERE {_USABLE}\n  AND {condition} ORDER BY plate_id, instrument, text_id"
    )


def read_texts(shown: Shown, plates: Sequence[str], scales: Scales) -> dict[str, list[Texts]]:
    """The usable texts of plates by instrument, in reading order."""
    found = shown.of_plates(_texts_sql("plate_id IN (SELECT unnest(?))"), plates)
    return {
        plate_id: [
            Texts(
                instrument=instrument,
                run_id=run_id,
                texts=[_text(row, scales[plate_id]) for row in group],
                sql=_texts_sql(f"plate_id = {literal(plate_id)} AND instrument = {literal(instrument)}"),
            )
            for (instrument, run_id), group in groupby(rows, key=_origin)
        ]
        for plate_id, rows in found.items()
    }


def _origin(row: Row) -> tuple[str, str]:
    return row["instrument"], row["run_id"]


def _text(row: Row, scale: float) -> Text:
    return Text(
        text_id=row["text_id"],
        stage=row["form"],
        text=answer_words(row["text"]) if row["text"].startswith("{") else row["text"],
        score=number(row["score"]),
        box=_box(row, scale),
        judgement=judgement(row),
    )


def _box(row: Row, scale: float) -> Box | None:
    if row["x_min"] is None:
        return None
    return Box(**{name: pixels(row[name] * scale) for name in ("x_min", "y_min", "x_max", "y_max")})


def _probes_sql(condition: str) -> str:
    """The highest scores. Two classes may share a label, so the id is shown where they do."""
    return (
        "SELECT plate_id, instrument, run_id, score, calibration, label_count,\n"
        "       split_part(label, ',', 1)\n"
        "           || CASE WHEN low_id <> high_id THEN ' (' || label_id || ')' ELSE '' END AS label\n"
        "FROM (\n"
        "    SELECT *, count(*) OVER of_plate AS label_count, min(label_id) OVER same AS low_id,\n"
        "           max(label_id) OVER same AS high_id,\n"
        "           row_number() OVER (PARTITION BY plate_id, run_id ORDER BY score DESC, label_index) AS rank\n"
        f"    FROM probes WHERE is_current AND {condition}\n"
        "    WINDOW of_plate AS (PARTITION BY plate_id, run_id),\n"
        "           same AS (PARTITION BY plate_id, run_id, split_part(label, ',', 1))\n"
        f") WHERE rank <= {LISTED_SCORES} ORDER BY plate_id, instrument, rank"
    )


def read_probes(shown: Shown, plates: Sequence[str]) -> dict[str, list[Probe]]:
    """The highest scores of each probe on plates."""
    found = shown.of_plates(_probes_sql("plate_id IN (SELECT unnest(?))"), plates)
    return {
        plate_id: [_probe(plate_id, list(group)) for _, group in groupby(rows, key=_origin)]
        for plate_id, rows in found.items()
    }


def _probe(plate_id: str, rows: list[Row]) -> Probe:
    first = rows[0]
    return Probe(
        instrument=first["instrument"],
        run_id=first["run_id"],
        calibration=first["calibration"] or "not stated",
        scores=[Score(label=row["label"], score=number(row["score"]) or 0.0) for row in rows],
        label_count=first["label_count"],
        sql=_probes_sql(f"plate_id = {literal(plate_id)} AND instrument = {literal(first['instrument'])}"),
    )


def _detections_sql(condition: str) -> str:
    return (
        f"SELECT plate_id, instrument, run_id, detection_id, label, score, {_BOX}, {JUDGEMENT}\n"
        f"FROM tagged_detections WHERE is_current AND {condition}\n"
        "ORDER BY plate_id, instrument, score DESC, detection_id"
    )


def read_detections(shown: Shown, plates: Sequence[str], scales: Scales) -> dict[str, list[Detections]]:
    """The boxes of each detector on plates, the surest first."""
    found = shown.of_plates(_detections_sql("plate_id IN (SELECT unnest(?))"), plates)
    return {
        plate_id: [
            Detections(
                instrument=instrument,
                run_id=run_id,
                detections=[_detection(row, scales[plate_id]) for row in group],
                sql=_detections_sql(f"plate_id = {literal(plate_id)} AND instrument = {literal(instrument)}"),
            )
            for (instrument, run_id), group in groupby(rows, key=_origin)
        ]
        for plate_id, rows in found.items()
    }


def _detection(row: Row, scale: float) -> Detection:
    box = _box(row, scale)
    if box is None:
        raise ValueError(f"{row['plate_id']}: {row['detection_id']} of {row['run_id']} has no box")
    return Detection(
        detection_id=row["detection_id"],
        label=row["label"],
        score=number(row["score"]) or 0.0,
        box=box,
        judgement=judgement(row),
    )

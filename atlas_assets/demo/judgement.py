"""The drawn truth as judge: how well foregrounds fit the drawn subjects, which of two encoders finds the kind, and how
many letters and words are read wrongly."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import duckdb
import jiwer
import numpy as np
from PIL import Image

from atlas_resources.ledgers.segment_sets import FOREGROUND_CLASSES
from atlas_resources.measures.masks import run_lengths
from atlas_resources.measures.masks.shape import intersection_over_union


def score_segments(connection: duckdb.DuckDBPyConnection, truth_folder: Path, segmenter: str) -> dict[str, float]:
    """Intersection over union of a segmenter's foreground with the drawn subject, per drawn plate.

    The union of all segments that are mostly on the subject is compared, so merging the subject with something else
    lowers the score. A plate without any such segment scores 0.

    Args:
        connection: to the catalogue.
        truth_folder: of `<plate-id>.mask.png`; plates without one are left out.
        segmenter: key of the instrument.
    """
    rows = connection.execute(
        "SELECT plate_id, height_px, width_px, mask_rle FROM segments "
        "WHERE instrument = ? AND is_current AND class_name IN (SELECT unnest(?)) ORDER BY plate_id, segment_id",
        [segmenter, list(FOREGROUND_CLASSES)],
    ).fetchall()
    scores: dict[str, float] = {}
    for plate_id in dict.fromkeys(row[0] for row in rows):
        truth_path = truth_folder / f"{plate_id}.mask.png"
        if not truth_path.is_file():
            continue
        truth = np.asarray(Image.open(truth_path).convert("1"), dtype=bool)
        found = np.zeros_like(truth)
        for _, height_px, width_px, counts in (row for row in rows if row[0] == plate_id):
            mask = run_lengths.decode(counts, height_px, width_px)
            if np.count_nonzero(mask & truth) * 2 > np.count_nonzero(mask):
                found |= mask
        scores[plate_id] = intersection_over_union(found, truth)
    return scores


def read_kinds(truth_folder: Path) -> dict[str, str]:
    """The drawn kind of subject, such as `perched bird`, by plate; empty for one's own scans."""
    paths = sorted(truth_folder.glob("*.json"))
    return {path.stem: json.loads(path.read_bytes())["kind"] for path in paths}


@dataclass(frozen=True)
class ReadingErrors:
    """How much of the drawn lettering is read wrongly.

    Attributes:
        plates: number of plates with lettering that were read.
        character_error_rate: characters that must be changed, added or taken out, over those that were drawn.
        word_error_rate: the same of words.
        line_count: number of lines that were drawn.
        whole_line_count: lines that were read without an error.
    """

    plates: int
    character_error_rate: float
    word_error_rate: float
    line_count: int
    whole_line_count: int


def score_reading(connection: duckdb.DuckDBPyConnection, truth_folder: Path, reader: str) -> ReadingErrors | None:
    """Compares the lines that an instrument read, those above its threshold in reading order, with the drawn lettering.

    What it reads elsewhere on the plate counts as errors, since it was added. None without drawn plates that were read.

    Args:
        connection: to the catalogue.
        truth_folder: of `<plate-id>.json`.
        reader: key of the instrument.
    """
    rows = connection.execute(
        "SELECT plate_id, text FROM texts WHERE instrument = ? AND is_current AND is_above_threshold "
        "ORDER BY plate_id, text_id",
        [reader],
    ).fetchall()
    read = connection.execute(
        "SELECT plate_id FROM runs WHERE instrument = ? AND is_current ORDER BY plate_id", [reader]
    ).fetchall()
    drawn = {path.stem: json.loads(path.read_bytes())["lettering"] for path in sorted(truth_folder.glob("*.json"))}
    found = {plate_id: [text for of, text in rows if of == plate_id] for (plate_id,) in read if plate_id in drawn}
    if not found:
        return None
    reference = [" ".join(drawn[plate_id]) for plate_id in found]
    hypothesis = [" ".join(lines) for lines in found.values()]
    return ReadingErrors(
        plates=len(found),
        character_error_rate=float(jiwer.cer(reference, hypothesis)),
        word_error_rate=float(jiwer.wer(reference, hypothesis)),
        line_count=sum(len(drawn[plate_id]) for plate_id in found),
        whole_line_count=sum(line in lines for plate_id, lines in found.items() for line in drawn[plate_id]),
    )


def neighbours_of_all(
    connection: duckdb.DuckDBPyConnection, embedder: str, k: int
) -> dict[str, list[tuple[str, float]]]:
    """The k nearest other plates of each plate with their cosines, nearest first, by an embedder's current vectors.

    As the macro `nearest` of the catalogue, for all plates in one query.
    """
    rows = connection.execute(
        "WITH own AS (SELECT plate_id, vector FROM embeddings WHERE instrument = ? AND is_current AND scope = 'plate') "
        "SELECT one.plate_id, other.plate_id, list_cosine_similarity(one.vector, other.vector) AS cosine "
        "FROM own one JOIN own other ON one.plate_id <> other.plate_id "
        "QUALIFY row_number() OVER (PARTITION BY one.plate_id ORDER BY cosine DESC, other.plate_id) <= ? "
        "ORDER BY one.plate_id, cosine DESC, other.plate_id",
        [embedder, k],
    ).fetchall()
    found: dict[str, list[tuple[str, float]]] = {}
    for plate_id, other, cosine in rows:
        found.setdefault(plate_id, []).append((other, cosine))
    return found


@dataclass(frozen=True)
class Disagreement:
    """A plate for which two encoders name different nearest plates, and whether each has the drawn kind."""

    plate_id: str
    nearest: tuple[str, str]
    is_kind: tuple[bool | None, bool | None]


def disagreements(
    one: Mapping[str, str], other: Mapping[str, str], kinds: Mapping[str, str]
) -> tuple[int, list[Disagreement]]:
    """Compares the nearest plates of two encoders.

    Args:
        one: the nearest plate of each plate by the first encoder.
        other: by the second.
        kinds: the drawn kind of each plate; what has none is not judged.

    Returns:
        The number of plates that were compared, and those for which the encoders differ.
    """
    common = sorted(one.keys() & other.keys())
    return len(common), [
        Disagreement(
            plate_id,
            (one[plate_id], other[plate_id]),
            (_is_kind(plate_id, one[plate_id], kinds), _is_kind(plate_id, other[plate_id], kinds)),
        )
        for plate_id in common
        if one[plate_id] != other[plate_id]
    ]


def _is_kind(plate_id: str, nearest: str, kinds: Mapping[str, str]) -> bool | None:
    if plate_id not in kinds or nearest not in kinds:
        return None
    return kinds[plate_id] == kinds[nearest]

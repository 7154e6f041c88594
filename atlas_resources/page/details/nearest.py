"""The nearest segments of other plates, for all segments of an embedder at once.

The macro `nearest_regions` gives the same, one segment at a time.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from atlas_resources.page.contract.plate import NearSegment
from atlas_resources.page.shown import Shown
from atlas_resources.page.values import literal, number

LISTED = 5
BLOCK_ROWS = 256
SPARE = 4
"""So many more plates are taken by float32 products, and then ordered by the float64 cosines that SQL gives."""
ROWS_AT_ONCE = 2048


def nearest_sql(plate_id: str, embedder: str) -> str:
    """The query of the nearest segments of all of a plate's segments."""
    return (
        "SELECT own.segment_id, near.plate_id AS near_plate, near.segment_id AS near_segment, near.cosine\n"
        f"FROM embeddings_{embedder} AS own,\n"
        f"     nearest_regions(own.plate_id, own.segment_id, {literal(embedder)}, {LISTED}) AS near\n"
        f"WHERE own.plate_id = {literal(plate_id)} AND own.scope = 'segment' AND own.l2_norm > 0\n"
        "ORDER BY own.segment_id, near.cosine DESC, near.plate_id"
    )


@dataclass(frozen=True)
class NearestSegments:
    """The nearest segments of each segment.

    Attributes:
        embedder: the instrument whose vectors they are by.
        rows: the row of each segment, by plate and segment.
        names: plate and segment of each row.
        near: int32 [N, LISTED], rows of the nearest segments, the nearest first; -1 where there are fewer.
        cosines: float64 [N, LISTED], their cosines.
        index: the position of each plate.
    """

    embedder: str
    rows: dict[tuple[str, str], int]
    names: list[tuple[str, str]]
    near: np.ndarray
    cosines: np.ndarray
    index: dict[str, int]

    def of(self, plate_id: str, segment_id: str) -> list[NearSegment]:
        """The nearest segments of a segment; none if it has no vector."""
        row = self.rows.get((plate_id, segment_id))
        if row is None:
            return []
        pairs = zip(self.near[row], self.cosines[row], strict=True)
        found = [(self.names[one], float(cosine)) for one, cosine in pairs if one >= 0]
        return [
            NearSegment(plate=self.index[plate], segment_id=segment, cosine=number(cosine) or 0.0)
            for (plate, segment), cosine in found
        ]


def find_embedders(shown: Shown) -> dict[str, str]:
    """The embedder of each segmenter's kept segments: the one with the most vectors, and of these the first by name."""
    rows = shown.rows(
        """
        SELECT kept.upstream AS segmenter, embedders.instrument, count(*) AS vectors
        FROM models AS embedders
        JOIN models AS kept ON kept.instrument = embedders.upstream
        JOIN embeddings ON embeddings.instrument = embedders.instrument AND embeddings.is_current
             AND embeddings.scope = 'segment'
        GROUP BY ALL ORDER BY segmenter, vectors DESC, embedders.instrument
        """
    )
    found: dict[str, str] = {}
    for row in rows:
        if row["segmenter"]:
            found.setdefault(row["segmenter"], row["instrument"])
    return found


def find_nearest(shown: Shown, embedder: str) -> NearestSegments:
    """The nearest segments of other plates for each segment of an embedder, by cosine. One for each other plate."""
    names, vectors = _read(shown, embedder)
    near = np.full((len(names), LISTED), -1, dtype=np.int32)
    cosines = np.zeros((len(names), LISTED))
    if names:
        # Rows are in order of plates, so that the rows of a plate are next to each other.
        plates = np.array([shown.index[plate] for plate, _ in names])
        starts = np.flatnonzero(np.diff(plates, prepend=-1))
        for rows, found, exact in _blocks(vectors, starts, np.append(starts[1:], len(names))):
            near[rows, : found.shape[1]] = found
            cosines[rows, : found.shape[1]] = exact
    rows_of = {name: row for row, name in enumerate(names)}
    return NearestSegments(embedder, rows_of, names, near, cosines, shown.index)


def _read(shown: Shown, embedder: str) -> tuple[list[tuple[str, str]], np.ndarray]:
    """Plate and segment of each vector, in order of plates, and the vectors float32 [N, dim] as they were sealed."""
    names: list[tuple[str, str]] = []
    parts: list[np.ndarray] = []
    result = shown.catalogue.cursor().sql(
        "SELECT plate_id, segment_id, run_id, vector FROM embeddings WHERE instrument = $1 AND is_current "
        "AND scope = 'segment' AND l2_norm > 0 AND isfinite(l2_norm)",
        params=[embedder],
    )
    for batch in result.to_arrow_reader(ROWS_AT_ONCE):
        plates, segments, runs = (batch.column(place).to_pylist() for place in range(3))
        is_kept = [(plate, run) in shown.runs for plate, run in zip(plates, runs, strict=True)]
        names += [one for one, is_one in zip(zip(plates, segments, strict=True), is_kept, strict=True) if is_one]
        vectors = batch.column(3)
        parts.append(vectors.flatten().to_numpy(zero_copy_only=False).reshape(len(plates), -1)[np.array(is_kept)])
    if not names:
        return [], np.zeros((0, 0), np.float32)
    order = sorted(range(len(names)), key=lambda row: (shown.index[names[row][0]], names[row][1]))
    stacked = np.concatenate(parts)
    parts.clear()
    return [names[row] for row in order], stacked[order]


def _blocks(
    vectors: np.ndarray, starts: np.ndarray, ends: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows of a block, the rows nearest to each of them, and their cosines; -1 where there is none."""
    narrow = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    plate_of = np.repeat(np.arange(len(starts)), ends - starts)
    taken = min(LISTED + SPARE, len(starts) - 1)
    for start in range(0, len(vectors) if taken > 0 else 0, BLOCK_ROWS):
        rows = np.arange(start, min(start + BLOCK_ROWS, len(vectors)))
        best = np.maximum.reduceat(narrow[rows] @ narrow.T, starts, axis=1)
        best[np.arange(len(rows)), plate_of[rows]] = -np.inf
        others = np.argpartition(best, -taken, axis=1)[:, -taken:]
        found = [_exact(vectors, int(row), sorted(near), starts, ends) for row, near in zip(rows, others, strict=True)]
        width = min(LISTED, taken)
        yield rows, np.array([one[0][:width] for one in found]), np.array([one[1][:width] for one in found])


def _exact(
    vectors: np.ndarray, row: int, plates: list[int], starts: np.ndarray, ends: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest row of each of some plates, the nearest first, and their cosines by float64."""
    own = vectors[row].astype(np.float64)
    of_plates = [np.arange(starts[plate], ends[plate]) for plate in plates]
    rows = np.concatenate(of_plates)
    others = vectors[rows].astype(np.float64)
    cosines = others @ own / (np.linalg.norm(others, axis=1) * np.linalg.norm(own))
    best, at = [], 0
    for one in of_plates:
        best.append(at + int(np.argmax(cosines[at : at + len(one)])))
        at += len(one)
    order = np.argsort(-cosines[best], kind="stable")
    chosen = np.array(best)[order]
    return rows[chosen], np.clip(cosines[chosen], -1.0, 1.0)

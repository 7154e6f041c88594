"""Sealed runs of given results: real runs, with vectors that a test can recompute in NumPy."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from atlas_assets.graph.instruments import build_work
from atlas_assets.roles.embedding import WHOLE_PLATE, embedding_rows
from atlas_assets.roles.groundwork import measure_plate
from atlas_resources.files.contract import digest_bytes, file_bytes
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.builders import build_all
from atlas_resources.measures.masks import run_lengths
from atlas_resources.models.loading import load_model
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.execution import execute_run
from atlas_resources.runs.sealed import MANIFEST_NAME
from atlas_resources.runs.sealing import Measurement
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.tables.result_columns import SEGMENT
from atlas_resources.tables.table import frame_of
from atlas_resources.tables.text_columns import ANSWER, TEXT


class GivenLines:
    """Work of a reader that finds the same lines on every plate, one below the other, with a score of 0.9."""

    def __init__(self, *texts: str):
        self.texts = texts

    def load(self) -> None: ...

    def prepare(self, plate: Plate, upstream: Any, stopwatch: Stopwatch) -> None: ...

    def measure(self, batch: list[None]) -> list[Measurement]:
        return [Measurement(frame_of((*TEXT, *ANSWER), self._rows()), {}) for _ in batch]

    def _rows(self) -> Iterator[dict[str, Any]]:
        for number, text in enumerate(self.texts):
            top, place = 20.0 * number, {"text_id": f"line-{number + 1:04d}", "x_min": 0.0, "x_max": 90.0}
            yield {
                **{**place, "y_min": top, "y_max": top + 10, "text": text, "score": 0.9, "is_above_threshold": True},
                **{"machine_made": True, "form": "transcription", "scope": "plate"},
                "quadrilateral": [0.0, top, 90.0, top, 90.0, top + 10, 0.0, top + 10],
            }


class GivenVectors:
    """An embedder's work with given vectors; a plate without one fails."""

    def __init__(self, vectors: Mapping[str, Sequence[float]]):
        self.vectors = vectors

    def load(self) -> None:
        pass

    def prepare(self, plate: Plate, upstream: object, stopwatch: Stopwatch) -> str:
        return plate.id

    def measure(self, batch: list[Any]) -> list[Measurement]:
        return [self._measurement(plate_id) for plate_id in batch]

    def _measurement(self, plate_id: str) -> Measurement:
        vector = np.array(self.vectors[plate_id], dtype=np.float32)
        rows = embedding_rows([WHOLE_PLATE], [vector])
        return Measurement(rows, {"l2_norm": rows["l2_norm"][0]})


class GivenRows:
    """Work that gives the same rows on every plate."""

    def __init__(self, columns: tuple[Any, ...], *rows: Mapping[str, Any]):
        self.rows = frame_of(columns, rows)

    def load(self) -> None:
        pass

    def prepare(self, plate: Plate, upstream: object, stopwatch: Stopwatch) -> str:
        return plate.id

    def measure(self, batch: list[Any]) -> list[Measurement]:
        return [Measurement(self.rows, {"rows": self.rows.height}) for _ in batch]


NINE_COLUMNS = np.arange(100).reshape(10, 10) % 10 < 9


def _segment(segment_id: str, class_name: str, mask: np.ndarray) -> dict[str, Any]:
    return {
        "segment_id": segment_id,
        "class_name": class_name,
        "mask_rle": run_lengths.encode(mask),
        "height_px": 10,
        "width_px": 10,
        "area_px": int(mask.sum()),
        "area_ratio": float(mask.mean()),
        "touches_border": True,
    }


TWO_SEGMENTS = GivenRows(
    SEGMENT, _segment("mask-0001", "paper", NINE_COLUMNS), _segment("mask-0002", "printed", ~NINE_COLUMNS)
)


def measure(
    dataset: Dataset, registry: Registry, key: str, work: Any, plates: Sequence[str] = (), *, is_forced: bool = False
) -> list[str]:
    """Runs an instrument with the given work; returns each plate's status in order."""
    asked = list(plates) or dataset.plate_ids()
    return [
        outcome.status for outcome in execute_run(dataset, registry.instruments[key], asked, work, is_forced=is_forced)
    ]


def run_instrument(dataset: Dataset, registry: Registry, key: str, *, is_forced: bool = False) -> list[str]:
    """Runs an instrument with its own work, without Dagster; returns each plate's status."""
    instrument = registry.instruments[key]
    work = build_work(instrument, lambda: load_model(instrument.spec, instrument.prompts))
    outcomes = execute_run(dataset, instrument, dataset.plate_ids(), work, is_forced=is_forced)
    return [outcome.status for outcome in outcomes]


def measure_groundwork(dataset: Dataset) -> None:
    for plate in dataset.plates():
        measure_plate(plate, Stopwatch())


def build_ledgers(dataset: Dataset, registry: Registry) -> dict[str, pl.DataFrame]:
    """Builds every ledger in the graph's order; returns their rows."""
    return {name: rows.collect() for name, rows in build_all(dataset, registry).items()}


def reseal(path: Path) -> None:
    """Writes the present digest of a sealed file into its run's manifest, as if the file had been sealed so."""
    manifest_path = path.parent / MANIFEST_NAME
    manifest = read_json(manifest_path, RunManifest)
    outputs = [
        digest_bytes(output.path, path.read_bytes()) if Path(output.path).name == path.name else output
        for output in manifest.outputs
    ]
    manifest_path.write_bytes(file_bytes(manifest.model_copy(update={"outputs": outputs})))

"""Ledgers of given vectors, colours and hashes, without plates or runs: what topology is built from."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from atlas_resources.ledgers.builders import build_ledger
from atlas_resources.ledgers.parquet import runs_path, write_ledger, write_table
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.ledgers import HISTOGRAMS, PLATES, RUNS, TOPOLOGY
from atlas_resources.tables.results import INSTRUMENT_TABLES
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec

FIRST_DAY = datetime(2026, 1, 1, tzinfo=UTC)
Vectors = Mapping[str, Sequence[float]]
"""The vector of each plate, by its id."""


def plate_names(count: int) -> list[str]:
    return [f"plate-{number:03d}" for number in range(1, count + 1)]


def drawn_vectors(count: int, dim: int, seed: int) -> dict[str, list[float]]:
    rows = np.random.default_rng(seed).normal(size=(count, dim))
    return dict(zip(plate_names(count), rows.tolist(), strict=True))


class MadeSpaces:
    """A dataset of ledgers only.

    Args:
        root: where it is made.
        spaces: the vectors of each instrument, in order of adding.
    """

    def __init__(self, root: Path, spaces: Mapping[str, Vectors]):
        self.dataset = Dataset(root)
        self.dataset.ensure()
        self.registry = fake_registry(*(fake_spec(EMBEDDER).model_copy(update={"key": key}) for key in spaces))
        self.write(spaces)

    def write(self, spaces: Mapping[str, Vectors], seconds: float = 0.5) -> None:
        """Replaces the vectors. A vector's run has its name from its numbers."""
        rows: list[dict[str, Any]] = []
        runs: list[dict[str, Any]] = []
        for day, (key, vectors) in enumerate(spaces.items()):
            for plate_id, vector in vectors.items():
                run_id = f"run-of-{abs(hash(tuple(vector))):x}"
                common = {"instrument": key, "plate_id": plate_id, "run_id": run_id, "is_current": True}
                length = float(np.linalg.norm(vector))
                rows.append({**common, "scope": "plate", "vector": list(vector), "l2_norm": length})
                sealed_at = FIRST_DAY + timedelta(days=day)
                runs.append({**common, "status": "complete", "sealed_at": sealed_at, "compute_seconds": seconds})
        self.write_embeddings(rows)
        write_table(self.dataset, runs_path(self.dataset, "embedding"), RUNS, RUNS.frame(runs))

    def write_embeddings(self, rows: Sequence[Mapping[str, Any]]) -> None:
        table = INSTRUMENT_TABLES["embedding"]
        write_ledger(self.dataset, table, table.frame(rows))

    def write_colours(self, colours: Mapping[str, Sequence[int]]) -> None:
        rows = [
            {"plate_id": plate_id, "lab": list(lab), "file_sha256": f"{sum(lab):064x}", "is_current": True}
            for plate_id, lab in colours.items()
        ]
        write_ledger(self.dataset, HISTOGRAMS, HISTOGRAMS.frame(rows))

    def write_hashes(self, hashes: Mapping[str, str], sources: Mapping[str, str] | None = None) -> None:
        """The perceptual hashes of each plate, all three alike, and the digest of its source."""
        rows = [
            {
                "plate_id": plate_id,
                "source_sha256": (sources or {}).get(plate_id, plate_id),
                **dict.fromkeys(("ahash", "dhash", "phash"), one),
                "is_current": True,
            }
            for plate_id, one in hashes.items()
        ]
        write_ledger(self.dataset, PLATES, PLATES.frame(rows))

    def build(self, *names: str) -> dict[str, pl.DataFrame]:
        """Builds ledgers of topology, all by default, in order. Returns their rows by name."""
        return {
            table.name: build_ledger(table.name, self.dataset, self.registry, 3).collect()
            for table in TOPOLOGY
            if not names or table.name in names
        }

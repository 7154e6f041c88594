"""Libraries of many plates with sealed runs, made fast: one plate is measured, the others are copies of its files.

Every copy has a digest, colours and results of its own, and files of the same schemas; nothing is flushed to disk.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import numpy as np
import polars as pl
from PIL import Image

from atlas_assets.roles.embedding import WHOLE_PLATE, embedding_rows
from atlas_assets.roles.groundwork import measure_plate
from atlas_resources.files.contract import FileContract, digest_bytes, file_bytes
from atlas_resources.instruments.registry import Registry
from atlas_resources.measures.masks import run_lengths
from atlas_resources.plates.contracts import ColorHistograms, GroundworkCost, InputImage, PlateManifest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import COST_NAME, HISTOGRAMS_NAME, INPUT_IMAGE_NAME
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import RunManifest, RunReport
from atlas_resources.runs.sealed import MANIFEST_NAME, METRICS_NAME, read_metrics, result_path
from atlas_resources.runs.sealing import Measurement, Run, open_run, parquet_bytes
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.tables.result_columns import PROBE, SEGMENT
from atlas_resources.tables.table import frame_of

SIDE_PX = 32
LABELS = 20
"""A probe seals as many scores of a plate."""
FIRST = "plate-001"
"""Id of the measured plate."""
MEASURED = {INPUT_IMAGE_NAME: InputImage, HISTOGRAMS_NAME: ColorHistograms, COST_NAME: GroundworkCost}


@contextmanager
def unflushed() -> Iterator[None]:
    """Files are written without waiting for the disk meanwhile."""
    with patch.object(os, "fsync", lambda descriptor: None):
        yield


def plate_id_of(number: int) -> str:
    """Id of a made plate; numbers count from 1."""
    return f"plate-{number:06d}"


def _given(role: str, seed: int) -> pl.DataFrame:
    """A plate's rows of a role: a vector of 64 values, 20 scores, or two masks that halve the plate."""
    drawn = np.random.default_rng(seed)
    if role == "embedding":
        return embedding_rows([WHOLE_PLATE], [drawn.normal(size=64).astype(np.float32)])
    if role == "probe":
        scores = drawn.dirichlet(np.ones(LABELS))
        rows = [
            {"label_index": n, "label_id": f"n{n:04d}", "label": f"label {n}", "score": score}
            | {"calibration": "uncalibrated"}
            for n, score in enumerate(scores.tolist())
        ]
        return frame_of(PROBE, rows)
    left = np.arange(SIDE_PX)[None, :].repeat(SIDE_PX, 0) < SIDE_PX // 2
    masks = {"mask-0001": ("printed", left), "mask-0002": ("paper", ~left)}
    return frame_of(
        SEGMENT,
        [
            {"segment_id": name, "class_name": kind, "mask_rle": run_lengths.encode(mask), "height_px": SIDE_PX}
            | {"width_px": SIDE_PX, "area_px": int(mask.sum()), "area_ratio": 0.5, "touches_border": True}
            for name, (kind, mask) in masks.items()
        ],
    )


@dataclass(frozen=True)
class _Model:
    """The measured plate that the others are copies of."""

    plate: Plate
    manifest: PlateManifest
    measured: dict[str, FileContract]
    source_sha256: str


def _first_plate(dataset: Dataset) -> _Model:
    """Plate 0, which has a random picture; registers and measures it if the dataset is new."""
    if not dataset.plate_ids():
        scan = dataset.staging_dir / "plate-000000.png"
        scan.parent.mkdir(parents=True)
        Image.fromarray(np.random.default_rng(0).integers(0, 255, (SIDE_PX, SIDE_PX, 3), dtype=np.uint8)).save(scan)
        list(register_scans(dataset, [scan]))
        measure_plate(dataset.plate(FIRST), Stopwatch())
    plate = dataset.plate(FIRST)
    measured: dict[str, FileContract] = {
        name: read_json(plate.derived_path(name), contract) for name, contract in MEASURED.items()
    }
    return _Model(plate, plate.manifest(), measured, plate.source_sha256())


def _add_plate(dataset: Dataset, model: _Model, number: int) -> Plate:
    """A registered plate with groundwork."""
    plate = dataset.plate(plate_id_of(number))
    content = number.to_bytes(8, "big")
    digest = hashlib.sha256(content).hexdigest()
    own = {"plate_id": plate.id, "source_sha256": digest}
    for folder in (plate.folder / "source", plate.folder / "derived", plate.runs_folder):
        folder.mkdir(parents=True)
    (plate.folder / "source" / model.manifest.source_image).write_bytes(content)
    (plate.folder / "source.sha256").write_bytes(f"{digest}  source/{model.manifest.source_image}\n".encode())
    for name, file in model.measured.items():
        hashes = {f"{kind}hash": digest[at : at + 16] for at, kind in enumerate("adp")}
        changed = own | hashes if name == INPUT_IMAGE_NAME else own
        plate.derived_path(name).write_bytes(file_bytes(file.model_copy(update=changed)))
    created_at = model.manifest.created_at + timedelta(seconds=number)
    title = {"plate_id": plate.id, "plate_number": number, "title": f"Plate {number}", "slug": f"plate-{number}"}
    plate.manifest_path.write_bytes(file_bytes(model.manifest.model_copy(update={**title, "created_at": created_at})))
    return plate


def _seal_copies(run: Run, model: RunManifest, plates: Sequence[Plate], first: Plate) -> None:
    """Seals a copy of a plate's run for other plates."""
    role = model.instrument.role
    rows = pl.read_parquet(result_path(first, model))
    metrics = read_metrics(first, model)
    for plate in plates:
        digest, number = plate.source_sha256(), int(plate.id.removeprefix("plate-"))
        own = rows.with_columns(plate_id=pl.lit(plate.id), source_sha256=pl.lit(digest))
        if role == "embedding":
            own = own.with_columns(_given(role, number).select("vector", "l2_norm"))
        folder = plate.runs_folder / run.run_id
        folder.mkdir()
        files = {result_path(first, model).name: parquet_bytes(own)}
        files[METRICS_NAME] = file_bytes(metrics.model_copy(update={"plate_id": plate.id}))
        for name, content in files.items():
            (folder / name).write_bytes(content)
        source = model.inputs[0].model_copy(update={"sha256": digest})
        changed = {"plate_id": plate.id, "source_sha256": digest, "inputs": [source, *model.inputs[1:]]}
        changed["outputs"] = [digest_bytes(f"runs/{run.run_id}/{name}", content) for name, content in files.items()]
        (folder / MANIFEST_NAME).write_bytes(file_bytes(model.model_copy(update=changed)))


def seal(dataset: Dataset, registry: Registry, key: str, plates: Sequence[Plate]) -> None:
    """Seals a made result of an instrument on each plate, in one run."""
    with open_run(dataset, registry.instruments[key]) as run:
        run.write_config([plate.id for plate in plates], is_forced=False)
        first = plates[0]
        rows = _given(run.instrument.identity.role, int(first.id.removeprefix("plate-")))
        manifest = run.seal(first, [first.source_digest()], Measurement(rows, {"rows": rows.height}), Stopwatch())
        _seal_copies(run, manifest, plates[1:], first)
        run.write_report(_report(run, [plate.id for plate in plates]))


def _report(run: Run, plate_ids: list[str]) -> RunReport:
    return RunReport(
        run_id=run.run_id,
        config_sha256=run.config_sha256,
        status="complete",
        selected=plate_ids,
        done=plate_ids,
        skipped=[],
        failed=[],
        finished_at=datetime.now(UTC),
        load_seconds=0,
        decode_seconds=0,
        compute_seconds=0,
        seal_seconds=0,
        wall_seconds=0,
    )


class MadePlates:
    """A library that grows by made plates; one that is in the folder already grows on."""

    def __init__(self, folder: Path, registry: Registry, keys: Sequence[str]):
        self.dataset = Dataset(folder / "atlas")
        self.registry, self.keys = registry, keys
        with unflushed():
            self._model = _first_plate(self.dataset)
        self.count = len(self.dataset.plate_ids()) - 1

    def add(self, count: int) -> list[Plate]:
        """Adds plates, each with groundwork and a sealed run of every instrument. Returns them."""
        numbers = range(self.count + 1, self.count + count + 1)
        self.count += count
        with unflushed():
            plates = [_add_plate(self.dataset, self._model, number) for number in numbers]
            for key in self.keys:
                seal(self.dataset, self.registry, key, plates)
        return plates

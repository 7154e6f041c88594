"""Sealed runs for the tests of reproduction: repeated by the project's own code, or edited first."""

import hashlib
import json
from pathlib import Path

import polars as pl

from atlas_assets.reproduction.repetition import Models, Repetition
from atlas_assets.reproduction.sealed_runs import find_run
from atlas_resources.files.durable import write_json_atomically
from atlas_resources.instruments.prompts import read_prompts
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index import memory
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.records.reproduction import ReproducedPlate, Reproduction
from atlas_resources.plates.run_contracts import RunConfig, RunReport


def run_of(dataset: Dataset, key: str) -> str:
    """The id of the newest run of an instrument."""
    runs = [
        path.parent.name
        for path in sorted(dataset.reports_dir.glob("*/config.json"))
        if json.loads(path.read_bytes())["instrument"]["key"] == key
    ]
    return runs[-1]


def repeat(dataset: Dataset, run_id: str, *plate_ids: str) -> Reproduction:
    """Repeats a run as `atlas reproduce` does; nothing is written."""
    repetition = Repetition(dataset, find_run(dataset, run_id, plate_ids), read_prompts(), Models())
    list(repetition.plates())
    return repetition.result()


def write_repetition(dataset: Dataset, run_id: str, *plate_ids: str) -> Reproduction:
    """Repeats a run and writes its file."""
    repetition = Repetition(dataset, find_run(dataset, run_id, plate_ids), read_prompts(), Models())
    list(repetition.plates())
    return repetition.write()[0]


def plate_of(result: Reproduction, plate_id: str) -> ReproducedPlate:
    (plate,) = [plate for plate in result.plates if plate.plate_id == plate_id]
    return plate


def result_path(dataset: Dataset, plate_id: str, run_id: str) -> Path:
    """The Parquet file of a plate's run."""
    (path,) = (dataset.plate(plate_id).runs_folder / run_id).glob("*.parquet")
    return path


def edit_rows(path: Path, **columns: pl.Expr) -> None:
    """Changes columns of a sealed file, which stays a valid file of another digest."""
    rows = pl.read_parquet(path)
    rows.with_columns(**columns).cast(rows.schema).write_parquet(path)


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Every file below a folder, with its size and the time of its last change in nanoseconds."""
    files = (path for path in folder.rglob("*") if path.is_file() and path.name != memory.NAME)  # safe to delete
    status = {path: path.stat() for path in files}
    return {str(path): (found.st_size, found.st_mtime_ns) for path, found in status.items()}


def edit_config(dataset: Dataset, run_id: str, old: str, new: str, *, is_reported: bool = True) -> None:
    """Changes text in the spec of a run's configuration, which stays a valid file.

    Args:
        dataset: the dataset.
        run_id: the run.
        old: what is replaced, in compact JSON.
        new: what replaces it.
        is_reported: whether the run's report names the digest of the changed file.
    """
    folder = dataset.reports_dir / run_id
    config = read_json(folder / "config.json", RunConfig)
    text = json.dumps(config.spec, separators=(",", ":"))
    assert old in text
    write_json_atomically(
        folder / "config.json", config.model_copy(update={"spec": json.loads(text.replace(old, new))})
    )
    if is_reported:
        report = read_json(folder / "report.json", RunReport)
        digest = hashlib.sha256((folder / "config.json").read_bytes()).hexdigest()
        write_json_atomically(folder / "report.json", report.model_copy(update={"config_sha256": digest}))

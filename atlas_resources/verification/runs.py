"""Verification of sealed runs: each plate's folder of a run, and the report of the run as a whole."""

import io
import os
from collections.abc import Iterator
from pathlib import Path

import polars as pl

from atlas_resources.files.digests import sha256_of
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken, read_json, run_fix
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import Metrics, RunConfig, RunManifest, RunReport
from atlas_resources.runs.claims import is_live
from atlas_resources.runs.faults import list_runs
from atlas_resources.runs.sealed import MANIFEST_NAME, METRICS_NAME, read_manifest, read_output, result_path
from atlas_resources.verification.findings import Finding, Place
from atlas_resources.verification.reading import Reader
from atlas_resources.verification.soundness import ROW_CHECKS

PARTIAL = ".partial"
REPORT_FILES = {"config.json", "report.json", ".lock"}
RUN_KILLED = "the process of the run ended before it wrote its report"


def verify_runs(dataset: Dataset, plate: Plate, reader: Reader) -> list[Finding]:
    """Everything that is wrong in a plate's `runs/`."""
    place = Place(dataset.root, plate.id)
    run_ids, faults = list_runs(plate)
    findings = [place.finding("orphan", fault.path, fault.problem, fault.fix) for fault in faults]
    for name in sorted(os.listdir(plate.runs_folder)) if plate.runs_folder.is_dir() else []:
        if not name.startswith("run-"):
            findings += _not_a_run(dataset, place, plate.runs_folder / name)
    for run_id in run_ids:
        reader.count()
        with place.noting(findings):
            manifest = read_manifest(plate, run_id)
            findings += _verify_run(place, plate, manifest, reader)
    return findings


def _not_a_run(dataset: Dataset, place: Place, path: Path) -> Iterator[Finding]:
    """The folder of a run that was killed while it wrote, or what belongs to nothing."""
    if path.name.startswith(".run-") and path.name.endswith(PARTIAL):
        if not is_live(dataset.reports_dir / path.name[1:].removesuffix(PARTIAL)):
            fix = "none needed: the next run over this plate removes it"
            yield place.finding("unfinished", path, "a folder that a killed run was writing", fix)
        return
    yield place.finding("orphan", path, "expected the folder of a run", "move it out of the dataset")


def _verify_run(place: Place, plate: Plate, manifest: RunManifest, reader: Reader) -> Iterator[Finding]:
    folder = plate.runs_folder / manifest.run_id
    fix = run_fix(folder, f"@{manifest.instrument.key}")
    stated = {plate.folder / output.path: output for output in manifest.outputs}
    for path in sorted(set(folder.iterdir()) - set(stated) - {folder / MANIFEST_NAME}):
        yield place.finding("orphan", path, "expected the files that the run's manifest states", fix)
    is_whole = True
    for path, output in stated.items():
        if difference := reader.difference(path, output.sha256, output.size_bytes):
            is_whole = False
            yield place.finding(difference[0], path, difference[1], fix)
    if manifest.status == "failed" or not is_whole:
        return
    broken: list[Finding] = []
    with place.noting(broken):
        read_json(folder / METRICS_NAME, Metrics)
        if reader.is_deep:
            broken += _unsound_rows(place, plate, manifest, fix)
    yield from broken


def _unsound_rows(place: Place, plate: Plate, manifest: RunManifest, fix: str) -> Iterator[Finding]:
    """Decodes the result: vectors, masks, scores, boxes. Vectors are compared with the length that each row states."""
    path = result_path(plate, manifest)
    output = next(one for one in manifest.outputs if plate.folder / one.path == path)
    try:
        rows = pl.read_parquet(io.BytesIO(read_output(plate, manifest, output)))
        dims = dict(rows.select("instrument", "vector_dim").iter_rows()) if "vector_dim" in rows.columns else {}
        for line in ROW_CHECKS[manifest.instrument.role](plate, dims, rows):
            yield place.finding("schema", path, line, fix)
    except pl.exceptions.PolarsError as error:
        problem = f"expected the columns of its table, found {str(error).splitlines()[0]}"
        yield place.finding("schema", path, problem, fix)


def verify_reports(dataset: Dataset, reader: Reader) -> list[Finding]:
    """Everything that is wrong in `reports/`, and sealed plates that a report names and that are gone."""
    place, findings = Place(dataset.root), []
    for folder in sorted(dataset.reports_dir.iterdir()) if dataset.reports_dir.is_dir() else []:
        reader.count()
        if not folder.is_dir():
            findings.append(place.finding("orphan", folder, "expected a run's folder", "move it out of the dataset"))
            continue
        for path in sorted(folder.iterdir()):
            if path.name not in REPORT_FILES and not path.name.endswith(".tmp"):
                problem = "expected config.json and report.json alone"
                findings.append(place.finding("orphan", path, problem, "move it out of the dataset"))
        with place.noting(findings):
            findings += _verify_report(dataset, place, folder)
    return findings


def _verify_report(dataset: Dataset, place: Place, folder: Path) -> Iterator[Finding]:
    config_path, report_path = folder / "config.json", folder / "report.json"
    if is_live(folder):
        return
    if not report_path.is_file():
        if config_path.is_file():
            read_json(config_path, RunConfig)
        yield place.finding("unfinished", folder, RUN_KILLED, "none needed: what it sealed counts; the rest is missing")
        return
    report = read_json(report_path, RunReport)
    config = read_json(config_path, RunConfig)
    for path, content in ((report_path, report), (config_path, config)):
        if content.run_id != folder.name:
            raise DatasetBroken(path, f"run_id: expected {folder.name!r}, found {content.run_id!r}")
    found = sha256_of(config_path)
    if found != report.config_sha256:
        problem = f"expected sha256 {report.config_sha256}, by its report, found {found}"
        raise DatasetBroken(config_path, problem, kind="altered")
    yield from _lost_plates(dataset, report, config)


def _lost_plates(dataset: Dataset, report: RunReport, config: RunConfig) -> Iterator[Finding]:
    """Plates that the run sealed and whose folder is gone, unless they were measured again in the same way."""
    for plate_id in report.done:
        plate = dataset.plate(plate_id)
        folder = plate.runs_folder / report.run_id
        if folder.exists() or not plate.manifest_path.is_file() or _has_other(plate, report.run_id):
            continue
        problem = f"expected the result that {report.run_id} sealed, by its report, found none"
        fix = f"restore it from a copy; or measure it again: atlas run @{config.instrument.key} --plates {plate_id}"
        yield Place(dataset.root, plate_id).finding("missing", folder, problem, fix)


def _has_other(plate: Plate, run_id: str) -> bool:
    """Whether the plate has a run of the same fingerprint, by the names of folders, which end with it."""
    return any(name.endswith(run_id[-8:]) and name != run_id for name in list_runs(plate)[0])

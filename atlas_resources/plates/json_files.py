"""The JSON files of a dataset: their schemas, and how to read them. Errors state how to fix a broken file."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ValidationError

from atlas_resources.files.contract import SCHEMA_VERSION, FileContract, content_problem
from atlas_resources.plates.contracts import (
    ColorHistograms,
    GroundworkCost,
    GroundworkFailure,
    InputImage,
    PlateManifest,
    RefusedScans,
)
from atlas_resources.plates.records.benchmark import Benchmark
from atlas_resources.plates.records.reproduction import Reproduction
from atlas_resources.plates.records.snapshot import Snapshot
from atlas_resources.plates.records.tag import TagEntry
from atlas_resources.plates.records.withdrawal import LastEntry, Withdrawal
from atlas_resources.plates.run_contracts import Metrics, RunConfig, RunManifest, RunReport

VERSION_FIRST = rb'\s*\{\s*"schema_version"\s*:\s*([0-9]{1,9})[\s,}]'
Model = TypeVar("Model", bound=FileContract)

# How to fix a file that is missing or broken, by its name. For a file of a sealed run see `run_fix`.
FIXES = {
    "manifest.json": "restore it from a backup, or move the plate's folder away and register the scan again:"
    " atlas plates add FILE",
    "source.sha256": "check that the source is the registered file; then, in the plate's folder:"
    " sha256sum source/* > source.sha256",
    "input_image.json": "delete it and materialise plate/input_image for this plate",
    "input_color_histograms.json": "delete it and materialise plate/input_color_histograms for this plate",
    "refused_scans.json": "delete it and register the scans again: atlas plates add PATH",
    "groundwork.json": "delete it; the next groundwork of the plate writes it",
}
MANIFEST_VERSION_FIX = "restore it from a backup, or delete it: the version before it is then the present one"

CONTRACTS: dict[str, type[FileContract]] = {
    "manifest": PlateManifest,
    "input_image": InputImage,
    "input_color_histograms": ColorHistograms,
    "groundwork": GroundworkCost,
    "groundwork_failure": GroundworkFailure,
    "refused_scans": RefusedScans,
    "run.manifest": RunManifest,
    "metrics": Metrics,
    "config": RunConfig,
    "report": RunReport,
    "snapshot": Snapshot,
    "reproduction": Reproduction,
    "benchmark": Benchmark,
    "withdrawal": Withdrawal,
    "tags": TagEntry,
    "last": LastEntry,
}


BrokenKind = Literal["missing", "altered", "schema"]


class DatasetBroken(ValueError):
    """A file of the dataset is missing, was changed or does not follow its schema.

    Attributes:
        path: the file.
        problem: what is wrong: what was expected and what was found.
        fix: how to repair it.
        kind: in one word.
    """

    def __init__(self, path: Path, problem: str, fix: str = "", kind: BrokenKind = "schema"):
        """The message names the first three.

        Args:
            path: the file.
            problem: what is wrong.
            fix: how to repair it; by default what `fix_for` says.
            kind: whether the file is missing, has other bytes than were written, or does not follow its schema.
        """
        self.path, self.problem, self.fix = path, problem, fix or fix_for(path)
        self.kind: BrokenKind = kind
        super().__init__(f"{path}: {problem}. Fix: {self.fix}")


def read_json(path: Path, model: type[Model]) -> Model:
    """Reads a JSON file by its schema. Raises DatasetBroken, which names file, fields, expected, found and the fix."""
    return parse_json(path, read_whole(path), model)


def parse_json(path: Path, data: bytes, model: type[Model]) -> Model:
    """Parses the bytes of a JSON file by its schema and compares them with the digest they hold, as `read_json` does.

    Version and digest are the file's own: what is returned has those of a file that this release would write.

    Raises:
        DatasetBroken: it does not follow its schema, was changed since it was written, or is of a later release.
    """
    stated = re.match(VERSION_FIRST, data)
    if stated and int(stated[1]) > SCHEMA_VERSION:
        problem = f"schema_version: expected at most {SCHEMA_VERSION}, found {int(stated[1])}"
        raise DatasetBroken(path, problem, "open the dataset with the release of Atlas that wrote it, or a later one")
    try:
        content = model.model_validate_json(data, strict=True)
    except ValidationError as error:
        wrongs = [
            f"{'.'.join(map(str, e['loc'])) or 'file'}: {e['msg']}, found {str(e['input'])[:80]!r}"
            for e in error.errors()
        ]
        more = f" (and {len(wrongs) - 3} more)" if len(wrongs) > 3 else ""
        raise DatasetBroken(path, f"is not a valid {model.__name__}: {'; '.join(wrongs[:3])}{more}") from error
    if problem := content_problem(content, data):
        raise DatasetBroken(path, problem, kind="altered")
    return content.model_copy(update={"schema_version": SCHEMA_VERSION, "content_sha256": None})


def read_whole(path: Path) -> bytes:
    """A file's bytes. Raises DatasetBroken, which states the fix, if the file is missing or unreadable."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise DatasetBroken(path, f"cannot be read: {error.strerror}", kind="missing") from error


def fix_for(path: Path) -> str:
    """How to fix a file of the dataset that is missing or broken."""
    if path.parent.name == "manifests":
        return MANIFEST_VERSION_FIX
    if path.parent.name == "snapshots":
        return f"restore it from a copy; or delete {path.with_suffix('')}.* and create a snapshot of another name"
    if path.parents[1].name == "reproductions":
        return f"delete it; atlas reproduce {path.parent.name} writes another"
    if path.parents[1].name == "benchmarks":
        return f"delete it; atlas models bench {path.parent.name} writes another"
    is_of_run = path.parents[1].name == "runs"
    return FIXES.get(path.name) or (run_fix(path.parent) if is_of_run else "restore it from a copy")


def run_fix(run_folder: Path, selection: str = "") -> str:
    """How to fix a plate's sealed run, which is never edited.

    Args:
        run_folder: `<plate>/runs/<run_id>`.
        selection: what measures the run's result, as `atlas run` takes it; empty if that is not known.
    """
    what = f" '{selection}'" if selection else ""
    measure = f"atlas run{what} --plates {run_folder.parents[1].name}"
    return f"restore the file from a copy; or delete {run_folder} and measure again: {measure}"


@cache
def schema_bytes(name: str) -> bytes:
    """The content of `schemas/<name>.schema.json`, as this release writes it. Made once in a process, as it is slow."""
    return (json.dumps(json_schema(name), indent=2, ensure_ascii=False) + "\n").encode()


def json_schema(name: str) -> dict:
    """JSON Schema (2020-12) of the dataset file `<name>.json`. Raises KeyError for a name that is not in CONTRACTS."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **CONTRACTS[name].model_json_schema()}

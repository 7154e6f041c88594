"""A sealed run as it was asked for: its plates, its configuration, its spec. Whether it can be repeated is not here."""

import difflib
import hashlib
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from atlas_resources.files.yaml_files import problems_of
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken, parse_json, read_json, read_whole
from atlas_resources.plates.run_contracts import RUN_ID_PATTERN, RunConfig, RunManifest, RunReport
from atlas_resources.runs.sealed import read_manifest


class RunUnknown(LookupError):
    """No plate has a sealed run of this id, or the run has no result of a plate that was named."""


class NotRepeatable(ValueError):
    """A run, or one plate of it, cannot be repeated here. The message says why, and what would make it possible."""


@dataclass(frozen=True)
class SealedRun:
    """A sealed run.

    Attributes:
        run_id: its id.
        plate_ids: the plates that it sealed a complete result of, in the order in which it was asked for them.
        failed: the plates whose failure it sealed.
        first: the manifest of the first of `plate_ids`; environment and code are the same in all of them.
    """

    run_id: str
    plate_ids: tuple[str, ...]
    failed: tuple[str, ...]
    first: RunManifest


def find_run(dataset: Dataset, run_id: str, plate_ids: Sequence[str] = ()) -> SealedRun:
    """A sealed run by its id, from the plates' own manifests.

    Args:
        dataset: the dataset.
        run_id: the run.
        plate_ids: only these of its plates; all by default.

    Raises:
        RunUnknown: there is no such run, or it has no result of one of these plates.
        DatasetBroken: no manifest of the run can be read.
    """
    holders = [plate.id for plate in dataset.plates() if _has_run(dataset, plate.id, run_id)]
    if not holders:
        raise RunUnknown(_no_such_run(dataset, run_id))
    if foreign := [plate_id for plate_id in plate_ids if plate_id not in holders]:
        raise RunUnknown(
            f"{run_id} has sealed nothing of {', '.join(foreign)}. It has {len(holders)} plates: "
            f"{', '.join(holders[:5])}{', ...' if len(holders) > 5 else ''}"
        )
    asked = _asked_order(dataset, run_id)
    holders.sort(key=lambda plate_id: asked.get(plate_id, len(asked)))
    manifests, broken = _read_manifests(dataset, run_id, [one for one in holders if not plate_ids or one in plate_ids])
    failed = [one for one, manifest in manifests.items() if manifest.status == "failed"]
    complete = [manifest for manifest in manifests.values() if manifest.status == "complete"]
    if not complete and broken:
        raise broken[0]
    if not complete:
        raise RunUnknown(f"{run_id} has sealed no result of {', '.join(failed)}: it failed there")
    kept = [one for one in holders if (not plate_ids or one in plate_ids) and one not in failed]
    return SealedRun(run_id, tuple(kept), tuple(failed), complete[0])


def _read_manifests(
    dataset: Dataset, run_id: str, plate_ids: Sequence[str]
) -> tuple[dict[str, RunManifest], list[DatasetBroken]]:
    manifests, broken = {}, []
    for plate_id in plate_ids:
        try:
            manifests[plate_id] = read_manifest(dataset.plate(plate_id), run_id)
        except DatasetBroken as error:
            broken.append(error)
    return manifests, broken


def _has_run(dataset: Dataset, plate_id: str, run_id: str) -> bool:
    return re.fullmatch(RUN_ID_PATTERN, run_id) is not None and (dataset.plate(plate_id).runs_folder / run_id).is_dir()


def _no_such_run(dataset: Dataset, run_id: str) -> str:
    known = sorted(
        {name for plate in dataset.plates() if plate.runs_folder.is_dir() for name in os.listdir(plate.runs_folder)}
    )
    known = [name for name in known if re.fullmatch(RUN_ID_PATTERN, name)]
    near = difflib.get_close_matches(run_id, known, n=3) or known[-3:]
    hint = f"Did you mean {' or '.join(near)}?" if near else "No run is sealed yet: `atlas run` measures the plates."
    return f"no plate in {dataset.plates_dir} has a sealed run {run_id!r}. {hint}"


def _asked_order(dataset: Dataset, run_id: str) -> dict[str, int]:
    """The position of each plate in the run's configuration; empty if that cannot be read: then the order is lost."""
    try:
        config = read_json(dataset.reports_dir / run_id / "config.json", RunConfig)
    except DatasetBroken:  # `read_config` says so, for each plate
        return {}
    return {plate_id: number for number, plate_id in enumerate(config.plate_ids)}


def read_config(dataset: Dataset, run_id: str) -> RunConfig:
    """What a run was asked to do.

    Raises:
        NotRepeatable: the file is missing, broken, or is not the one that the run's report names.
    """
    path = dataset.reports_dir / run_id / "config.json"
    try:
        content = read_whole(path)
        config = parse_json(path, content, RunConfig)
        report_path = path.with_name("report.json")
        report = read_json(report_path, RunReport) if report_path.exists() else None  # a killed run has none
    except DatasetBroken as error:
        raise NotRepeatable(f"its configuration cannot be read: {error}") from error
    found = hashlib.sha256(content).hexdigest()
    if report and report.config_sha256 != found:
        raise NotRepeatable(
            f"{path} changed since the run: expected sha256 {report.config_sha256}, found {found}. "
            "Fix: restore it from a copy"
        )
    return config


def read_spec_of(dataset: Dataset, run_id: str) -> Spec:
    """The whole spec that a run was made with, which may not be the present one of its key.

    Raises:
        NotRepeatable: the configuration cannot be read, or this code has another schema of specs.
    """
    config = read_config(dataset, run_id)
    try:
        return Spec.model_validate(config.spec)
    except ValidationError as error:
        problems = "; ".join(map(str, problems_of(f"the spec in reports/{run_id}/config.json", error)[:3]))
        raise NotRepeatable(f"this code does not read the run's spec: {problems}") from error

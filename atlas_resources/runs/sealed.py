"""Reading sealed runs: which plates are done, which failed, and their files, compared with the sealed digests."""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol, TypeVar

from atlas_resources.instruments.instrument import InstrumentIdentity
from atlas_resources.plates.contracts import FileDigest
from atlas_resources.plates.json_files import DatasetBroken, parse_json, read_json, read_whole, run_fix
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.records.withdrawal import Withdrawal
from atlas_resources.plates.run_contracts import Metrics, RunManifest
from atlas_resources.sharing.layout import RUN_MANIFEST
from atlas_resources.tables.results import FILE_OF_ROLE
from atlas_resources.withdrawals.in_force import Withdrawn, read_withdrawn

MANIFEST_NAME = RUN_MANIFEST
METRICS_NAME = "metrics.json"


class SealedRun(Protocol):
    """What of a sealed run says whether it is a plate's present result."""

    @property
    def run_id(self) -> str:
        """The run."""
        ...

    @property
    def instrument(self) -> InstrumentIdentity:
        """Which instrument sealed it."""
        ...

    @property
    def source_sha256(self) -> str:
        """sha256 of the source that it measured."""
        ...

    @property
    def status(self) -> Literal["complete", "failed"]:
        """Whether it has a result."""
        ...

    @property
    def read_run_ids(self) -> tuple[str, ...]:
        """The runs of the plate whose sealed results it read."""
        ...


Sealed = TypeVar("Sealed", bound=SealedRun)


def run_names(plate: Plate) -> list[str]:
    """The names of the plate's run folders, newest first. Lists one folder and reads no file."""
    if not plate.runs_folder.is_dir():
        return []
    return sorted((name for name in os.listdir(plate.runs_folder) if name.startswith("run-")), reverse=True)


def runs_by(
    plate: Plate,
    identity: InstrumentIdentity,
    names: Sequence[str],
    source_sha256: str,
    read: Callable[[Plate, str], Sealed],
) -> Iterator[Sealed]:
    """The plate's sealed runs by this version of the instrument on one source, newest first, without withdrawn ones.

    The names of run folders end with the fingerprint's first 8 hex digits, so that no other manifest is read.

    Args:
        plate: the plate.
        identity: the instrument.
        names: what `run_names` lists of the plate.
        source_sha256: of the source.
        read: reads the manifest of a run, or what is known of it.

    Raises:
        DatasetBroken: the manifest of a run of that name, or the log of withdrawals, cannot be read.
    """
    wanted = (identity.key, identity.fingerprint, source_sha256)
    own = [name for name in names if name.endswith(identity.fingerprint[:8])]
    if not own:  # of most instruments a plate has no run: then nothing is asked of the disk
        return
    withdrawn = withdrawn_of(plate)
    for name in own:
        run = read(plate, name)
        is_wanted = (run.instrument.key, run.instrument.fingerprint, run.source_sha256) == wanted
        if is_wanted and withdrawal_of(plate, run, withdrawn, read) is None:
            yield run


def withdrawn_of(plate: Plate) -> Withdrawn:
    """What is withdrawn in the plate's dataset. Raises DatasetBroken if the log of withdrawals is not whole."""
    return read_withdrawn(plate.folder.parents[1])


def withdrawal_of(
    plate: Plate, run: Sealed, withdrawn: Withdrawn, read: Callable[[Plate, str], Sealed]
) -> Withdrawal | None:
    """The entry that withdraws a plate's run, or a run whose result it has read, directly or through others.

    Args:
        plate: the plate.
        run: the run.
        withdrawn: what is withdrawn.
        read: reads the manifest of a run, or what is known of it. A run that is gone from disk has no manifest; it is
            looked for by its id alone.

    Raises:
        DatasetBroken: the manifest of a run that was read cannot be read.
    """
    if not withdrawn.entries:
        return None
    key, weights_sha256 = run.instrument.key, run.instrument.weights_sha256
    if found := withdrawn.of_run(run.run_id, plate.id, key, weights_sha256, run.source_sha256):
        return found
    for run_id in run.read_run_ids:
        if (plate.runs_folder / run_id).is_dir():
            found = withdrawal_of(plate, read(plate, run_id), withdrawn, read)
        else:
            found = withdrawn.of_run(run_id, plate.id, "", None, run.source_sha256)
        if found:
            return found
    return None


def _present_runs(
    plate: Plate, identity: InstrumentIdentity, names: Sequence[str] | None = None
) -> Iterator[RunManifest]:
    """The same of the present source. A plate without a run folder costs one listing."""
    names = run_names(plate) if names is None else names
    return runs_by(plate, identity, names, plate.source_sha256(), read_manifest) if names else iter(())


def find_done(plate: Plate, identity: InstrumentIdentity, names: Sequence[str] | None = None) -> RunManifest | None:
    """The newest complete run of the plate by this version of the instrument on its present source, or None.

    Args:
        plate: the plate.
        identity: the instrument.
        names: run folders to consider, newest first; by default all that are there.
    """
    return next((run for run in _present_runs(plate, identity, names) if run.status == "complete"), None)


def find_failures(plate: Plate, identity: InstrumentIdentity) -> list[RunManifest]:
    """The plate's failed runs by this version of the instrument on its present source, newest first."""
    return [run for run in _present_runs(plate, identity) if run.status == "failed"]


def read_manifest(plate: Plate, run_id: str) -> RunManifest:
    """The manifest of a plate's run. Raises DatasetBroken if it is unreadable, or that of another plate or run."""
    path = plate.runs_folder / run_id / MANIFEST_NAME
    manifest = read_json(path, RunManifest)
    fingerprint = manifest.instrument.fingerprint
    for name, expected, found in (
        ("run_id", run_id, manifest.run_id),
        ("plate_id", plate.id, manifest.plate_id),
        ("instrument.fingerprint", run_id[-8:] + fingerprint[8:], fingerprint),
    ):
        if found != expected:
            raise DatasetBroken(path, f"{name}: expected {expected!r}, by the names of its folders, found {found!r}")
    return manifest


def result_path(plate: Plate, manifest: RunManifest) -> Path:
    """The Parquet file of a plate's sealed result."""
    return plate.runs_folder / manifest.run_id / FILE_OF_ROLE[manifest.instrument.role]


def result_file(plate: Plate, manifest: RunManifest) -> FileDigest:
    """The Parquet file of a plate's sealed result, with its digest. Raises DatasetBroken if the manifest has none."""
    return _output(plate, manifest, FILE_OF_ROLE[manifest.instrument.role])


def read_output(plate: Plate, manifest: RunManifest, output: FileDigest) -> bytes:
    """A sealed file's bytes. Raises DatasetBroken, with the command that repairs it, if they are not those sealed."""
    path = plate.folder / output.path
    fix = run_fix(plate.runs_folder / manifest.run_id, f'tag:"atlas/instrument"="{manifest.instrument.key}"')
    if not path.is_file():
        raise DatasetBroken(path, "is missing", fix, kind="missing")
    content = read_whole(path)
    found = hashlib.sha256(content).hexdigest()
    if found != output.sha256:
        problem = f"changed since it was sealed: expected sha256 {output.sha256}, found {found}"
        raise DatasetBroken(path, problem, fix, kind="altered")
    return content


def read_preview(plate: Plate, manifest: RunManifest) -> bytes | None:
    """The sealed preview of a plate's run (JPEG or PNG), or None."""
    for output in manifest.outputs:
        if Path(output.path).stem == "preview":
            return (plate.folder / output.path).read_bytes()
    return None


def read_metrics(plate: Plate, manifest: RunManifest) -> Metrics:
    """The sealed `metrics.json` of a plate's run. Raises DatasetBroken if it changed since it was sealed."""
    content = read_output(plate, manifest, _output(plate, manifest, METRICS_NAME))
    return parse_json(plate.runs_folder / manifest.run_id / METRICS_NAME, content, Metrics)


def _output(plate: Plate, manifest: RunManifest, name: str) -> FileDigest:
    wanted = f"runs/{manifest.run_id}/{name}"
    for output in manifest.outputs:
        if output.path == wanted:
            return output
    found = ", ".join(output.path for output in manifest.outputs) or "none"
    path = plate.runs_folder / manifest.run_id / MANIFEST_NAME
    raise DatasetBroken(path, f"expected {wanted} among its outputs, found {found}")

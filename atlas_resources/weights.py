"""Where a model's weights lie on disk, and whether they are the pinned ones.

No network: what is missing is an error.
"""

import hashlib
import importlib.metadata
import os
from dataclasses import dataclass
from pathlib import Path

from atlas_resources.specs import Algorithm, HubWeights, LibraryWeights, Spec, WeightFile


class WeightsMissing(FileNotFoundError):
    """A pinned file is not on disk."""


class WeightsMismatch(ValueError):
    """A file on disk is not the pinned one."""


@dataclass(frozen=True)
class LocatedWeights:
    """Verified files by the path their spec gives them, and the folder they share (None for an algorithm)."""

    files: dict[str, Path]
    folder: Path | None

    def only_file(self) -> Path:
        """The one weight file of a model that has a single file."""
        (path,) = self.files.values()
        return path


def sha256_of(path: Path) -> str:
    """sha256 of a file's bytes, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _require_version(library: str, version: str) -> None:
    try:
        installed = importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        installed = "nothing"
    if installed != version:
        raise WeightsMismatch(
            f"{library}: expected version {version}, found {installed}. "
            f"Mend: pip install '{library}=={version}', or pin the version you mean in the spec."
        )


def _torch_hub_checkpoints() -> Path:
    """Torch's checkpoint folder, without importing torch (torch.hub.get_dir has the same rule)."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser()
    return Path(os.environ.get("TORCH_HOME", cache / "torch")).expanduser() / "hub" / "checkpoints"


def _library_folder(weights: LibraryWeights) -> Path:
    _require_version(weights.library, weights.version)
    if weights.location == "torch_hub":
        return _torch_hub_checkpoints()
    return Path(str(importlib.metadata.distribution(weights.library).locate_file("")))


def _hub_folder(weights: HubWeights) -> Path:
    """The snapshot folder of the pinned revision in the hub's standard cache layout."""
    from huggingface_hub import constants
    from huggingface_hub.file_download import repo_folder_name

    repository = repo_folder_name(repo_id=weights.repository, repo_type="model")
    return Path(constants.HF_HUB_CACHE) / repository / "snapshots" / str(weights.revision)


def _require_file(spec: Spec, folder: Path, file: WeightFile) -> Path:
    path = folder / file.path
    if not path.is_file():
        raise WeightsMissing(
            f"{spec.key}: {file.path} is not on disk; expected {path}. "
            f"Put the file of {spec.model_id} at its pinned revision there (`atlas models show {spec.key}` names it)."
        )
    if file.sha256 is None and file.format != "json":
        raise WeightsMismatch(
            f"{spec.key}: {path}: expected a pinned sha256, found none. Write it into model_specs/{spec.key}.yaml."
        )
    if file.sha256 is not None:
        found = sha256_of(path)
        if found != file.sha256:
            raise WeightsMismatch(
                f"{spec.key}: {path} is not the pinned file: expected sha256 {file.sha256}, found {found}. "
                f"Remove it and put the pinned file there."
            )
    return path


def require_weights(spec: Spec) -> LocatedWeights:
    """The spec's files, each with its digest checked before anything reads it.

    Raises:
        WeightsMissing: a file is not where its kind of weights lies.
        WeightsMismatch: a digest or a library's version differs from the spec's, or the spec gives no digest.
    """
    match spec.weights:
        case Algorithm(library=library, version=version):
            _require_version(library, version)
            return LocatedWeights({}, None)
        case LibraryWeights():
            folder = _library_folder(spec.weights)
        case HubWeights():
            folder = _hub_folder(spec.weights)
        case None:
            raise WeightsMissing(f"{spec.key}: the spec pins no weights. Complete model_specs/{spec.key}.yaml.")
    return LocatedWeights({file.path: _require_file(spec, folder, file) for file in spec.weights.files}, folder)

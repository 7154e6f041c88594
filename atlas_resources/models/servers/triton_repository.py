"""The folder that a Triton server is given: one version of one model, and nothing that is not pinned."""

from pathlib import Path

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.weights import require_weights


def link_repository(spec: Spec, folder: Path) -> Path:
    """Makes a model repository of links to the verified files of the spec, in a new folder, and returns that folder.

    The server finds no other version, no other model and no file beside the pinned ones. What Triton's Python backend
    writes, compiled code next to the code, is written into this folder and not next to the pinned files, where the
    next server would run it unverified. So a folder serves one start.

    Raises:
        WeightsMissing, WeightsMismatch: see `weights.require_weights`.
        FileExistsError: the folder exists already.
    """
    files = require_weights(spec).files
    folder.mkdir(parents=True)
    for name, path in files.items():
        link = folder / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path.resolve())
    return folder

"""What a server reads: links to the pinned files, and to no other of the snapshot, and the pinned chat template."""

import shutil
from pathlib import Path

from atlas_resources.files.durable import make_folder
from atlas_resources.instruments.spec.pins import model_sha
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.texts.json_schemas import sha256_of
from atlas_resources.models.servers.snapshot_words import chat_template
from atlas_resources.models.weights import LocatedWeights, WeightsMismatch

TEMPLATE_NAME = "pinned_chat_template.jinja"


def lay_out(weights: LocatedWeights, folder: Path) -> Path:
    """A folder with links to verified files. What was there before is removed."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, path in weights.files.items():
        make_folder((folder / name).parent)
        (folder / name).symlink_to(path.resolve())
    return folder


def lay_out_cache(spec: Spec, weights: LocatedWeights, folder: Path) -> Path:
    """A hub's cache that holds this model alone, whose branch `main` is the pinned revision."""
    shutil.rmtree(folder, ignore_errors=True)
    repository = folder / f"models--{spec.model_id.replace('/', '--')}"
    revision = str(model_sha(spec))
    lay_out(weights, repository / "snapshots" / revision)
    make_folder(repository / "refs")
    (repository / "refs" / "main").write_text(revision, encoding="ascii")
    make_folder(repository / "blobs")
    return folder


def require_template(spec: Spec, weights: LocatedWeights) -> str | None:
    """The chat template of the pinned files, after its digest is compared with the declared one.

    Raises:
        WeightsMismatch: the files hold another template, or none.
    """
    declared = spec.parameters.get("chat_template_sha256")
    template = chat_template(weights.files)
    found = sha256_of(template) if template is not None else None
    if declared is not None and declared != found:
        raise WeightsMismatch(
            f"{spec.key}: expected the chat template of sha256 {declared}, found {found}. Pin the file that has it "
            f"under `weights`, and its digest as parameters.chat_template_sha256 in model_specs/{spec.key}.yaml."
        )
    return template

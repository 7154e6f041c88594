"""Facts of plates' own files that decide what the ledgers have of them: identity, source and digests of files."""

import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from atlas_resources.files.digests import sha256_of
from atlas_resources.files.hosts.freshness import refresh
from atlas_resources.plates.contracts import PLATE_ID_PATTERN
from atlas_resources.plates.index.memory import Found, memory_of, once
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.plate import Plate, PlateUnknown

PLATE_ID = re.compile(PLATE_ID_PATTERN)
UNKNOWN_CHANGE = "unknown"
"""Stands for how a source differs where the plate's manifest or digest cannot be read."""
UNDATED = "~"
"""Sorts after every time."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What a registered plate's manifest and registered digest state.

    Attributes:
        created_at: time of registration as `manifest.json` has it, ISO 8601; `UNDATED` if it cannot be read.
        manifest_version: number of the present manifest.
        manifest_sha256: of the present manifest's bytes; empty if they cannot be read.
        source_sha256: of the source as registered; None if it cannot be read.
        source_image: name of the source; empty if it cannot be read.
        fault: path in the plate's folder, problem and fix, if the manifest or the digest cannot be read; else None.
        digest: a digest of all of these.
    """

    created_at: str
    manifest_version: int
    manifest_sha256: str
    source_sha256: str | None
    source_image: str
    fault: tuple[str, str, str] | None
    digest: str


def read_identities(root: Path, plates_folder: Path, plate_of: Callable[[str], Plate]) -> dict[str, Identity]:
    """The identity of each plate that has a manifest, in order of registration (created_at, then id).

    Costs three calls of `stat` a plate; reads only files that changed since they were last read.

    Args:
        root: the dataset's root.
        plates_folder: the folder of plates.
        plate_of: the plate of an id. Called for those that are read.
    """
    return once(root, "identities", lambda: _identities(_looked_at(root, plates_folder, plate_of)))


def _identities(found: Found) -> dict[str, Identity]:
    identities = {}
    for plate_id, value in found.values.items():
        if value:
            created_at, version, manifest_sha256, source_sha256, source_image, fault, _ = value
            fault, digest = fault and tuple(fault), found.digests[plate_id]
            identity = Identity(created_at, version, manifest_sha256, source_sha256, source_image, fault, digest)
            identities[plate_id] = identity
    return dict(sorted(identities.items(), key=lambda item: (item[1].created_at, item[0])))


def _looked_at(root: Path, plates_folder: Path, plate_of: Callable[[str], Plate]) -> Found:
    refresh(plates_folder)
    try:
        plate_ids = [name for name in os.listdir(plates_folder) if PLATE_ID.fullmatch(name)]
    except FileNotFoundError:
        plate_ids = []

    def files(plate_id: str, value: Any) -> list[str]:
        folder = f"{plates_folder}/{plate_id}"
        versions = f"{folder}/manifests"
        files = [folder, f"{folder}/manifest.json", f"{folder}/source.sha256"]  # a folder changes with the names in it
        if names := value[6] if value else _names(versions):
            files += [versions, *(f"{versions}/{name}" for name in names)]
        return files

    return memory_of(root).look_up("identity 3", plate_ids, files, lambda plate_id: _read_identity(plate_of(plate_id)))


def _read_identity(plate: Plate) -> list | None:
    if not plate.manifest_path.is_file():
        return None
    fault, source_sha256, source_image = None, None, ""
    try:
        source_image = plate.manifest().source_image
        source_sha256 = plate.source_sha256()
    except DatasetBroken as error:
        fault = [error.path.relative_to(plate.folder).as_posix(), error.problem, error.fix]
    except PlateUnknown:  # it was removed just now
        return None
    versions = _names(f"{plate.folder}/manifests")
    facts = (_created_at(plate), plate.manifest_version(), _manifest_sha256(plate), source_sha256, source_image)
    return [*facts, fault, versions]


def _manifest_sha256(plate: Plate) -> str:
    present = plate.manifest_version_paths()[-1:] or [plate.manifest_path]
    return _sha256(present[0])


def _sha256(path: Path) -> str:
    """Of a file; empty if it cannot be read, which whoever reads it reports."""
    try:
        return sha256_of(path)
    except OSError:
        return ""


def _created_at(plate: Plate) -> str:
    try:
        return str(json.loads(plate.manifest_path.read_bytes())["created_at"])
    except (OSError, ValueError, LookupError, TypeError):
        return UNDATED


def read_source_changes(
    root: Path, plates_folder: Path, identities: Mapping[str, Identity], plate_of: Callable[[str], Plate]
) -> Found:
    """How the source of each of all plates differs from the registered file, in one line; empty if it does not.

    Of a plate whose manifest or digest cannot be read, the word `unknown`.

    Args:
        root: the dataset's root.
        plates_folder: the folder of plates.
        identities: of each plate that counts.
        plate_of: the plate of an id. Called for those that are read.
    """

    def files(plate_id: str, value: Any) -> list[str]:
        folder = f"{plates_folder}/{plate_id}/source"
        return [folder, *(f"{folder}/{name}" for name in (value[1] if value else _names(folder)))]

    def read(plate_id: str) -> list:
        plate = plate_of(plate_id)
        names = _names(f"{plate.folder}/source")
        try:
            return [plate.source_change() or "", names]
        except (OSError, ValueError, LookupError):
            return [UNKNOWN_CHANGE, names]

    follows = {plate_id: one.digest for plate_id, one in identities.items()}

    def look() -> Found:
        found = memory_of(root).look_up("source 3", identities, files, read, follows=follows)
        return Found({plate_id: value[0] for plate_id, value in found.values.items()}, found.digests)

    return once(root, "sources", look)


def _names(folder: str) -> list[str]:
    """The names in a folder, sorted; none if it cannot be read."""
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def read_digests(root: Path, plates_folder: Path, plate_ids: Iterable[str], names: Sequence[str]) -> Found:
    """The sha256 of some files of each of all plates, by path; without those that are missing.

    Of a file that cannot be read it is empty.

    Args:
        root: the dataset's root.
        plates_folder: the folder of plates.
        plate_ids: all plates that count.
        names: paths of the files in a plate's folder.
    """

    folders = sorted({name.rpartition("/")[0] for name in names})

    def files(plate_id: str, value: Any) -> list[str]:
        folder = f"{plates_folder}/{plate_id}"
        # A folder changes with the names in it: what is missing need not be asked for.
        there = [name for name in names if os.path.isfile(f"{folder}/{name}")] if value is None else value
        return [f"{folder}/{name}" for name in (*folders, *there)]

    def read(plate_id: str) -> dict[str, str]:
        paths = {name: plates_folder / plate_id / name for name in names}
        return {name: _sha256(path) for name, path in paths.items() if path.is_file()}

    facet = f"digests 2: {' '.join(names)}"
    return once(root, facet, lambda: memory_of(root).look_up(facet, plate_ids, files, read))


def known_sha256(root: Path, path: Path) -> str:
    """The sha256 of a file in a dataset, which is hashed again once it changed; empty if it cannot be read.

    Args:
        root: the dataset's root.
        path: the file.
    """
    name = path.relative_to(root).as_posix()
    found = memory_of(root).look_up(
        "sha256 1", [name], lambda subject, value: (str(path),), lambda subject: _sha256(path) or None, is_all=False
    )
    return found.values[name] or ""

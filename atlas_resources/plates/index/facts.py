"""Facts of plates' own files that decide what the ledgers have of them: identity, source and digests of files."""

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from atlas_resources.files.digests import sha256_of
from atlas_resources.plates.index.memory import memory_of
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.plate import Plate, PlateUnknown

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
    """

    created_at: str
    manifest_version: int
    manifest_sha256: str
    source_sha256: str | None
    source_image: str
    fault: tuple[str, str, str] | None


def read_identities(
    root: Path, plates_folder: Path, plate_ids: Iterable[str], plate_of: Callable[[str], Plate]
) -> dict[str, Identity]:
    """The identity of each plate that has a manifest, in order of registration (created_at, then id).

    Costs four calls of `stat` a plate; reads only files that changed since they were last read.

    Args:
        root: the dataset's root.
        plates_folder: the folder of plates.
        plate_ids: every id that may be a plate's.
        plate_of: the plate of an id. Called for those that are read.
    """
    files = {plate_id: _identity_files(f"{plates_folder}/{plate_id}") for plate_id in plate_ids}
    found = memory_of(root).look_up("identity 2", files, lambda plate_id: _read_identity(plate_of(plate_id)))
    identities = {plate_id: _identity(value) for plate_id, value in found.items() if value}
    return dict(sorted(identities.items(), key=lambda item: (item[1].created_at, item[0])))


def _identity(value: Sequence) -> Identity:
    created_at, version, manifest_sha256, source_sha256, source_image, fault = value
    return Identity(created_at, version, manifest_sha256, source_sha256, source_image, fault and tuple(fault))


def _identity_files(folder: str) -> list[str]:
    files = [f"{folder}/manifest.json", f"{folder}/source.sha256", f"{folder}/manifests"]
    return [*files, *_entries(files[-1])] if os.path.exists(files[-1]) else files


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
    return [_created_at(plate), plate.manifest_version(), _manifest_sha256(plate), source_sha256, source_image, fault]


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


def read_source_changes(root: Path, plates: Iterable[Plate], identities: Mapping[str, Identity]) -> dict[str, str]:
    """How the source of each of all plates differs from the registered file, in one line; empty if it does not.

    Of a plate whose manifest or digest cannot be read, the word `unknown`.

    Args:
        root: the dataset's root.
        plates: all plates that count.
        identities: of each of them.
    """
    by_id = {plate.id: plate for plate in plates}
    files = {
        plate_id: [
            f"{plate.folder}/manifest.json",
            f"{plate.folder}/source.sha256",
            *_entries(f"{plate.folder}/source"),
        ]
        for plate_id, plate in by_id.items()
    }

    def read(plate_id: str) -> str:
        try:
            return by_id[plate_id].source_change() or ""
        except (OSError, ValueError, LookupError):
            return "unknown"

    return memory_of(root).look_up("source 2", files, read)


def _entries(folder: str) -> list[str]:
    """A folder and the files in it."""
    try:
        return [folder, *(f"{folder}/{name}" for name in sorted(os.listdir(folder)))]
    except OSError:
        return [folder]


def read_digests(root: Path, plates: Iterable[Plate], names: Sequence[str]) -> dict[str, dict[str, str]]:
    """The sha256 of some files of each of all plates, by path; without those that are missing.

    Of a file that cannot be read it is empty.

    Args:
        root: the dataset's root.
        plates: all plates that count.
        names: paths of the files in a plate's folder.
    """
    folders = {plate.id: str(plate.folder) for plate in plates}
    files = {plate_id: [f"{folder}/{name}" for name in names] for plate_id, folder in folders.items()}

    def read(plate_id: str) -> dict[str, str]:
        paths = {name: Path(folders[plate_id], name) for name in names}
        return {name: _sha256(path) for name, path in paths.items() if path.is_file()}

    return memory_of(root).look_up(f"digests 1: {' '.join(names)}", files, read)

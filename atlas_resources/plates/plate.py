"""One plate of a dataset: its paths, and what its own files state about it."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from atlas_resources.files.digests import sha256_of
from atlas_resources.plates.contracts import PLATE_ID_PATTERN, FileDigest, PlateManifest
from atlas_resources.plates.json_files import DatasetBroken, read_json, read_whole

IDENTITY_FIELDS = (
    "plate_id", "source_image", "source_page", "registered_from", "registered_path_sha256", "origin", "created_at",
)  # fmt: skip
"""What no version of a manifest changes."""
MANIFEST_VERSION_NAME = re.compile(r"manifest-[0-9]{6}-[0-9]{8}-[0-9]{6}Z\.json")
# One line as sha256sum writes and checks it, run in the plate's folder.
SHA256_LINE = re.compile(r"([0-9a-f]{64})  source/([^/\n]+)\n")


class PlateIdRefused(ValueError):
    """A plate id that is not a slug. It might name a path outside the dataset."""


class PlateUnknown(LookupError):
    """A plate that is not registered."""


@dataclass(frozen=True)
class Plate:
    """A plate, registered or not. Holds no state: every answer is read from disk. Made by `Dataset.plate`.

    Attributes:
        id: the plate's id, a slug.
        folder: the plate's folder.
        locks_folder: empty files that running processes hold kernel locks on, one for each instrument.
        rasters_folder: working rasters of all plates, by kind and digest.
    """

    id: str
    folder: Path
    locks_folder: Path
    rasters_folder: Path

    @property
    def manifest_path(self) -> Path:
        """`manifest.json`. A folder without it is not a plate."""
        return self.folder / "manifest.json"

    @property
    def runs_folder(self) -> Path:
        """One folder for each sealed run of the plate."""
        return self.folder / "runs"

    def derived_path(self, name: str) -> Path:
        """The path of a file in `derived/`, which is computed from the source alone."""
        return self.folder / "derived" / name

    def identity(self) -> PlateManifest:
        """The manifest as registered, `manifest.json`. Raises PlateUnknown or DatasetBroken."""
        path = self.manifest_path
        if not path.is_file():
            raise PlateUnknown(
                f"{self.id}: no such plate in {self.folder.parent}. `atlas plates list` shows the registered plates"
            )
        manifest = read_json(path, PlateManifest)
        if manifest.plate_id != self.id:
            raise DatasetBroken(
                path, f"plate_id: expected {self.id!r}, the name of its folder, found {manifest.plate_id!r}"
            )
        if Path(manifest.source_image).name != manifest.source_image:
            raise DatasetBroken(path, f"source_image: expected a file name, found {manifest.source_image!r}")
        return manifest

    def manifest(self) -> PlateManifest:
        """The present manifest: the newest correction of the index data, or as registered.

        Raises:
            PlateUnknown: the plate is not registered.
            DatasetBroken: `manifest.json` or the newest version is broken, or they are of different plates.
        """
        identity = self.identity()
        versions = self.manifest_version_paths()
        return self._read_version(versions[-1], identity) if versions else identity

    def manifest_versions(self) -> list[PlateManifest]:
        """Every version of the manifest, the oldest first. Raises as `manifest`, for any version."""
        identity = self.identity()
        return [identity, *(self._read_version(path, identity) for path in self.manifest_version_paths())]

    def manifest_version_paths(self) -> list[Path]:
        """The files of the corrections, the oldest first."""
        folder = self.folder / "manifests"
        names = os.listdir(folder) if folder.is_dir() else []
        return [folder / name for name in sorted(names) if MANIFEST_VERSION_NAME.fullmatch(name)]

    def manifest_version(self) -> int:
        """Number of the present version, from the name of its file; 1 as registered."""
        versions = self.manifest_version_paths()
        return int(versions[-1].name.split("-")[1]) if versions else 1

    def manifest_version_path(self, manifest: PlateManifest) -> Path:
        """Where a correction is written: `manifests/manifest-<version>-<UTC>.json`."""
        updated_at = manifest.updated_at or manifest.created_at
        return self.folder / "manifests" / f"manifest-{manifest.manifest_version:06d}-{updated_at:%Y%m%d-%H%M%SZ}.json"

    def _read_version(self, path: Path, identity: PlateManifest) -> PlateManifest:
        version = read_json(path, PlateManifest)
        for name in IDENTITY_FIELDS:
            expected, found = getattr(identity, name), getattr(version, name)
            if found != expected:
                raise DatasetBroken(
                    path, f"{name}: expected {str(expected)!r}, as in manifest.json, found {str(found)!r}"
                )
        return version

    def source_path(self) -> Path:
        """The plate's one immutable image file. Raises PlateUnknown or DatasetBroken."""
        return self.folder / "source" / self.identity().source_image

    def source_sha256(self) -> str:
        """sha256 (64 hex digits) of the source as registered, from `source.sha256`. The source itself is not read.

        Raises:
            DatasetBroken: the file is missing or is not one line of sha256sum.
        """
        path = self.folder / "source.sha256"
        text = read_whole(path).decode("utf-8", errors="replace")
        line = SHA256_LINE.fullmatch(text)
        if line is None:
            raise DatasetBroken(path, f"expected one line `<64 hex digits>  source/<file>`, found {text[:80]!r}")
        return line[1]

    def source_digest(self) -> FileDigest:
        """The source for a run's manifest: registered digest, present size in bytes (0 if the file is missing)."""
        path = self.source_path()
        return FileDigest(
            path=path.relative_to(self.folder).as_posix(),
            sha256=self.source_sha256(),
            size_bytes=path.stat().st_size if path.exists() else 0,
        )

    def source_change(self) -> str | None:
        """How the source differs from the registered file, in one line; None if it does not.

        A source is written before its `source.sha256` and never again, so it is hashed only if it changed later.
        """
        path = self.source_path()
        if not path.is_file():
            return f"{path} is missing"
        if path.stat().st_ctime_ns < (self.folder / "source.sha256").stat().st_mtime_ns:
            return None
        registered, found = self.source_sha256(), sha256_of(path)
        return None if found == registered else f"{path} has changed: expected sha256 {registered}, found {found}"

    def thumbnail(self) -> bytes | None:
        """The plate's thumbnail (`derived/thumbnail.jpg`) as JPEG bytes; None before the groundwork has made it."""
        path = self.derived_path("thumbnail.jpg")
        return path.read_bytes() if path.is_file() else None


def require_plate_id(plate_id: str) -> None:
    """Raises PlateIdRefused unless the id is a slug, without a path separator or a leading dot."""
    if not isinstance(plate_id, str) or re.fullmatch(PLATE_ID_PATTERN, plate_id) is None:
        raise PlateIdRefused(f"plate id {plate_id!r}: expected a slug, {PLATE_ID_PATTERN} (such as plate-001)")

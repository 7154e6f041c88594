"""Verification of a plate's own files: identity, source, and what was measured of it. Its sealed runs are in `runs`."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from atlas_resources.plates.contracts import GroundworkCost, InputImage, PlateManifest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import (
    COST_NAME,
    FAILURE_NAME,
    HISTOGRAMS_NAME,
    INPUT_IMAGE_NAME,
    THUMBNAIL_NAME,
    Groundwork,
    read_groundwork,
)
from atlas_resources.plates.json_files import CONTRACTS, DatasetBroken, fix_for, read_json
from atlas_resources.plates.plate import MANIFEST_VERSION_NAME, Plate
from atlas_resources.tables.soundness import unsound_groundwork
from atlas_resources.verification.findings import Finding, Place
from atlas_resources.verification.reading import Reader
from atlas_resources.verification.runs import verify_runs

PLATE_FOLDER = {"manifest.json", "source.sha256", "manifests", "source", "derived", "runs"}
DERIVED = {INPUT_IMAGE_NAME, HISTOGRAMS_NAME, COST_NAME, FAILURE_NAME, THUMBNAIL_NAME}
MOVE = "move it out of the dataset"


def verify_plate(dataset: Dataset, plate: Plate, reader: Reader) -> list[Finding]:
    """Everything that is wrong in a plate's folder."""
    place = Place(dataset.root, plate.id)
    findings = [*_strays(place, plate.folder, PLATE_FOLDER)]
    identity = None
    with place.noting(findings):
        identity = plate.identity()
    findings += _verify_manifests(place, plate)
    findings += _verify_source(place, plate, identity, reader)
    findings += _verify_derived(place, plate, reader)
    findings += verify_runs(dataset, plate, reader)
    return findings


def _strays(place: Place, folder: Path, known: Iterable[str]) -> Iterator[Finding]:
    """Entries of a folder that belong to nothing, and files that a killed process left."""
    if not folder.is_dir():
        return
    for name in sorted(set(os.listdir(folder)) - set(known)):
        yield stray(place, folder / name)


def stray(place: Place, path: Path) -> Finding:
    """The finding of an entry that belongs to nothing; a hidden `.tmp` was left by a killed process."""
    if path.name.startswith(".") and path.name.endswith(".tmp"):
        return place.finding("unfinished", path, "a file that a killed process left", "delete it; nothing reads it")
    return place.finding("orphan", path, "expected no such entry here", MOVE)


def _verify_manifests(place: Place, plate: Plate) -> list[Finding]:
    """Every version of the manifest can be read, and none is missing between them."""
    folder = plate.folder / "manifests"
    findings = [
        stray(place, folder / name)
        for name in (sorted(os.listdir(folder)) if folder.is_dir() else [])
        if not MANIFEST_VERSION_NAME.fullmatch(name)
    ]
    for number, path in enumerate(plate.manifest_version_paths(), start=2):
        with place.noting(findings):
            version = read_json(path, PlateManifest)
            if version.plate_id != plate.id or plate.manifest_version_path(version) != path:
                expected = plate.manifest_version_path(version).name
                raise DatasetBroken(path, f"expected the name {expected}, by its content, and the plate {plate.id}")
            if version.manifest_version != number:
                problem = f"expected version {number} after the one before it, found {version.manifest_version}"
                raise DatasetBroken(path, problem, "restore the version between them from a copy", kind="missing")
    return findings


def _verify_source(place: Place, plate: Plate, identity: PlateManifest | None, reader: Reader) -> Iterator[Finding]:
    folder = plate.folder / "source"
    if identity is not None:
        yield from _strays(place, folder, [identity.source_image])
    broken: list[Finding] = []
    sha256 = ""
    with place.noting(broken):
        sha256 = plate.source_sha256()
    yield from broken
    if identity is None or not sha256:
        return
    path = folder / identity.source_image
    difference = reader.difference(path, sha256)
    if difference is None:
        return
    measured = _measured_sha256(plate)
    if measured and measured != sha256 and reader.level != "quick" and reader.difference(path, measured) is None:
        path = plate.folder / "source.sha256"  # the source is as it was measured, so that its digest was altered
        yield place.finding("altered", path, f"expected sha256 {measured}, found {sha256}", fix_for(path))
        return
    fix = f"restore {path} from a copy; no other file is used in its place"
    yield place.finding(difference[0], path, difference[1], fix)


def _measured_sha256(plate: Plate) -> str | None:
    """Digest of the source when it was measured; None if that cannot be read."""
    with suppress(DatasetBroken):
        return read_json(plate.derived_path(INPUT_IMAGE_NAME), InputImage).source_sha256
    return None


def _verify_derived(place: Place, plate: Plate, reader: Reader) -> list[Finding]:
    """The measured files are whole, and those that were made together."""
    folder = plate.folder / "derived"
    findings = list(_strays(place, folder, DERIVED))
    read = {}
    for path in sorted(folder.glob("*.json")):
        if path.name in DERIVED:
            reader.count()
            with place.noting(findings):
                read[path.name] = read_json(path, CONTRACTS[path.stem])
                if getattr(read[path.name], "plate_id", plate.id) != plate.id:
                    raise DatasetBroken(path, f"plate_id: expected {plate.id!r}, found {read[path.name].plate_id!r}")
    cost = read.get(COST_NAME)
    if isinstance(cost, GroundworkCost) and INPUT_IMAGE_NAME in read:  # input_image.json is written last
        findings += _verify_made_together(place, plate, cost, reader)
    if reader.is_deep and not findings:
        with place.noting(findings):
            findings += _unsound(place, plate, read_groundwork(plate))
    return findings


def _verify_made_together(place: Place, plate: Plate, cost: GroundworkCost, reader: Reader) -> Iterator[Finding]:
    """The files that the groundwork states the digests of. A file of version 1 states none."""
    for output in cost.outputs or []:
        path = plate.folder / output.path
        if difference := reader.difference(path, output.sha256, output.size_bytes):
            yield place.finding(difference[0], path, difference[1], _again(plate))


def _unsound(place: Place, plate: Plate, groundwork: Groundwork | None) -> Iterator[Finding]:
    if groundwork is not None:
        for line in unsound_groundwork(groundwork.input_image, groundwork.histograms):
            yield place.finding("schema", plate.derived_path(HISTOGRAMS_NAME), line, _again(plate))


def _again(plate: Plate) -> str:
    return f"delete {plate.derived_path('*')} and measure again: atlas run @groundwork --plates {plate.id}"

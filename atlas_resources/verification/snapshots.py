"""Verification of snapshots: of their own files, and of every file that a snapshot names."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

from atlas_resources.files.digests import sha256_of
from atlas_resources.files.read_ahead import ahead
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken, fix_for
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.records.snapshot import SNAPSHOT_NAME_PATTERN, Snapshot
from atlas_resources.runs.sealed import read_manifest
from atlas_resources.snapshots.current import PlateLeaves
from atlas_resources.snapshots.files import (
    JSON,
    LISTING,
    SIGNATURE,
    read_snapshot,
    read_snapshot_tree,
    snapshot_names,
    snapshot_path,
)
from atlas_resources.snapshots.signing import is_signed_by
from atlas_resources.snapshots.tree import PLATES, Tree
from atlas_resources.verification.findings import Finding, Place
from atlas_resources.verification.plates import stray
from atlas_resources.verification.reading import THREADS, Reader

RESTORE = "restore it from a copy"
SINCE = "it was written again since the snapshot; a copy of the dataset of that time has it"


def verify_snapshots(dataset: Dataset, reader: Reader) -> list[Finding]:
    """Everything that is wrong in `snapshots/`. The files that a snapshot names are not read."""
    findings = _strays(dataset)
    for name in snapshot_names(dataset):
        findings += verify_own_files(dataset, name, reader)
    return findings


def _strays(dataset: Dataset) -> list[Finding]:
    """What belongs to no snapshot, and what a killed process left."""
    place, folder, known = Place(dataset.root), dataset.snapshots_dir, set(snapshot_names(dataset))
    findings = []
    for entry in sorted(os.listdir(folder)) if folder.is_dir() else []:
        stem, suffix = os.path.splitext(entry)
        if suffix == JSON and stem in known:
            continue
        if suffix not in (LISTING, SIGNATURE) or not re.fullmatch(SNAPSHOT_NAME_PATTERN, stem):
            findings.append(stray(place, folder / entry))
        elif stem not in known:
            problem = f"belongs to no snapshot: {stem}{JSON} was not written, since its process was killed, or is gone"
            fix = f"restore {stem}{JSON} from a copy if it was there; else delete the file"
            findings.append(place.finding("unfinished", folder / entry, problem, fix))
    return findings


def verify_own_files(dataset: Dataset, name: str, reader: Reader, public: str | None = None) -> list[Finding]:
    """Everything that is wrong in the files of one snapshot: itself, its listing, its signature, the one before it.

    Args:
        dataset: the dataset.
        name: the snapshot's name.
        reader: counts the files.
        public: the key that must have signed it, as 64 hex digits; by default the one that it states, if any.
    """
    place, findings = Place(dataset.root), []
    reader.count()
    with place.noting(findings):
        snapshot = read_snapshot(dataset, name)
        findings += _verify_signature(dataset, place, snapshot, public)
        findings += _verify_previous(dataset, place, snapshot)
        tree = read_snapshot_tree(dataset, snapshot)
        findings += _verify_nodes(dataset, place, snapshot, tree)
    return findings


def _verify_signature(dataset: Dataset, place: Place, snapshot: Snapshot, public: str | None) -> Iterator[Finding]:
    path = snapshot_path(dataset, snapshot.name, SIGNATURE)
    if public and snapshot.signed_by != public:
        found = f"by {snapshot.signed_by}" if snapshot.signed_by else "none"
        fix = "use the public key of the person who signed it; the snapshot is not theirs if that is the key"
        problem = f"expected a signature by the key {public}, found {found}"
        yield place.finding("altered", snapshot_path(dataset, snapshot.name), problem, fix)
    if snapshot.signed_by is None:
        if path.exists():
            yield place.finding("orphan", path, "expected no signature: the snapshot states none", f"delete {path}")
        return
    if not path.is_file():
        yield place.finding("missing", path, f"expected a signature by {snapshot.signed_by}, found none", RESTORE)
    elif not is_signed_by(snapshot.signed_by, path.read_bytes(), snapshot_path(dataset, snapshot.name).read_bytes()):
        problem = f"expected the signature of {snapshot.name}{JSON} by {snapshot.signed_by}, found another"
        yield place.finding("altered", path, problem, RESTORE)


def _verify_previous(dataset: Dataset, place: Place, snapshot: Snapshot) -> Iterator[Finding]:
    if snapshot.previous is None:
        return
    path = snapshot_path(dataset, snapshot.previous.name)
    if not path.is_file():
        yield place.finding("missing", path, f"expected the snapshot before {snapshot.name}, found none", RESTORE)
        return
    found = sha256_of(path)
    if found != snapshot.previous.sha256:
        problem = f"expected sha256 {snapshot.previous.sha256}, by {snapshot.name}, the next one, found {found}"
        yield place.finding("altered", path, problem, RESTORE)


def _verify_nodes(dataset: Dataset, place: Place, snapshot: Snapshot, tree: Tree) -> Iterator[Finding]:
    """Whether the snapshot names the plates of its tree, and runs that are in it."""
    path = snapshot_path(dataset, snapshot.name)
    stated = {f"{PLATES}{plate.plate_id}": plate.node_sha256 for plate in snapshot.plates}
    if stated != {node: digest for node, digest in tree.nodes.items() if node.startswith(PLATES)}:
        yield place.finding("schema", path, "expected the plates of its listing, found others", fix_for(path))
    names = PlateLeaves(tree.leaves).run_names
    for plate in snapshot.plates:
        for run_id in sorted(set(plate.runs.values()) - set(names.get(plate.plate_id, ()))):
            problem = f"expected runs of its listing, found {run_id} of {plate.plate_id}"
            yield place.finding("schema", path, problem, fix_for(path))


def verify_named_files(dataset: Dataset, snapshot: Snapshot, reader: Reader) -> list[Finding]:
    """The files that a snapshot names and that are gone or changed: the leaves of its tree, sources, sealed files.

    Raises:
        DatasetBroken: its listing is missing or was changed.
    """
    tree = read_snapshot_tree(dataset, snapshot)
    of_plates: dict[str, dict[str, str]] = {}
    findings = []
    for name, digest in tree.leaves.items():
        if name.startswith(PLATES):
            plate_id, _, path = name.removeprefix(PLATES).partition("/")
            of_plates.setdefault(plate_id, {})[path] = digest
        else:
            findings += _verify_file(Place(dataset.root), dataset.root / name, digest, reader)
    sources = {plate.plate_id: plate.source_sha256 for plate in snapshot.plates}
    names = PlateLeaves(tree.leaves).run_names

    def of_plate(plate_id: str) -> list[Finding]:
        plate, place = dataset.plate(plate_id), Place(dataset.root, plate_id)
        if not plate.folder.is_dir():
            return [place.finding("missing", plate.folder, f"expected {len(of_plates[plate_id])} files", RESTORE)]
        found = []
        for path, digest in of_plates[plate_id].items():
            found += _verify_file(place, plate.folder / path, digest, reader)
        with place.noting(found):
            if source := sources.get(plate_id):
                found += _verify_file(place, plate.source_path(), source, reader)
        for run_id in names.get(plate_id, []):
            found += _verify_outputs(place, plate, run_id, reader)
        return found

    for found in ahead(of_plate, of_plates, 2 * THREADS, THREADS):
        findings += found
    return findings


def _verify_file(place: Place, path: Path, sha256: str, reader: Reader) -> Iterator[Finding]:
    if difference := reader.difference(path, sha256):
        fix = SINCE if path.parent.name == "derived" else RESTORE
        yield place.finding(difference[0], path, difference[1], fix)


def _verify_outputs(place: Place, plate: Plate, run_id: str, reader: Reader) -> Iterator[Finding]:
    """The sealed files of a run. A manifest that is gone or changed is found as a leaf."""
    try:
        manifest = read_manifest(plate, run_id)
    except DatasetBroken:
        return
    for output in manifest.outputs:
        path = plate.folder / output.path
        if difference := reader.difference(path, output.sha256, output.size_bytes):
            yield place.finding(difference[0], path, difference[1], RESTORE)

"""Verification of a whole dataset, or of some of its plates: plates on threads, then reports, then what is built."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from atlas_resources.files.read_ahead import ahead
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.completeness.states import MOST_ATTEMPTS
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.placing import GATE_NAME, INCOMING
from atlas_resources.plates.refused_scans import read_refused_scans
from atlas_resources.plates.shards.record import read_shards
from atlas_resources.snapshots.tree import read_tree
from atlas_resources.verification.chains import verify_chains
from atlas_resources.verification.comparisons import verify_comparisons
from atlas_resources.verification.derived import verify_derived
from atlas_resources.verification.findings import Finding, Place
from atlas_resources.verification.plates import stray, verify_plate
from atlas_resources.verification.reading import THREADS, Level, Reader
from atlas_resources.verification.runs import verify_reports
from atlas_resources.verification.snapshots import verify_snapshots

TEMPORARY = (".atlas.duckdb.", ".refused_scans.json.", ".staged_scans.json.")


@dataclass(frozen=True)
class Verification:
    """What a verification found.

    Attributes:
        level: how thorough it was.
        findings: what is wrong or unfinished, in order of the plates.
        root_sha256: digest of the library's state; None if only some plates were verified.
        plate_count: plates that were verified.
        file_count: files that were looked at.
        hashed_bytes: bytes that were hashed; the others had not changed since an earlier verification.
        seconds: wall time.
    """

    level: Level
    findings: tuple[Finding, ...]
    root_sha256: str | None
    plate_count: int
    file_count: int
    hashed_bytes: int
    seconds: float

    @property
    def faults(self) -> list[Finding]:
        """The findings of what is wrong."""
        return [finding for finding in self.findings if finding.is_fault]

    @property
    def is_clean(self) -> bool:
        """Whether nothing is wrong. What a killed process left unfinished is not wrong."""
        return not self.faults

    def as_json(self) -> dict[str, Any]:
        """The attributes by name, for a program."""
        findings = [finding.as_json() for finding in self.findings]
        return {"is_clean": self.is_clean, **asdict(self), "findings": findings}


def verify(
    dataset: Dataset,
    registry: Registry,
    level: Level = "standard",
    *,
    plate_ids: Sequence[str] | None = None,
    most_attempts: int = MOST_ATTEMPTS,
    on_plate: Callable[[str], None] = lambda plate_id: None,
) -> Verification:
    """Verifies a dataset: plates, reports, schemas, ledgers and catalogue. Writes nothing but remembered digests.

    Args:
        dataset: the dataset.
        registry: the instruments, for whether ledgers are up to date.
        level: how thoroughly.
        most_attempts: after as many failures, a plate is given up, which `completeness` states.
        plate_ids: only these plates, and nothing else; all plates, and everything, by default.
        on_plate: called with each plate's id once it is verified.

    Raises:
        PlateIdRefused: an id is no slug.
    """
    started, reader = time.monotonic(), Reader(dataset, level)
    plates = dataset.plates() if plate_ids is None else [dataset.plate(plate_id) for plate_id in plate_ids]
    findings: list[Finding] = []
    verified = ahead(lambda plate: verify_plate(dataset, plate, reader), plates, 2 * THREADS, THREADS)
    for plate, found in zip(plates, verified, strict=True):
        findings += found
        on_plate(plate.id)
    root = None
    if plate_ids is None:
        findings += _verify_folders(dataset, {plate.id for plate in plates})
        findings += verify_reports(dataset, reader)
        findings += verify_snapshots(dataset, reader)
        findings += verify_chains(dataset, reader)
        findings += verify_comparisons(dataset, reader)
        findings += verify_derived(dataset, registry, reader, most_attempts)
        root = read_tree(dataset).root_sha256
        reader.save()
    seconds = time.monotonic() - started
    return Verification(level, tuple(findings), root, len(plates), reader.file_count, reader.hashed_bytes, seconds)


def _verify_folders(dataset: Dataset, plate_ids: set[str]) -> list[Finding]:
    """What is no plate in `plates_structured/`, leftovers in the root, the list of refused scans, the record of shards.

    Other entries of the root are a person's own: nothing reads them.
    """
    place, findings = Place(dataset.root), []
    for name in sorted(os.listdir(dataset.plates_dir)) if dataset.plates_dir.is_dir() else []:
        path = dataset.plates_dir / name
        if name == GATE_NAME:
            continue
        if name.startswith(INCOMING):
            fix = "none needed: the next registration removes it"
            findings.append(place.finding("unfinished", path, "a registration that was killed", fix))
        elif name not in plate_ids:
            problem = "expected a plate's folder with its manifest.json"
            fix = "restore manifest.json from a copy, or move the folder away and register the scan again"
            findings.append(place.finding("missing" if path.is_dir() else "orphan", path, problem, fix))
    for name in sorted(os.listdir(dataset.root)):
        if name.startswith(TEMPORARY):
            findings.append(stray(place, dataset.root / name))
    with place.noting(findings):
        read_refused_scans(dataset)
    with place.noting(findings):
        read_shards(dataset.root)
    return findings

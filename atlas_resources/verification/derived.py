"""Verification of what is built from the plates: ledgers, catalogue and schemas. All of it can be built again."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from atlas_resources.catalogue.build import differing_tables
from atlas_resources.files.stated_digests import part_paths, stated_digest_path, stated_digest_problem
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.builders import build_all
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.ledgers.parquet import built_ledgers, read_ledger
from atlas_resources.page.state import MAKE
from atlas_resources.page.state import why_behind as why_page_behind
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import CONTRACTS, DatasetBroken
from atlas_resources.tables.ledgers import LEDGERS
from atlas_resources.verification.findings import Finding, Place
from atlas_resources.verification.reading import Reader

BUILD = "atlas run @ledgers"
UPDATE = "atlas run"
TRUTH = (
    "plates_structured",
    "reports",
    "withdrawals",
    "tags",
    "snapshots",
    "reproductions",
    "benchmarks",
    "refused_scans.json",
)
"""What ledgers are built from, by its name in the dataset's root."""


def verify_derived(dataset: Dataset, registry: Registry, reader: Reader, most_attempts: int) -> Iterator[Finding]:
    """Everything that is wrong in `ledger/`, `schemas/` and `atlas.duckdb`.

    A ledger that is only behind, since plates were measured after it was built, is not wrong, but is noted. The same
    holds for the page. Its files are not looked at: making it compares each with what it should be.
    """
    place = Place(dataset.root)
    yield from _verify_schemas(dataset, place, reader)
    if not dataset.ledger_dir.is_dir() or not any(dataset.ledger_dir.glob("*.parquet")):
        return  # nothing is built yet
    if reason := why_page_behind(dataset):
        yield place.finding("unfinished", dataset.page_dir, f"the page is behind: {reason}", MAKE)
    built = [*built_ledgers(dataset), dataset.catalogue_path]
    known = {*built, *map(stated_digest_path, built), dataset.ledger_dir / "runs_by_role"}
    known |= {part for path in built for part in part_paths(path)}
    for folder in (dataset.ledger_dir, dataset.ledger_dir / "runs_by_role", *(path for path in built if path.is_dir())):
        for name in sorted(os.listdir(folder)) if folder.is_dir() else []:
            if folder / name not in known:
                yield _stray(place, folder / name)
    found = [finding for path in built if (finding := _verify_built(place, path, reader))]
    yield from found
    if found or reader.level == "quick":  # whether they are behind is found out by hashing
        return
    try:
        reason = why_behind(dataset, registry, most_attempts)
    except DatasetBroken:  # the list of refused scans or a log of people's entries, which has a finding of its own
        return
    if not reason and reader.is_deep:
        yield from _verify_rows(dataset, registry, place, most_attempts)
    elif reason:
        yield place.finding("unfinished", dataset.ledger_dir, f"the ledgers are behind: {reason}", BUILD)


def _verify_built(place: Place, path: Path, reader: Reader) -> Finding | None:
    """What is wrong with the file of a ledger or with the catalogue. An earlier release stated no digests."""
    reader.count()
    is_stated = stated_digest_path(path).is_file()
    if not part_paths(path):
        kind, problem = ("missing", "is missing") if is_stated else ("unfinished", "is not built yet")
        return place.finding(kind, path, problem, BUILD)
    if not is_stated:
        return place.finding("unsealed", path, f"expected its digest in {stated_digest_path(path).name}", BUILD)
    problem = None if reader.level == "quick" else stated_digest_problem(path)
    return place.finding("ledger-drift", path, problem, BUILD) if problem else None


def _stray(place: Place, path: Path) -> Finding:
    if path.name.startswith(".") and ".tmp" in path.name:
        return place.finding("unfinished", path, "a file that a killed process left", "none needed: a build removes it")
    return place.finding("orphan", path, "expected ledgers and their digests alone", "move it out of the dataset")


def _verify_schemas(dataset: Dataset, place: Place, reader: Reader) -> Iterator[Finding]:
    folder = dataset.schemas_dir
    if not folder.is_dir():
        return
    for name in sorted(os.listdir(folder)):
        if name.removesuffix(".schema.json") not in CONTRACTS:
            yield place.finding(
                "orphan", folder / name, "expected the schemas of this release", f"delete {folder / name}"
            )
    differing = []
    for path, expected in dataset.schemas():
        reader.count()
        if not path.is_file():
            differing.append(place.finding("missing", path, "expected a schema of this release, found none", UPDATE))
        elif path.read_bytes() != expected:
            differing.append(place.finding("altered", path, "differs from the schema of this release", UPDATE))
    if len(differing) == len(CONTRACTS):
        problem = "its schemas are those of another release"
        yield place.finding("unfinished", folder, problem, f"{UPDATE}, which writes those of this release")
    else:
        yield from differing


def _verify_rows(dataset: Dataset, registry: Registry, place: Place, most_attempts: int) -> Iterator[Finding]:
    """Builds every ledger again, beside the dataset, and compares rows; then those of the catalogue."""
    with tempfile.TemporaryDirectory(prefix="atlas-verify-") as folder:
        beside = Dataset(Path(folder))
        for name in TRUTH:
            if (dataset.root / name).exists():
                (beside.root / name).symlink_to((dataset.root / name).resolve())
        build_all(beside, registry, most_attempts)
        for path, table in ((path, LEDGERS[path.stem]) for path in built_ledgers(dataset) if path.stem in LEDGERS):
            if path.parent == dataset.ledger_dir and not read_ledger(dataset, table).equals(read_ledger(beside, table)):
                problem = "its rows differ from those of a rebuild from the plates' own files"
                yield place.finding(
                    "ledger-drift", path, problem, f"delete {dataset.ledger_dir} and build again: {BUILD}"
                )
    for name in differing_tables(dataset):
        problem = f"its table {name} differs from the ledger"
        yield place.finding("ledger-drift", dataset.catalogue_path, problem, BUILD)

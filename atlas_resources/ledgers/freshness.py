"""Whether the ledgers are behind the plates' own files, and why."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import combinations

import polars as pl

from atlas_resources.files.stated_digests import stated_digest_problem
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.benchmarks.build import changed_benchmarks
from atlas_resources.ledgers.completeness.ledger import changed_completeness
from atlas_resources.ledgers.completeness.states import MOST_ATTEMPTS
from atlas_resources.ledgers.intake import changed_by_intake
from atlas_resources.ledgers.left_out import is_any_whole
from atlas_resources.ledgers.parquet import (
    built_ledgers,
    has_present_columns,
    read_ledger,
    runs_in,
    runs_in_ledger,
)
from atlas_resources.ledgers.reproductions.build import changed_reproductions
from atlas_resources.ledgers.segment_sets import current_segmentations
from atlas_resources.ledgers.snapshots.build import changed_snapshots
from atlas_resources.ledgers.tags.ledger import changed_tags
from atlas_resources.ledgers.topology.coordinates import expected_coordinates
from atlas_resources.ledgers.topology.neighbours import additions_inputs, plate_agreement_inputs
from atlas_resources.ledgers.topology.spaces import joint_inputs, present_inputs
from atlas_resources.ledgers.withdrawals.ledger import changed_withdrawals
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import MEASURE_VERSION, MEASURED_NAMES
from atlas_resources.plates.index.facts import Identity, read_digests, read_source_changes
from atlas_resources.runs.faults import list_all_runs
from atlas_resources.tables.ledgers import (
    GROUNDWORK_FAILURES,
    HISTOGRAMS,
    LEDGERS,
    MODELS,
    PLATES,
    RUNS,
    SEGMENT_SETS,
)
from atlas_resources.tables.topology.agreement import ADDITIONS, AGREEMENT, PLATE_AGREEMENT
from atlas_resources.tables.topology.coordinates import COORDINATES
from atlas_resources.tables.topology.spaces import NEIGHBOURS, PLATE_SPACES, SPACES

DIGEST_COLUMNS = (
    (PLATES, "input_image_sha256"),
    (PLATES, "groundwork_sha256"),
    (HISTOGRAMS, "file_sha256"),
    (GROUNDWORK_FAILURES, "file_sha256"),
)
"""Where the ledgers keep the digests of the groundwork's files."""


def why_behind(dataset: Dataset, registry: Registry, most_attempts: int = MOST_ATTEMPTS) -> str:
    """Why a rebuild of the ledgers would change them; empty if it would not.

    Lists run folders, hashes the groundwork's files, and reads a few columns of the ledgers and the states of plates.
    Compares content, not time, so that it misses nothing that was written during a refresh. A sealed run that is not
    whole is no reason: a rebuild leaves it out, and `find_left_out` names it. The same holds for a plate whose manifest
    or digest cannot be read.
    """
    return next(_reasons_behind(dataset, registry, most_attempts), "")


def _reasons_behind(dataset: Dataset, registry: Registry, most_attempts: int) -> Iterator[str]:
    built = [*built_ledgers(dataset), dataset.catalogue_path]
    missing = [path.name for path in built if not path.is_file()]
    if missing:
        yield f"not built yet: {', '.join(missing)}"
        return
    if outdated := [name for name, table in LEDGERS.items() if not has_present_columns(dataset, table)]:
        yield f"with other columns, of an earlier version, or unreadable: {', '.join(outdated)}"
    if altered := [path.name for path in built if stated_digest_problem(path)]:
        yield f"changed since they were built: {', '.join(altered)}"
    identities = dataset.identities()
    listed = list_all_runs(dataset, identities)
    on_disk = {(run_id, plate_id) for plate_id, (run_ids, _) in listed.items() for run_id in run_ids}
    known = runs_in_ledger(dataset, RUNS)
    if known - on_disk or is_any_whole(dataset, on_disk - known):
        changed = on_disk ^ known
        yield f"{len(changed)} sealed runs were added or removed; the newest is {max(changed)[0]}"
    plate_ids = [plate_id for plate_id, one in identities.items() if one.fault is None]
    if set(read_ledger(dataset, PLATES)["plate_id"]) != set(plate_ids):
        yield f"plates were added or removed; there are now {len(plate_ids)}"
    yield from changed_withdrawals(dataset)
    yield from changed_tags(dataset)
    yield from changed_by_intake(dataset, identities)
    yield from _changed_groundwork(dataset, {plate_id: identities[plate_id] for plate_id in plate_ids})
    yield from changed_snapshots(dataset)
    yield from changed_reproductions(dataset)
    yield from changed_benchmarks(dataset)
    present = {instrument.identity.fingerprint for instrument in registry.instruments.values()}
    if set(read_ledger(dataset, MODELS)["fingerprint"].drop_nulls()) != present:
        yield f"instruments changed: {', '.join(sorted(fingerprint[:8] for fingerprint in present))}"
    compared = runs_in(read_ledger(dataset, SEGMENT_SETS))
    if differing := compared ^ runs_in(current_segmentations(dataset)):
        yield f"segment_sets is behind segments by {len(differing)} sets; the newest is {max(differing)[0]}"
    yield from _changed_topology(dataset, registry)
    yield from changed_completeness(dataset, registry, most_attempts)


def _changed_topology(dataset: Dataset, registry: Registry) -> Iterator[str]:
    """Spaces of which vectors came, went or changed since they were described."""
    present = present_inputs(dataset, registry)
    for table in (SPACES, PLATE_SPACES):
        known = read_ledger(dataset, table, ("space", "inputs_sha256")).unique()
        if differing := {name for name, _ in present.items() ^ set(known.iter_rows())}:
            yield f"topology is behind the vectors of {', '.join(sorted(differing))}"
    made_of = {
        NEIGHBOURS: set(present.values()),
        AGREEMENT: {joint_inputs(*pair) for pair in combinations([present[name] for name in sorted(present)], 2)},
        PLATE_AGREEMENT: {plate_agreement_inputs(dataset)},
        ADDITIONS: {additions_inputs(dataset)},
    }
    for table, inputs in made_of.items():
        if set(read_ledger(dataset, table, ("inputs_sha256",))["inputs_sha256"]) - inputs:
            yield f"{table.name} is made of other vectors than there are"
    drawn = read_ledger(dataset, COORDINATES, ("space", "method", "inputs_sha256")).unique()
    found = {((space, method), digest) for space, method, digest in drawn.iter_rows()}
    if differing := {name for (name, _), _ in expected_coordinates(dataset, registry).items() ^ found}:
        yield f"coordinates are behind the vectors, or the method, of {', '.join(sorted(differing))}"


def _changed_groundwork(dataset: Dataset, identities: Mapping[str, Identity]) -> Iterator[str]:
    known = set()
    for table, column in DIGEST_COLUMNS:
        known |= set(read_ledger(dataset, table).select("plate_id", column).drop_nulls().rows())
    plates = [dataset.plate(plate_id) for plate_id in identities]
    digests = read_digests(dataset.root, plates, MEASURED_NAMES)
    differing = known ^ {(plate_id, sha256) for plate_id, found in digests.items() for sha256 in found.values()}
    if differing:
        # The reason is part of a run key: another digest requests another refresh.
        which = hashlib.sha256(repr(sorted(differing)).encode()).hexdigest()[:8]
        yield f"groundwork of {len({plate_id for plate_id, _ in differing})} plates came, went or changed ({which})"
    columns = ("plate_id", "measure_version", "measured_source_sha256", "is_current")
    # Whether the ledgers know what is withdrawn is found by `changed_withdrawals`.
    rows = read_ledger(dataset, PLATES).filter(pl.col("withdrawn_by").is_null()).select(columns)
    changes = read_source_changes(dataset.root, plates, identities)
    present = {plate_id: identities[plate_id].source_sha256 for plate_id, change in changes.items() if not change}
    aged = sorted(
        plate_id
        for plate_id, version, source_sha256, marked in rows.drop_nulls().iter_rows()
        if marked != ((version, source_sha256) == (MEASURE_VERSION, present.get(plate_id)))
    )
    if aged:
        yield f"measured facts of {len(aged)} plates are no longer of the present source or version: {aged[0]}"

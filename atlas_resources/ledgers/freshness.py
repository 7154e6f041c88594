"""Whether the ledgers are behind the plates' own files, and why."""

import hashlib
from collections.abc import Iterator, Mapping
from itertools import combinations

import polars as pl

from atlas_resources.files.stated_digests import part_paths, stated_digest, stated_digest_problem
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.benchmarks.build import changed_benchmarks
from atlas_resources.ledgers.completeness.ledger import changed_completeness
from atlas_resources.ledgers.completeness.states import MOST_ATTEMPTS
from atlas_resources.ledgers.growth.distinct import read_distinct
from atlas_resources.ledgers.growth.growing import read_made_of, read_rows_of
from atlas_resources.ledgers.growth.made_of import NOTHING, differing_plates
from atlas_resources.ledgers.growth.parts import is_as_built
from atlas_resources.ledgers.growth.signatures import measured_digests, source_changes
from atlas_resources.ledgers.intake import changed_manifests, changed_refusals
from atlas_resources.ledgers.left_out import is_any_whole
from atlas_resources.ledgers.parquet import (
    KEY_COLUMNS,
    built_ledgers,
    has_present_columns,
    ledger_path,
    read_ledger,
    runs_in,
    runs_path,
)
from atlas_resources.ledgers.plates import wanted_of_plates
from atlas_resources.ledgers.reproductions.build import changed_reproductions
from atlas_resources.ledgers.runs import open_plates
from atlas_resources.ledgers.segment_sets import wanted_of_sets
from atlas_resources.ledgers.snapshots.build import changed_snapshots
from atlas_resources.ledgers.tags.ledger import changed_tags
from atlas_resources.ledgers.topology.coordinates import expected_coordinates
from atlas_resources.ledgers.topology.neighbours import additions_inputs, plate_agreement_inputs
from atlas_resources.ledgers.topology.spaces import joint_inputs, present_inputs
from atlas_resources.ledgers.withdrawals.ledger import changed_withdrawals
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import MEASURE_VERSION
from atlas_resources.plates.index.facts import Identity, known_sha256
from atlas_resources.plates.index.memory import one_look
from atlas_resources.runs.faults import list_all_runs
from atlas_resources.tables.completeness import COMPLETENESS
from atlas_resources.tables.ledgers import (
    GROUNDWORK_FAILURES,
    HISTOGRAMS,
    LEDGERS,
    MODELS,
    PLATES,
    RUNS,
    SEGMENT_SETS,
)
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import IS_CURRENT
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
STATING = (PLATES, HISTOGRAMS, GROUNDWORK_FAILURES, *INSTRUMENT_TABLES.values(), SEGMENT_SETS, COMPLETENESS)
"""Ledgers that say what they are made of, since a release that says so."""


def why_behind(dataset: Dataset, registry: Registry, most_attempts: int = MOST_ATTEMPTS) -> str:
    """Why a rebuild of the ledgers would change them; empty if it would not.

    Compares what the ledgers say that they are made of with the plates' files, and of plates that differ the rows. So
    it compares content, not time, and misses nothing that was written during a refresh. A sealed run that is not
    whole is no reason: a rebuild leaves it out, and `find_left_out` names it. The same holds for a plate whose manifest
    or digest cannot be read.
    """
    with one_look(dataset.root):
        return next(_reasons_behind(dataset, registry, most_attempts), "")


def _reasons_behind(dataset: Dataset, registry: Registry, most_attempts: int) -> Iterator[str]:
    missing = [path.name for path in built_ledgers(dataset) if not part_paths(path)]
    missing += [] if dataset.catalogue_path.is_file() else [dataset.catalogue_path.name]
    if missing:
        yield f"not built yet: {', '.join(missing)}"
        return
    yield from _other_files(dataset)
    yield from _changed_runs(dataset)
    yield from changed_withdrawals(dataset)
    yield from changed_tags(dataset)
    yield from _changed_plates(dataset)
    yield from changed_refusals(dataset)
    yield from changed_snapshots(dataset)
    yield from changed_reproductions(dataset)
    yield from changed_benchmarks(dataset)
    present = {instrument.identity.fingerprint for instrument in registry.instruments.values()}
    if set(read_ledger(dataset, MODELS)["fingerprint"].drop_nulls()) != present:
        yield f"instruments changed: {', '.join(sorted(fingerprint[:8] for fingerprint in present))}"
    yield from _changed_sets(dataset)
    yield from _changed_topology(dataset, registry)
    yield from changed_completeness(dataset, registry, most_attempts)


def _other_files(dataset: Dataset) -> Iterator[str]:
    """Files that are not the ones that were built."""
    tables = {ledger_path(dataset, table): table for table in LEDGERS.values()}
    tables |= {runs_path(dataset, role): RUNS for role in INSTRUMENT_TABLES}
    other = [path for path, table in tables.items() if not is_as_built(dataset, path, table)]
    ledgers = [path for path in other if path.parent == dataset.ledger_dir]
    outdated = [tables[path].name for path in ledgers if not has_present_columns(dataset, tables[path])]
    for table in STATING:
        path = ledger_path(dataset, table)
        if path not in other and read_made_of(dataset, path, table) is NOTHING:
            outdated.append(table.name)
    if outdated:
        yield f"with other columns, of an earlier version, or unreadable: {', '.join(outdated)}"
    altered = [path.name for path in other if stated_digest_problem(path)]
    catalogue = dataset.catalogue_path
    if known_sha256(dataset.root, catalogue) != stated_digest(catalogue):
        altered.append(catalogue.name)
    if altered:
        yield f"changed since they were built: {', '.join(altered)}"


def _changed_runs(dataset: Dataset) -> Iterator[str]:
    """Sealed runs that came or went."""
    listed = list_all_runs(dataset, dataset.identities()).ids
    gone = read_made_of(dataset, ledger_path(dataset, RUNS), RUNS).signatures.keys() - listed.keys()
    plate_ids = open_plates(dataset)
    on_disk = {(run_id, plate_id) for plate_id in plate_ids for run_id in listed[plate_id]}
    rows = read_rows_of(dataset, ledger_path(dataset, RUNS), RUNS, [*plate_ids, *gone], KEY_COLUMNS)
    known = runs_in(rows)
    if known - on_disk or is_any_whole(dataset, on_disk - known):
        changed = on_disk ^ known
        yield f"{len(changed)} sealed runs were added or removed; the newest is {max(changed)[0]}"


def _changed_sets(dataset: Dataset) -> Iterator[str]:
    """Segment sets that were sealed since they were compared."""
    path, sets = runs_path(dataset, "segmentation"), ledger_path(dataset, SEGMENT_SETS)
    plate_ids = differing_plates(read_made_of(dataset, sets, SEGMENT_SETS), wanted_of_sets(dataset))
    compared = runs_in(read_rows_of(dataset, sets, SEGMENT_SETS, plate_ids, KEY_COLUMNS))
    current = read_rows_of(dataset, path, RUNS, plate_ids, (*KEY_COLUMNS, IS_CURRENT.name)).filter(IS_CURRENT.name)
    if differing := compared ^ runs_in(current):
        yield f"segment_sets is behind segments by {len(differing)} sets; the newest is {max(differing)[0]}"


def _changed_topology(dataset: Dataset, registry: Registry) -> Iterator[str]:
    """Spaces of which vectors came, went or changed since they were described."""
    present = present_inputs(dataset, registry)
    for table in (SPACES, PLATE_SPACES):
        known = read_distinct(dataset, table, ("space", "inputs_sha256"))
        if differing := {name for name, _ in present.items() ^ set(known.iter_rows())}:
            yield f"topology is behind the vectors of {', '.join(sorted(differing))}"
    made_of = {
        NEIGHBOURS: set(present.values()),
        AGREEMENT: {joint_inputs(*pair) for pair in combinations([present[name] for name in sorted(present)], 2)},
        PLATE_AGREEMENT: {plate_agreement_inputs(dataset)},
        ADDITIONS: {additions_inputs(dataset)},
    }
    for table, inputs in made_of.items():
        if set(read_distinct(dataset, table, ("inputs_sha256",))["inputs_sha256"]) - inputs:
            yield f"{table.name} is made of other vectors than there are"
    drawn = read_distinct(dataset, COORDINATES, ("space", "method", "inputs_sha256"))
    found = {((space, method), digest) for space, method, digest in drawn.iter_rows()}
    if differing := {name for (name, _), _ in expected_coordinates(dataset, registry).items() ^ found}:
        yield f"coordinates are behind the vectors, or the method, of {', '.join(sorted(differing))}"


def _changed_plates(dataset: Dataset) -> Iterator[str]:
    """Plates that came, went or changed, their measured files too."""
    wanted, differing = wanted_of_plates(dataset), dict[str, None]()
    for table in (PLATES, HISTOGRAMS, GROUNDWORK_FAILURES):
        made_of = read_made_of(dataset, ledger_path(dataset, table), table)
        differing |= dict.fromkeys(differing_plates(made_of, wanted))
    if not differing:
        return
    known = {
        table.name: read_rows_of(dataset, ledger_path(dataset, table), table, differing)
        for table in (PLATES, HISTOGRAMS, GROUNDWORK_FAILURES)
    }
    identities = {one: found for one, found in dataset.identities().items() if found.fault is None}
    if set(known[PLATES.name]["plate_id"]) != identities.keys() & differing.keys():
        yield f"plates were added or removed; there are now {len(identities)}"
    identities = {one: identities[one] for one in differing if one in identities}
    yield from changed_manifests(identities, known[PLATES.name])
    yield from _changed_groundwork(dataset, identities, known)


def _changed_groundwork(
    dataset: Dataset, identities: Mapping[str, Identity], ledgers: Mapping[str, pl.DataFrame]
) -> Iterator[str]:
    known = set()
    for table, column in DIGEST_COLUMNS:
        known |= set(ledgers[table.name].select("plate_id", column).drop_nulls().rows())
    digests = measured_digests(dataset).values
    present = {(plate_id, sha256) for plate_id in identities for sha256 in digests[plate_id].values()}
    if differing := known ^ present:
        # The reason is part of a run key: another digest requests another refresh.
        which = hashlib.sha256(repr(sorted(differing)).encode()).hexdigest()[:8]
        yield f"groundwork of {len({plate_id for plate_id, _ in differing})} plates came, went or changed ({which})"
    columns = ("plate_id", "measure_version", "measured_source_sha256", "is_current")
    # Whether the ledgers know what is withdrawn is found by `changed_withdrawals`.
    rows = ledgers[PLATES.name].filter(pl.col("withdrawn_by").is_null()).select(columns)
    changes = source_changes(dataset).values
    sources = {plate_id: one.source_sha256 for plate_id, one in identities.items() if not changes[plate_id]}
    aged = sorted(
        plate_id
        for plate_id, version, source_sha256, marked in rows.drop_nulls().iter_rows()
        if marked != ((version, source_sha256) == (MEASURE_VERSION, sources.get(plate_id)))
    )
    if aged:
        yield f"measured facts of {len(aged)} plates are no longer of the present source or version: {aged[0]}"

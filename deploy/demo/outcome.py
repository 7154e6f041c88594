"""What came of a demonstration, read from the plates' own files, the ledgers and Dagster's database."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import dagster as dg

from atlas_assets.automation.standings import read_standings
from atlas_assets.automation.under_way import unfinished_runs
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.sealed import MANIFEST_NAME
from atlas_resources.verification.library import verify
from deploy.demo.cluster import Running
from deploy.demo.dagster_programs import Project

PARENT_TAG = "dagster/parent_run_id"


@dataclass(frozen=True)
class AssetOutcome:
    """How the plates of one asset ended.

    Attributes:
        name: the asset's key.
        missing: plates that are not done and have not failed.
        twice: plates with more than one complete sealed run.
        unrecorded: plates that Dagster does not show as materialised.
        done: number of plates that are done.
        failed: plates that have failed.
    """

    name: str
    missing: tuple[str, ...]
    twice: tuple[str, ...]
    unrecorded: tuple[str, ...]
    done: int
    failed: frozenset[str]


def sealed_manifests(project: Project) -> Iterator[RunManifest]:
    """The manifest of every sealed run of every plate."""
    for path in sorted(project.dataset.plates_dir.glob(f"*/runs/run-*/{MANIFEST_NAME}")):
        yield read_json(path, RunManifest)


def sealed_by(project: Project) -> Counter[str]:
    """How many results each Dagster run has sealed, by its id."""
    return Counter(str(manifest.dagster_run_id) for manifest in sealed_manifests(project))


def is_settled(running: Running) -> bool:
    """Whether all good plates are done, the ledgers up to date, and no run in progress or about to start again."""
    dataset, registry = running.project.dataset, running.project.registry
    standings = read_standings(dataset, registry.active_instruments)
    if not all(plate.is_done or plate.plate_id in running.bad for one in standings for plate in one.plates):
        return False
    return next(unfinished_runs(running.instance), None) is None and not why_behind(dataset, registry)


def asset_outcomes(running: Running) -> list[AssetOutcome]:
    """The outcome of each asset over plates."""
    registry = running.project.registry
    sealed: dict[str, Counter[str]] = defaultdict(Counter)
    for manifest in sealed_manifests(running.project):
        if manifest.status == "complete":
            sealed[manifest.instrument.key][manifest.plate_id] += 1
    groundwork, *instruments = read_standings(running.project.dataset, registry.active_instruments)
    keys = [None, *(instrument.key for instrument in registry.active_instruments)]
    every, outcomes = frozenset(running.project.dataset.plate_ids()), []
    for standing, key in zip([groundwork, *instruments], keys, strict=True):
        undone = {plate.plate_id for plate in standing.plates if not plate.is_done}
        for asset in standing.keys:
            recorded = running.instance.get_materialized_partitions(asset)
            outcomes.append(
                AssetOutcome(
                    asset.to_user_string(),
                    tuple(sorted(undone - running.bad)),
                    tuple(plate_id for plate_id, count in sealed[key].items() if count > 1) if key else (),
                    tuple(sorted(every - recorded - running.bad)),
                    len(every - undone),
                    every & running.bad,
                )
            )
    return outcomes


def faults_of(running: Running, killed: Mapping[str, str], nodes: Mapping[str, set[str]]) -> list[str]:
    """Everything that is not as it should be, a line each; none if all was done once.

    Args:
        running: the programs, when all has settled.
        killed: the node that was killed with each run, by the run's id.
        nodes: the runs that were seen on each node, by its name.
    """
    found = []
    for one in asset_outcomes(running):
        found += [] if one.done else [f"{one.name}: of no plate"]
        found += [f"{one.name}: not done: {', '.join(one.missing)}"] if one.missing else []
        found += [f"{one.name}: sealed twice: {', '.join(one.twice)}"] if one.twice else []
        found += [f"{one.name}: not recorded by Dagster: {', '.join(one.unrecorded)}"] if one.unrecorded else []
    idle = [name for name, runs in nodes.items() if not runs]
    found += [f"no run was on {', '.join(idle)}"] if idle else []
    for run_id, node in killed.items():
        found += _faults_of_killed(running, run_id, node)
    tried = {manifest.plate_id for manifest in sealed_manifests(running.project) if manifest.status == "failed"}
    if tried != running.bad:
        found.append(f"plates that failed: {', '.join(sorted(tried))}; expected {', '.join(sorted(running.bad))}")
    # Deep: every sealed file has its digest, and every ledger equals a rebuild from the plates alone.
    checked = verify(running.project.dataset, running.project.registry, "deep")
    spoilt = {finding.plate_id for finding in checked.faults if finding.plate_id in running.bad}
    found += [f"{plate_id}: its spoilt source was not found out" for plate_id in sorted(running.bad - spoilt)]
    return found + [str(finding) for finding in checked.faults if finding.plate_id not in running.bad]


def _faults_of_killed(running: Running, run_id: str, node: str) -> Iterator[str]:
    """Of a run that was killed. The run in its place fails at its end if it has a plate that cannot be measured."""
    run = running.instance.get_run_by_id(run_id)
    if run is None or run.status != dg.DagsterRunStatus.FAILURE:
        yield f"run {run_id[:8]}, killed with {node}, is shown as {run.status.value if run else 'unknown'}"
    again = running.instance.get_runs(dg.RunsFilter(tags={PARENT_TAG: run_id}))
    may_end = {dg.DagsterRunStatus.SUCCESS} | ({dg.DagsterRunStatus.FAILURE} if running.bad else set())
    if len(again) != 1 or again[0].status not in may_end:
        ended = ", ".join(one.status.value for one in again) or "not at all"
        yield f"run {run_id[:8]}, killed with {node}, was started again: {ended}"

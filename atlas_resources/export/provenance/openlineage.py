"""Export of runs as OpenLineage events: one JSON object a line, built by the client's classes and sent nowhere.

https://openlineage.io/spec/2-0-2/OpenLineage.json. A run over its plates has a START and an end, and is the parent of a
run for each plate, whose inputs and outputs are files. What ledgers are made of, column by column, are job events.
"""

import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlas_resources.export._destination import require_outside
from atlas_resources.export.provenance.lineage_facets import (
    file_facets,
    job_facets,
    ledger_facets,
    run_facets,
    schema_facet,
)
from atlas_resources.export.provenance.runs import Leaving, LeavingRun, RunOfPlate
from atlas_resources.files.durable import write_bytes_atomically
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import Table

if TYPE_CHECKING:
    from openlineage.client.event_v2 import Job, JobEvent, Run, RunEvent, RunState

NAMESPACE = "atlas"


@dataclass(frozen=True)
class WrittenEvents:
    """What was written: runs over plates, results of plates, events; and what was left out, a line each."""

    runs_count: int
    plates_count: int
    events_count: int
    left_out: list[str]


def export_openlineage(
    dataset: Dataset,
    path: Path,
    *,
    run_ids: Sequence[str] = (),
    commercial: bool = False,
    namespace: str = NAMESPACE,
) -> WrittenEvents:
    """Writes the events of runs to a file, atomically, in the order of the runs.

    Args:
        dataset: the dataset.
        path: the file, outside the dataset.
        run_ids: the runs; all of the ledger by default.
        commercial: leave out results that are not known to allow commercial use.
        namespace: the namespace of jobs and datasets.

    Raises:
        DatasetBroken: a file of a run cannot be read.
        FileNotFoundError: there is no ledger of runs.
        LookupError: there is no such run.
        ValueError: the file is inside the dataset, or the ledgers are behind the withdrawals or tags.
    """
    from openlineage.client.serde import Serde

    require_outside(dataset, path)
    leaving = Leaving(dataset, commercial=commercial)
    lines, left_out = io.BytesIO(), []
    runs_count = plates_count = events_count = 0
    by_table: dict[str, dict[str, RunManifest]] = {}
    for run_id in run_ids or leaving.run_ids:
        run = leaving.find(run_id)
        left_out += [f"{run_id}: {line}" for line in run.sentences]
        if not run.plates:
            continue
        runs_count, plates_count = runs_count + 1, plates_count + len(run.plates)
        for event in run_events(run, namespace):
            lines.write(Serde.to_json(event, ensure_ascii=False).encode() + b"\n")
            events_count += 1
        last = run.plates[-1].manifest
        by_table.setdefault(last.instrument.role, {})[last.instrument.key] = last
    for role, manifests in by_table.items():
        if role in INSTRUMENT_TABLES:
            event = ledger_event(INSTRUMENT_TABLES[role], manifests, namespace)
            lines.write(Serde.to_json(event, ensure_ascii=False).encode() + b"\n")
            events_count += 1
    write_bytes_atomically(path, lines.getvalue())
    return WrittenEvents(runs_count, plates_count, events_count, left_out)


def run_events(run: LeavingRun, namespace: str = NAMESPACE) -> "Iterator[RunEvent]":
    """The START and the end of a run over its plates, with those of each plate between them.

    Every plate starts with the run, since the time at which it was begun alone is not recorded.
    """
    from openlineage.client.event_v2 import Job, Run, RunState

    first = run.plates[0].manifest
    job = Job(namespace, _job_name(first), facets=job_facets(first, run.config))
    over_all = Run(_run_uuid(first.started_at, run.run_id), facets=run_facets(first, run.config))
    yield _event(over_all, job, RunState.START, first.started_at, first)
    for one in run.plates:
        yield from _plate_events(one, over_all, job, namespace)
    last = max(one.manifest.sealed_at for one in run.plates)
    state, at = RunState.ABORT, last  # a killed run has no report
    if run.report:
        is_failed = any(one.manifest.status == "failed" for one in run.plates)
        state, at = RunState.FAIL if is_failed else RunState.COMPLETE, run.report.finished_at
    yield _event(over_all, job, state, at, first)


def _job_name(manifest: RunManifest) -> str:
    table = INSTRUMENT_TABLES.get(manifest.instrument.role)
    return f"{table.name if table else manifest.instrument.role}/{manifest.instrument.key}"


def _run_uuid(at: datetime, name: str) -> str:
    """The UUID of a run: the same at every export."""
    from openlineage.client.uuid import generate_static_uuid

    return str(generate_static_uuid(at, name.encode()))


def _event(
    run: "Run", job: "Job", state: "RunState", at: datetime, manifest: RunManifest, **datasets: Any
) -> "RunEvent":
    from openlineage.client.event_v2 import RunEvent

    return RunEvent(
        eventTime=at.isoformat(), eventType=state, run=run, job=job, producer=_producer(manifest), **datasets
    )


def _producer(manifest: RunManifest) -> str:
    """The code that ran, as a URI."""
    return f"urn:atlas:code:{manifest.code.git_sha or manifest.code.project}"


def _plate_events(one: RunOfPlate, parent: "Run", job: "Job", namespace: str) -> "Iterator[RunEvent]":
    from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunState
    from openlineage.client.facet_v2 import error_message_run, parent_run

    manifest, plate_id = one.manifest, one.plate.plate_id
    facets: dict[str, Any] = {
        "parent": parent_run.ParentRunFacet(
            run=parent_run.Run(runId=parent.runId), job=parent_run.Job(namespace=job.namespace, name=job.name)
        )
    }
    if manifest.error:
        facets["errorMessage"] = error_message_run.ErrorMessageRunFacet(
            message=f"{manifest.error.stage}: {manifest.error.type}: {manifest.error.message}",
            programmingLanguage="PYTHON",
        )
    table = INSTRUMENT_TABLES.get(manifest.instrument.role)
    inputs = [
        InputDataset(namespace, f"{plate_id}/{file.path}", facets=file_facets(one, file)) for file in manifest.inputs
    ]
    outputs = []
    for file in manifest.outputs:
        own = file_facets(one, file)
        if table and Path(file.path).name == table.plate_file:
            own |= schema_facet(table.sealed_schema.names(), table, namespace, _job_name(manifest))
        outputs.append(OutputDataset(namespace, f"{plate_id}/{file.path}", facets=own))
    run = Run(_run_uuid(manifest.started_at, f"{manifest.run_id}/{plate_id}"), facets=facets)
    of_plate = Job(namespace, f"{job.name}.plate", facets=job.facets)
    state = RunState.COMPLETE if manifest.status == "complete" else RunState.FAIL
    yield _event(run, of_plate, RunState.START, manifest.started_at, manifest, inputs=inputs)
    yield _event(run, of_plate, state, manifest.sealed_at, manifest, inputs=inputs, outputs=outputs)


def ledger_event(table: Table, manifests: Mapping[str, RunManifest], namespace: str = NAMESPACE) -> "JobEvent":
    """How a ledger of results is made: which column of which instrument's results each of its columns is.

    Args:
        table: the ledger's table.
        manifests: the newest of each instrument whose runs are exported, by its key.
        namespace: the namespace of jobs and datasets.
    """
    from openlineage.client.event_v2 import InputDataset, Job, JobEvent, OutputDataset

    names = [_job_name(manifest) for _, manifest in sorted(manifests.items())]
    newest = max(manifests.values(), key=lambda manifest: manifest.sealed_at)
    name = f"ledger/{table.name}"
    return JobEvent(
        eventTime=newest.sealed_at.isoformat(),
        job=Job(namespace, name),
        inputs=[InputDataset(namespace, one) for one in names],
        outputs=[OutputDataset(namespace, name, facets=ledger_facets(table, names, namespace))],
        producer=_producer(newest),
    )

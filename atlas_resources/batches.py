"""A run over many plates: skip what is done, decode ahead of the model, measure in batches, seal plate by plate."""

import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal, Protocol

import polars as pl

from atlas_resources.ahead import THREADS, ahead
from atlas_resources.contracts import (
    FailedPlate,
    FileDigest,
    InstrumentIdentity,
    RunManifest,
    RunReport,
    StructuredError,
)
from atlas_resources.dataset import Dataset
from atlas_resources.runs import Measurement, Run, find_done, open_run, sweep_dead
from atlas_resources.specs import Spec


class Work(Protocol):
    """What an instrument does with plates."""

    def load(self) -> None:
        """Loads the model. What it raises ends the run before any plate is touched."""
        ...

    def prepare(self, plate_id: str) -> Any:
        """Decodes one plate into the model's input; called on decoding threads."""
        ...

    def measure(self, batch: list[Any]) -> list[Measurement]:
        """Measures prepared plates, in their order."""
        ...


@dataclass(frozen=True)
class PlateOutcome:
    """How one plate ended.

    Attributes:
        plate_id: the plate.
        status: `reused` if an earlier run had done it.
        manifest: of the run it was sealed in, this one or an earlier one; None if the plate's own files are unreadable,
            so that not even its failure could be sealed.
        error: why it failed.
    """

    plate_id: str
    status: Literal["complete", "reused", "failed"]
    manifest: RunManifest | None
    error: StructuredError | None = None


@dataclass
class Timings:
    """Seconds spent, summed over threads."""

    load: float = 0.0
    decode: float = 0.0
    compute: float = 0.0
    seal: float = 0.0
    started: float = field(default_factory=time.perf_counter)


@dataclass(frozen=True)
class Prepared:
    """A plate on its way to the model, or the error that stopped it."""

    plate_id: str
    decode_seconds: float
    source: FileDigest | None = None
    payload: Any = None
    error: StructuredError | None = None


def structured(error: BaseException, stage: Literal["decode", "compute", "seal"]) -> StructuredError:
    """An exception as it is kept in a manifest."""
    text = "".join(traceback.format_exception(error))
    return StructuredError(
        type=type(error).__name__, message=str(error) or repr(error), stage=stage, traceback=text[-8000:]
    )


def source_digest(dataset: Dataset, plate_id: str) -> FileDigest:
    """The plate's source as a manifest names it: registered digest, present size."""
    path = dataset.source_path(plate_id)
    return FileDigest(
        path=path.relative_to(dataset.plate_dir(plate_id)).as_posix(),
        sha256=dataset.source_sha256(plate_id),
        size_bytes=path.stat().st_size if path.exists() else 0,
    )


def _prepare(work: Work, dataset: Dataset, plate_id: str) -> Prepared:
    started = time.perf_counter()
    source = None
    try:
        source = source_digest(dataset, plate_id)
        payload = work.prepare(plate_id)
    except Exception as error:  # noqa: BLE001 - whatever a bad scan raises, it costs this plate alone
        return Prepared(plate_id, time.perf_counter() - started, source, error=structured(error, "decode"))
    return Prepared(plate_id, time.perf_counter() - started, source, payload=payload)


def _batches(prepared: Iterator[Prepared], size: int) -> Iterator[list[Prepared]]:
    batch: list[Prepared] = []
    for plate in prepared:
        batch.append(plate)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _measure(work: Work, batch: list[Prepared]) -> list[Measurement | StructuredError]:
    """Measures a batch; if it fails as a whole, each plate alone, so that a bad one fails alone."""
    try:
        results = list(work.measure([plate.payload for plate in batch]))
        if len(results) != len(batch):
            raise ValueError(f"the model gave {len(results)} results for {len(batch)} plates")
    except Exception as error:  # noqa: BLE001 - recorded per plate, below
        if len(batch) == 1:
            return [structured(error, "compute")]
        return [result for plate in batch for result in _measure(work, [plate])]
    return [*results]


def _seal(run: Run, plate: Prepared, result: Measurement | StructuredError) -> PlateOutcome:
    """Seals a result or a failure. A full disk is not the plate's fault and ends the run; rows that do not fit are."""
    if plate.source is None:
        return PlateOutcome(plate.plate_id, "failed", None, plate.error)
    if isinstance(result, Measurement):
        try:
            return PlateOutcome(plate.plate_id, "complete", run.seal(plate.plate_id, plate.source, result))
        except (ValueError, pl.exceptions.PolarsError) as error:
            result = structured(error, "seal")
    return PlateOutcome(plate.plate_id, "failed", run.seal_failure(plate.plate_id, plate.source, result), result)


def _compute(run: Run, work: Work, plate_ids: list[str], batch_size: int, timings: Timings) -> Iterator[PlateOutcome]:
    """Outcomes of plates that are not done, in order within each batch."""
    prepared = ahead(lambda plate_id: _prepare(work, run.dataset, plate_id), plate_ids, batch_size + THREADS)
    for batch in _batches(prepared, batch_size):
        timings.decode += sum(plate.decode_seconds for plate in batch)
        readable = [plate for plate in batch if plate.error is None]
        started = time.perf_counter()
        results = dict(
            zip((plate.plate_id for plate in readable), _measure(work, readable) if readable else [], strict=True)
        )
        timings.compute += time.perf_counter() - started
        for plate in batch:
            started = time.perf_counter()
            outcome = _seal(run, plate, plate.error or results[plate.plate_id])
            timings.seal += time.perf_counter() - started
            yield outcome


def _report(run: Run, timings: Timings, plate_ids: list[str], outcomes: list[PlateOutcome]) -> RunReport:
    failed = [
        FailedPlate(plate_id=outcome.plate_id, error=outcome.error) for outcome in outcomes if outcome.error is not None
    ]
    return RunReport(
        run_id=run.run_id,
        config_sha256=run.config_sha256,
        status="failed" if failed else "complete",
        selected=plate_ids,
        done=[outcome.plate_id for outcome in outcomes if outcome.status == "complete"],
        skipped=[outcome.plate_id for outcome in outcomes if outcome.status == "reused"],
        failed=failed,
        finished_at=datetime.now(UTC),
        load_seconds=timings.load,
        decode_seconds=timings.decode,
        compute_seconds=timings.compute,
        seal_seconds=timings.seal,
        wall_seconds=time.perf_counter() - timings.started,
    )


def _look_up(dataset: Dataset, identity: InstrumentIdentity, plate_id: str, is_forced: bool) -> PlateOutcome | None:
    """The outcome of a plate that is done, or whose own files are unreadable; None for one that is to be measured."""
    try:
        sweep_dead(dataset, plate_id)
        manifest = None if is_forced else find_done(dataset, plate_id, identity)
    except (OSError, ValueError, LookupError) as error:
        return PlateOutcome(plate_id, "failed", None, structured(error, "decode"))
    return None if manifest is None else PlateOutcome(plate_id, "reused", manifest)


def execute_run(
    dataset: Dataset,
    spec: Spec,
    identity: InstrumentIdentity,
    plate_ids: list[str],
    work: Work,
    *,
    is_forced: bool = False,
    dagster_run_id: str | None = None,
    on_run: Callable[[Run], None] = lambda run: None,
) -> Iterator[PlateOutcome]:
    """Measures every plate that is not done; yields each plate's outcome as soon as it is sealed, done plates first.

    Asked only for done plates it opens no run and loads no model.

    Args:
        dataset: where the plates lie.
        spec: the instrument.
        identity: its identity, fingerprint included.
        plate_ids: the plates asked for.
        work: the instrument's work.
        is_forced: measure done plates again.
        dagster_run_id: recorded in every manifest.
        on_run: told of the run once it is open.

    Raises:
        Whatever `work.load` raises, before any plate is touched. OSError if the disk fails.
    """
    timings = Timings()
    outcomes = []
    missing = []
    for plate_id in plate_ids:
        outcome = _look_up(dataset, identity, plate_id, is_forced)
        if outcome is None:
            missing.append(plate_id)
            continue
        outcomes.append(outcome)
        yield outcome
    if not missing:
        return
    started = time.perf_counter()
    work.load()
    timings.load = time.perf_counter() - started
    with open_run(dataset, spec, identity, dagster_run_id) as run:
        run.write_config(spec, plate_ids, is_forced)
        on_run(run)
        for outcome in _compute(run, work, missing, spec.batch_size, timings):
            outcomes.append(outcome)
            yield outcome
        run.write_report(_report(run, timings, plate_ids, outcomes))

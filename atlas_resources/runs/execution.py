"""A run: one instrument over many plates. Skips what is done, loads the model once, seals each plate, reports."""

import logging
import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.plates.contracts import PLATE_ID_PATTERN, FileDigest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.plate import Plate, PlateIdRefused
from atlas_resources.plates.run_contracts import FailedPlate, RunManifest, RunReport, ServerRecord, StructuredError
from atlas_resources.runs.claims import sweep_dead
from atlas_resources.runs.measuring import Measurer, Work, structured
from atlas_resources.runs.passes.job import PlateOutcome, Timings
from atlas_resources.runs.passes.together import measure_alone
from atlas_resources.runs.sealed import find_done, find_failures, withdrawn_of
from atlas_resources.runs.sealing import Measurement, Run, open_run
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import UpstreamMissing, require_read
from atlas_resources.sharing.worker import shared
from atlas_resources.withdrawals import log as withdrawals
from atlas_resources.withdrawals.in_force import PlateWithdrawn, Withdrawn, read_withdrawn, require_not_withdrawn

LOG = logging.getLogger(__name__)

Outcome = PlateOutcome[RunManifest]


@dataclass(frozen=True)
class _Input:
    """The files read of a plate, its source first, and the model's input made from them."""

    files: tuple[FileDigest, ...]
    payload: Any


class _SealedRun:
    """The job of one run: an instrument measures each plate and seals the result in the plate's folder."""

    def __init__(
        self,
        run: Run,
        instrument: Instrument,
        work: Work,
        measurer: Measurer,
        report: Callable[[Sequence[Outcome]], None],
    ):
        self.key = instrument.key
        self._run = run
        self._instrument = instrument
        self._work = work
        self._measurer = measurer
        self._report = report
        self._store = shared(run.dataset)

    def find_done(self, plate: Plate) -> RunManifest | None:
        if self._store:
            self._store.fetch_done(plate, self._instrument.identity)
        return find_done(plate, self._instrument.identity)

    def prepare(self, plate: Plate, stopwatch: Stopwatch) -> _Input:
        require_not_withdrawn(plate, withdrawn_of(plate))  # it may have been withdrawn since the run began
        with stopwatch.stage("decode"):
            if self._store:
                self._store.fetch_source(plate)
            source, sealed = plate.source_digest(), require_read(plate, self._instrument)
        files = (source, *(sealed.files if sealed else ()))
        return _Input(files, self._work.prepare(plate, sealed, stopwatch))

    def measure(self, prepared: list[_Input]) -> list[Measurement | StructuredError]:
        return self._measurer.measure([one.payload for one in prepared])

    def seal(self, plate: Plate, prepared: _Input, result: Measurement, stopwatch: Stopwatch) -> RunManifest:
        return self._run.seal(plate, prepared.files, result, stopwatch)

    def seal_failure(self, plate: Plate, error: StructuredError) -> RunManifest | None:
        """Seals the failure, unless the plate's own files are unreadable, or it is withdrawn or waits for a result."""
        if error.type in (UpstreamMissing.__name__, PlateWithdrawn.__name__):
            return None
        source = None
        with suppress(OSError, ValueError, LookupError):
            source = plate.source_digest()
        return self._run.seal_failure(plate, source, error) if source else None

    def conclude(self, outcomes: Sequence[Outcome]) -> None:
        self._report(outcomes)


class InstrumentRun:
    """A member of a pass: one run of one instrument, from looking up what is done to its report."""

    def __init__(
        self,
        dataset: Dataset,
        instrument: Instrument,
        work: Work,
        *,
        is_forced: bool = False,
        dagster_run_id: str | None = None,
        log: logging.Logger = LOG,
    ):
        """The run is opened when a plate has to be measured.

        Args:
            dataset: where the plates are.
            instrument: what measures them.
            work: what the instrument does with plates.
            is_forced: whether to measure done plates again, but not those that this Dagster run has done.
            dagster_run_id: recorded in every manifest. What it has done or tried is not measured again.
            log: receives the run's folder, reduced batch sizes, and the time spent in each stage.
        """
        self.key = instrument.key
        self.version = instrument.identity.fingerprint
        self.plates_at_once = instrument.spec.plates_at_once
        self.timings = Timings()
        self._dataset = dataset
        self._instrument = instrument
        self._work = work
        self.is_forced = is_forced
        self._dagster_run_id = dagster_run_id
        self._log = log

    def settled(self, plate_ids: Sequence[str]) -> Iterator[Outcome]:
        """The outcomes of plates that are withdrawn, done, tried by this Dagster run, or whose files are unreadable.

        Raises:
            InstrumentWithdrawn: the instrument, or one that it reads, is withdrawn.
            DatasetBroken: the log of withdrawals is not whole.
        """
        if store := shared(self._dataset):
            withdrawals.LOG.fetch(self._dataset, store.store)
            store.begin(plate_ids, [self._instrument.identity, *(one.identity for one in self._instrument.reads)])
        withdrawn = read_withdrawn(self._dataset.root)
        withdrawn.require_instrument(self._instrument)
        left_out = withdrawn_outcomes(self._dataset, plate_ids, withdrawn)
        yield from left_out.values()
        kept = [plate_id for plate_id in plate_ids if plate_id not in left_out]
        for plate_id in kept:
            outcome = self._look_up(plate_id)
            if outcome is not None:
                yield outcome

    def _look_up(self, plate_id: str) -> Outcome | None:
        """The outcome of a plate that need not be measured; None for a plate to be measured."""
        identity = self._instrument.identity
        try:
            plate = self._dataset.plate(plate_id)
            sweep_dead(self._dataset, plate)
            done = find_done(plate, identity)
            if done is not None and (not self.is_forced or self._is_of_this_run(done)):
                return PlateOutcome(plate_id, "reused", done)
            failed = next(iter(find_failures(plate, identity)), None) if self._dagster_run_id else None
        except (OSError, ValueError, LookupError) as error:
            return PlateOutcome(plate_id, "failed", None, structured(error, "decode"))
        if failed is not None and self._is_of_this_run(failed):
            return PlateOutcome(plate_id, "failed", failed, failed.error)
        return None

    def _is_of_this_run(self, manifest: RunManifest) -> bool:
        return self._dagster_run_id is not None and manifest.dagster_run_id == self._dagster_run_id

    @contextmanager
    def opened(self, plate_ids: Sequence[str]) -> Iterator[_SealedRun]:
        """Loads the model and opens the run. Raises whatever `work.load` raises, before any plate is measured."""
        started = time.perf_counter()
        self._work.load()
        self.timings.load_seconds = time.perf_counter() - started
        named = [plate_id for plate_id in plate_ids if re.fullmatch(PLATE_ID_PATTERN, plate_id)]  # as schemas require
        with open_run(self._dataset, self._instrument, self._dagster_run_id, server_of(self._work)) as run:
            if places := getattr(self._work, "device_map", None):  # only a work that asks a model has one
                run.environment = run.environment.model_copy(update={"device_map": places})
            run.write_config(named, self.is_forced)
            self._log.info(f"{run.run_id}: {self.key}: {run.folder}")
            measurer = Measurer(self._work, self.plates_at_once, self._notice)

            def report(outcomes: Sequence[Outcome]) -> None:
                content = _report(run, self.timings, named, outcomes)
                run.write_report(content)
                self._log.info(f"{run.run_id}: {self.key}: {_summary(content)}")

            yield _SealedRun(run, self._instrument, self._work, measurer, report)

    def _notice(self, text: str) -> None:
        self._log.warning(f"{self.key}: {text}")


def execute_run(
    dataset: Dataset,
    instrument: Instrument,
    plate_ids: Sequence[str],
    work: Work,
    *,
    is_forced: bool = False,
    dagster_run_id: str | None = None,
    log: logging.Logger = LOG,
) -> Iterator[Outcome]:
    """Measures every plate that is not done; yields each plate's outcome as soon as it is sealed, done plates first.

    A pass of one member. If all plates are done it opens no run and loads no model. A withdrawn plate is not measured.

    Args:
        dataset: where the plates are.
        instrument: what measures them.
        plate_ids: the plates.
        work: what the instrument does with plates.
        is_forced: whether to measure done plates again.
        dagster_run_id: recorded in every manifest.
        log: receives the run's folder, reduced batch sizes, and the time spent in each stage.

    Raises:
        InstrumentWithdrawn: the instrument, or one that it reads, is withdrawn.
        DatasetBroken: the log of withdrawals is not whole.
        Whatever `work.load` raises, before any plate is measured.
        OSError or ModelLost: the disk, or the GPU or the server, fails.
    """
    run = InstrumentRun(dataset, instrument, work, is_forced=is_forced, dagster_run_id=dagster_run_id, log=log)
    yield from measure_alone(dataset, run, plate_ids)


def server_of(work: Work) -> ServerRecord | None:
    """The server that answers for the loaded model of a work; only one that asks a model may have it."""
    return getattr(work, "server", None)


def withdrawn_outcomes(
    dataset: Dataset, plate_ids: Sequence[str], withdrawn: Withdrawn
) -> dict[str, PlateOutcome[Any]]:
    """The outcomes of the plates that are withdrawn and not measured, by id."""
    outcomes = {}
    for plate_id in plate_ids if withdrawn.entries else ():
        try:
            require_not_withdrawn(dataset.plate(plate_id), withdrawn)
        except PlateWithdrawn as error:
            outcomes[plate_id] = PlateOutcome(plate_id, "withdrawn", None, structured(error, "decode"))
        except PlateIdRefused:
            continue  # it fails by name when it is measured
    return outcomes


def _report(run: Run, timings: Timings, plate_ids: list[str], outcomes: Sequence[Outcome]) -> RunReport:
    withdrawn = {outcome.plate_id for outcome in outcomes if outcome.status == "withdrawn"}
    plate_ids = [plate_id for plate_id in plate_ids if plate_id not in withdrawn]
    known = set(plate_ids)  # the report's schema accepts valid plate ids only
    outcomes = [outcome for outcome in outcomes if outcome.plate_id in known]
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
        load_seconds=timings.load_seconds,
        decode_seconds=timings.stages.decode,
        preprocess_seconds=timings.stages.preprocess,
        compute_seconds=timings.stages.compute,
        seal_seconds=timings.stages.seal,
        wall_seconds=time.perf_counter() - timings.started_seconds,
    )


def _summary(report: RunReport) -> str:
    counts = f"{len(report.done)} done, {len(report.skipped)} reused, {len(report.failed)} failed"
    stages = f"loading {report.load_seconds:.1f} s, computing {report.compute_seconds:.1f} s"
    ahead = f"decoding {report.decode_seconds:.1f} s, preprocessing {report.preprocess_seconds or 0.0:.1f} s"
    sealing = f"sealing {report.seal_seconds:.1f} s; ahead, summed over threads: {ahead}"
    return f"{counts} in {report.wall_seconds:.1f} s: {stages}, {sealing}"

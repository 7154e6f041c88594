"""A run over many plates: skip what is done, decode ahead of the model, measure in batches, seal plate by plate."""

import logging
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import polars as pl

from atlas_resources.files.read_ahead import THREADS, ahead
from atlas_resources.instruments.instrument_identity import InstrumentIdentity
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.plates.contracts import (
    PLATE_ID_PATTERN,
    FailedPlate,
    FileDigest,
    RunManifest,
    RunReport,
    StructuredError,
)
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.claims import Claim, claim_plate, sweep_dead
from atlas_resources.runs.measuring import Measurer, Work, structured
from atlas_resources.runs.sealed import find_done
from atlas_resources.runs.sealing import Measurement, Run, open_run
from atlas_resources.runs.upstream import UpstreamMissing, require_sealed

LOG = logging.getLogger(__name__)


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
    """A plate on its way to the model.

    Attributes:
        plate_id: the plate.
        seconds: spent decoding.
        claim: the right to measure it; None if another run has it just now.
        inputs: its source, then what else was read; none if the source could not be, or the upstream result is missing.
        payload: the model's input.
        error: what stopped it.
        done: the run that another process did it by meanwhile.
    """

    plate_id: str
    seconds: float
    claim: Claim | None = None
    inputs: tuple[FileDigest, ...] = ()
    payload: Any = None
    error: StructuredError | None = None
    done: RunManifest | None = None


def source_digest(dataset: Dataset, plate_id: str) -> FileDigest:
    """The plate's source as a manifest names it: registered digest, present size."""
    path = dataset.plate(plate_id).source_path()
    return FileDigest(
        path=path.relative_to(dataset.plate(plate_id).folder).as_posix(),
        sha256=dataset.plate(plate_id).source_sha256(),
        size_bytes=path.stat().st_size if path.exists() else 0,
    )


def _batches(prepared: Iterator[Prepared], size: int) -> Iterator[list[Prepared]]:
    batch: list[Prepared] = []
    for plate in prepared:
        batch.append(plate)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


class Batches:
    """One run's way through its plates."""

    def __init__(
        self,
        run: Run,
        work: Work,
        measurer: Measurer,
        timings: Timings,
        *,
        upstream: InstrumentIdentity | None,
        is_forced: bool,
    ):
        self.run = run
        self.work = work
        self.upstream = upstream
        self.measurer = measurer
        self.timings = timings
        self.is_forced = is_forced
        self._claims: list[Claim] = []

    def outcomes(self, plate_ids: list[str], batch_size: int) -> Iterator[PlateOutcome]:
        """Outcome of each plate as it is sealed.

        Plates that another run has just now come last, one by one: whoever waits for a plate holds no other.
        """
        busy = []
        try:
            for batch in _batches(ahead(self._prepare, plate_ids, batch_size + THREADS), batch_size):
                busy += [plate.plate_id for plate in batch if plate.claim is None]
                yield from self._finish([plate for plate in batch if plate.claim is not None])
            for plate_id in busy:
                yield from self._finish([self._prepare(plate_id, is_patient=True)])
        finally:
            for claim in self._claims:
                claim.release()

    def _prepare(self, plate_id: str, is_patient: bool = False) -> Prepared:
        dataset, identity = self.run.dataset, self.run.identity
        claim = claim_plate(dataset, plate_id, identity.key, is_patient=is_patient)
        if claim is None:
            return Prepared(plate_id, 0.0)
        self._claims.append(claim)
        started = time.perf_counter()
        inputs: tuple[FileDigest, ...] = ()
        payload = error = done = None
        try:
            inputs = (source_digest(dataset, plate_id),)
            done = None if self.is_forced else find_done(dataset, plate_id, identity)
            if done is None:
                sealed = require_sealed(dataset, plate_id, self.upstream) if self.upstream else None
                payload = self.work.prepare(plate_id, sealed)
                inputs += (sealed.file,) if sealed else ()
        except UpstreamMissing as caught:
            inputs, error = (), structured(caught, "decode")
        except Exception as caught:  # noqa: BLE001 - whatever a bad scan raises, it costs this plate alone
            error = structured(caught, "decode")
        return Prepared(plate_id, time.perf_counter() - started, claim, inputs, payload, error, done)

    def _finish(self, batch: list[Prepared]) -> Iterator[PlateOutcome]:
        self.timings.decode += sum(plate.seconds for plate in batch)
        ready = [plate for plate in batch if plate.error is None and plate.done is None]
        started = time.perf_counter()
        measured = self.measurer.measure([plate.payload for plate in ready])
        results = dict(zip((plate.plate_id for plate in ready), measured, strict=True))
        self.timings.compute += time.perf_counter() - started
        for plate in batch:
            started = time.perf_counter()
            outcome = self._seal(plate, plate.error or results.get(plate.plate_id))
            if plate.claim is not None:
                plate.claim.release()
            self.timings.seal += time.perf_counter() - started
            yield outcome

    def _seal(self, plate: Prepared, result: Measurement | StructuredError | None) -> PlateOutcome:
        """Seals a result or a failure. Rows that do not fit are the plate's fault; a full disk ends the run."""
        if plate.done is not None:
            return PlateOutcome(plate.plate_id, "reused", plate.done)
        if not plate.inputs or result is None:
            return PlateOutcome(plate.plate_id, "failed", None, plate.error)
        if isinstance(result, Measurement):
            try:
                return PlateOutcome(plate.plate_id, "complete", self.run.seal(plate.plate_id, plate.inputs, result))
            except (ValueError, pl.exceptions.PolarsError) as error:
                result = structured(error, "seal")
        return PlateOutcome(
            plate.plate_id, "failed", self.run.seal_failure(plate.plate_id, plate.inputs[0], result), result
        )


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


def _summary(report: RunReport) -> str:
    counts = f"{len(report.done)} done, {len(report.skipped)} reused, {len(report.failed)} failed"
    stages = f"loading {report.load_seconds:.1f} s, computing {report.compute_seconds:.1f} s"
    ahead_of = f"decoding ahead, summed over threads, {report.decode_seconds:.1f} s"
    return f"{counts} in {report.wall_seconds:.1f} s: {stages}, sealing {report.seal_seconds:.1f} s; {ahead_of}"


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
    upstream: InstrumentIdentity | None = None,
    is_forced: bool = False,
    dagster_run_id: str | None = None,
    log: logging.Logger = LOG,
) -> Iterator[PlateOutcome]:
    """Measures every plate that is not done; yields each plate's outcome as soon as it is sealed, done plates first.

    Asked only for done plates it opens no run and loads no model.

    Args:
        dataset: where the plates lie.
        spec: the instrument.
        identity: its identity, fingerprint included.
        plate_ids: the plates asked for.
        work: the instrument's work.
        upstream: the instrument whose sealed results it reads.
        is_forced: measure done plates again.
        dagster_run_id: recorded in every manifest.
        log: told where the run is kept, what it had to change on its way, and where the time went.

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
        named = [plate_id for plate_id in plate_ids if re.fullmatch(PLATE_ID_PATTERN, plate_id)]
        run.write_config(spec, named, is_forced)
        log.info(f"{run.run_id}: {run.folder}")
        measurer = Measurer(work, spec.plates_at_once, log.warning)
        batches = Batches(run, work, measurer, timings, upstream=upstream, is_forced=is_forced)
        for outcome in batches.outcomes(missing, spec.plates_at_once):
            outcomes.append(outcome)
            yield outcome
        report = _report(run, timings, named, [outcome for outcome in outcomes if outcome.plate_id in named])
        run.write_report(report)
        log.info(f"{run.run_id}: {_summary(report)}")


def failed_plates(outcomes: Sequence[PlateOutcome]) -> Iterator[tuple[str, str]]:
    """Name and one-line reason of each failed plate."""
    for outcome in outcomes:
        if outcome.error is not None:
            reason = outcome.error.message.splitlines()[0]
            yield outcome.plate_id, f"{outcome.error.type} ({outcome.error.stage}): {reason}"

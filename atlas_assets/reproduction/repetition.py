"""Measures the plates of a sealed run again, in batches as runs do, and compares each with what was sealed."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from atlas_assets.reproduction.repeatable import Repeatable, require_repeatable
from atlas_assets.reproduction.sealed_runs import NotRepeatable, SealedRun, read_spec_of
from atlas_assets.reproduction.surroundings import changes_since
from atlas_assets.reproduction.verdicts import Repeated, judge
from atlas_assets.roles.works import build_work
from atlas_resources.files.durable import write_json_atomically
from atlas_resources.files.read_ahead import THREADS, ahead
from atlas_resources.instruments.fast_modes import tolerance_of
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.prompts import AskedPrompt, PromptSets
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.devices import DeviceUnavailable
from atlas_resources.models.loading import load_model
from atlas_resources.models.memory import release_cached_memory
from atlas_resources.models.servers.records import ServerMissing
from atlas_resources.models.weights import WeightsMismatch, WeightsMissing
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.records.reproduction import ReproducedPlate, Reproduction
from atlas_resources.plates.run_contracts import Environment, StructuredError
from atlas_resources.runs.execution import server_of
from atlas_resources.runs.measuring import Measurer, Work, structured
from atlas_resources.runs.provenance import code_version, environment
from atlas_resources.runs.stages import Stopwatch

LOG = logging.getLogger(__name__)
FILE_NAME = "%Y%m%d-%H%M%S-%fZ.json"


class Models:
    """The loaded model of the last instrument: several runs of one instrument, one after another, load it once."""

    def __init__(self, load: Callable[[Spec, Sequence[AskedPrompt]], Any] = load_model):
        self._load = load
        self._fingerprint = ""
        self._model: Any = None

    def load(self, instrument: Instrument) -> Any:
        """The instrument's model. Raises what `load_model` raises."""
        if instrument.identity.fingerprint != self._fingerprint:
            self.release()
            self._model = self._load(instrument.spec, instrument.prompts)
            self._fingerprint = instrument.identity.fingerprint
        return self._model

    def release(self) -> None:
        """Frees the model, on a GPU too."""
        if self._model is not None:
            self._model, self._fingerprint = None, ""
            release_cached_memory()


@dataclass(frozen=True)
class _Prepared:
    """A plate ready to be measured, or why it is not."""

    case: Repeatable
    payload: Any = None
    error: StructuredError | None = None


class Repetition:
    """One repetition of a sealed run. Nothing is written until `write`.

    Args:
        dataset: where the plates are.
        run: the sealed run.
        prompts: every prompt set that can be read.
        models: loads the model, and holds it.
        log: receives reduced batch sizes.
    """

    def __init__(
        self, dataset: Dataset, run: SealedRun, prompts: PromptSets, models: Models, log: logging.Logger = LOG
    ):
        self.dataset = dataset
        self.run = run
        self._prompts = prompts
        self._models = models
        self._log = log
        self._started_seconds = time.perf_counter()
        self._spec: Spec | None = None
        self._environment: Environment | None = None
        self._plates: list[ReproducedPlate] = []

    def plates(self) -> Iterator[ReproducedPlate]:
        """Repeats and compares every plate of the run; yields each as soon as it is compared.

        Raises:
            ModelLost: the accelerator or the server cannot be used any more.
        """
        for plate in self._compared():
            self._plates.append(plate)
            yield plate

    def result(self) -> Reproduction:
        """What was found, of the plates compared so far."""
        code, sealed = code_version(), self.run.first
        return Reproduction(
            run_id=self.run.run_id,
            instrument=sealed.instrument,
            tolerance=tolerance_of(self._spec.numeric) if self._spec else None,
            reproduced_at=datetime.now(UTC),
            seconds=time.perf_counter() - self._started_seconds,
            environment=self._environment,
            code=code,
            changes=changes_since((sealed.environment, sealed.code), (self._environment, code)),
            plates=self._plates,
        )

    def write(self) -> tuple[Reproduction, str]:
        """Writes `reproductions/<run_id>/<UTC>.json`. Returns its content, and its path in the dataset."""
        result = self.result()
        path = self.dataset.reproductions_dir / result.run_id / f"{result.reproduced_at:{FILE_NAME}}"
        write_json_atomically(path, result)
        return result, path.relative_to(self.dataset.root).as_posix()

    def _compared(self) -> Iterator[ReproducedPlate]:
        try:
            self._spec = spec = read_spec_of(self.dataset, self.run.run_id)
        except NotRepeatable as error:
            yield from (_refused(plate_id, str(error)) for plate_id in self.run.plate_ids)
            return
        cases = []
        for plate_id in self.run.plate_ids:
            try:
                cases.append(require_repeatable(self.dataset.plate(plate_id), self.run.run_id, spec))
            except NotRepeatable as error:
                yield _refused(plate_id, str(error))
        if not cases:
            return
        try:
            work = self._loaded(spec)
        except NotRepeatable as error:
            yield from (_refused(case.plate.id, str(error)) for case in cases)
            return
        yield from self._measured(work, spec, cases)

    def _loaded(self, spec: Spec) -> Work:
        """The instrument's work, its model loaded. Raises NotRepeatable for what this machine does not have."""
        try:
            instrument = Instrument(
                spec, self.run.first.instrument, prompts=tuple(self._prompts.asked(spec.prompts or []))
            )
            work = build_work(instrument, lambda: self._models.load(instrument))
            work.load()
        except (WeightsMissing, WeightsMismatch) as error:
            # The run's weights: the present spec of the key may pin others.
            fix = f"atlas models pull --run {self.run.run_id}"
            raise NotRepeatable(str(error).replace(f"atlas models pull {spec.key}", fix)) from error
        except (DeviceUnavailable, ServerMissing, OSError, LookupError, ValueError) as error:
            raise NotRepeatable(f"the model cannot be loaded: {error}") from error
        self._environment = environment(spec, server_of(work))
        return work

    def _measured(self, work: Work, spec: Spec, cases: list[Repeatable]) -> Iterator[ReproducedPlate]:
        def prepare(case: Repeatable) -> _Prepared:
            try:
                return _Prepared(case, work.prepare(case.plate, case.upstream, Stopwatch()))
            except Exception as error:  # noqa: BLE001 - any error of one plate is that plate's alone
                return _Prepared(case, error=structured(error, "decode"))

        size = spec.plates_at_once
        measurer, batch = Measurer(work, size, self._log.warning), []
        for number, prepared in enumerate(ahead(prepare, cases, max(size + THREADS, 2 * THREADS)), start=1):
            batch.append(prepared)
            if len(batch) == size or number == len(cases):
                yield from self._judged(measurer, spec, batch)
                batch = []

    def _judged(self, measurer: Measurer, spec: Spec, batch: list[_Prepared]) -> Iterator[ReproducedPlate]:
        ready = [prepared for prepared in batch if prepared.error is None]
        results = iter(measurer.measure([prepared.payload for prepared in ready]))
        for prepared in batch:
            result = prepared.error or next(results)
            plate_id = prepared.case.plate.id
            if isinstance(result, StructuredError):
                message = result.message.splitlines()[0]
                yield _refused(plate_id, f"measuring it again failed: {result.type} ({result.stage}): {message}")
            else:
                yield judge(Repeated(prepared.case, result), tolerance_of(spec.numeric))


def _refused(plate_id: str, reason: str) -> ReproducedPlate:
    return ReproducedPlate(plate_id=plate_id, verdict="not_repeatable", reason=reason, has_same_bytes=False)

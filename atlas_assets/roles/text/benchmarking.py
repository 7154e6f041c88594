"""How fast an instrument that writes answers, with one plate at a time and with several: real calls, timed."""

import itertools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from atlas_assets.roles.works import build_work
from atlas_resources.files.durable import write_json_atomically
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.records.benchmark import Benchmark, ConcurrencyFigure
from atlas_resources.runs.measuring import Work
from atlas_resources.runs.provenance import code_version, environment
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import require_read
from atlas_resources.withdrawals.in_force import read_withdrawn

FILE_NAME = "%Y%m%d-%H%M%S-%fZ.json"
MOST_FAILED = 3
"""After as many failures at one concurrency nothing more is asked: a server that died answers nothing."""


class NotMeasurable(ValueError):
    """An instrument that does not write text, or a plate that it cannot be shown."""


@dataclass(frozen=True)
class _Loaded:
    """An instrument's work with its model, and the inputs of its plates, over and over in their order."""

    work: Work
    most_at_once: int
    load_seconds: float
    inputs: Sequence[Any]


def measure_benchmark(
    dataset: Dataset,
    instrument: Instrument,
    plate_ids: Sequence[str],
    concurrencies: Sequence[int],
    load: Callable[[], Any],
) -> Benchmark:
    """Measures plates with each number of them at once. Nothing is sealed, and what is written is thrown away.

    Plates are decoded before the clock starts, and an answer counts whatever it is worth. At each concurrency every
    plate is measured once, and as often as the threads need to have two each. The first call of all, which warms the
    model, is in no figure.

    Args:
        dataset: where the plates are.
        instrument: what measures them; of role text.
        plate_ids: the plates, at least one.
        concurrencies: how many plates at once, in order.
        load: returns the loaded model. Only one whose attribute `concurrency` is above 1 is called at once by several
            threads, and by no more than that.

    Raises:
        InstrumentWithdrawn: the instrument, or one that it reads, is withdrawn.
        NotMeasurable: the instrument writes no text, there is no plate, or a plate cannot be prepared.
        Whatever the loading of the model, or the first call, raises.
    """
    if instrument.spec.role != "text" or not plate_ids:
        problem = "expected an instrument of role 'text'" if plate_ids else "expected at least one plate"
        raise NotMeasurable(f"{instrument.key}: {problem}, found {instrument.spec.role!r} and {len(plate_ids)} plates")
    read_withdrawn(dataset.root).require_instrument(instrument)
    loaded = _load(dataset, instrument, plate_ids, load)
    started = time.perf_counter()
    loaded.work.measure([loaded.inputs[0]])
    cold_seconds = time.perf_counter() - started
    figures = [_figure(loaded, concurrency) for concurrency in concurrencies]
    return Benchmark(
        instrument=instrument.identity,
        measured_at=datetime.now(UTC),
        plate_ids=list(plate_ids),
        load_seconds=loaded.load_seconds,
        cold_seconds=cold_seconds,
        most_at_once=loaded.most_at_once,
        figures=figures,
        environment=environment(instrument.spec),
        code=code_version(),
    )


def write_benchmark(dataset: Dataset, benchmark: Benchmark) -> Path:
    """Writes `benchmarks/<instrument>/<UTC>.json`. Returns its path."""
    path = dataset.benchmarks_dir / benchmark.instrument.key / f"{benchmark.measured_at:{FILE_NAME}}"
    write_json_atomically(path, benchmark)
    return path


def _load(dataset: Dataset, instrument: Instrument, plate_ids: Sequence[str], load: Callable[[], Any]) -> _Loaded:
    models: list[Any] = []

    def keep() -> Any:
        models.append(load())
        return models[-1]

    work = build_work(instrument, keep)
    started = time.perf_counter()
    work.load()
    seconds = time.perf_counter() - started
    inputs = [_prepared(work, instrument, dataset.plate(plate_id)) for plate_id in plate_ids]
    return _Loaded(work, max(int(getattr(model, "concurrency", 1)) for model in models), seconds, inputs)


def _prepared(work: Work, instrument: Instrument, plate: Plate) -> Any:
    try:
        return work.prepare(plate, require_read(plate, instrument), Stopwatch())
    except (OSError, ValueError, LookupError) as error:
        raise NotMeasurable(f"{plate.id} cannot be shown to {instrument.key}: {error}") from error


def _figure(loaded: _Loaded, concurrency: int) -> ConcurrencyFigure:
    """One figure; without a number where the model is not to be asked about so many plates at once."""
    if concurrency > loaded.most_at_once:
        reason = f"the model is asked about {loaded.most_at_once} at once"
        return ConcurrencyFigure(
            concurrency=concurrency, images_per_second=None, image_count=0, failure_count=0, seconds=None, reason=reason
        )
    count = max(len(loaded.inputs), 2 * concurrency if concurrency > 1 else 1)
    inputs = list(itertools.islice(itertools.cycle(loaded.inputs), count))
    failures: list[str] = []
    started = time.perf_counter()
    with ThreadPoolExecutor(concurrency) as threads:
        measured = list(threads.map(lambda payload: _measure(loaded.work, payload, failures), inputs))
    seconds = time.perf_counter() - started
    done = sum(measured)
    return ConcurrencyFigure(
        concurrency=concurrency,
        images_per_second=done / seconds if done else None,
        image_count=done,
        failure_count=len(failures),
        seconds=seconds,
        reason=failures[0] if failures else None,
    )


def _measure(work: Work, payload: Any, failures: list[str]) -> bool:
    """Whether the plate was measured. The reason of a failure is added to `failures`."""
    if len(failures) >= MOST_FAILED:
        failures.append("not asked")
        return False
    try:
        work.measure([payload])
    except Exception as error:  # noqa: BLE001 - whatever it is, it is one call's failure and is counted
        failures.append(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else repr(error)}")
        return False
    return True

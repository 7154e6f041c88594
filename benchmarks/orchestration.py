"""The cost of orchestration: a backfill compared with the bare loop and with a run per plate; loading a large graph.

Run `python -m benchmarks.orchestration [PLATES]`. Plates are drawn into a temporary folder.
"""

import contextlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import yaml
from rich.console import Console

from atlas_assets.demo.plates import draw_demo_plates
from atlas_assets.in_process.materializing import materialize
from atlas_resources.files.project import PROJECT_ROOT, SPECS_FOLDER
from atlas_resources.files.read_ahead import THREADS
from atlas_resources.instruments.registry import Registry, read_registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from benchmarks.batch_run import KEY, bare_loop

SELECTION = f'key:"embeddings/{KEY}"'
SCALE = 0.5  # plates of 1000 to 1700 px
RUNS_PER_PLATE = 20
ROUNDS = 3
INSTRUMENTS = 60
EVENT_SECONDS = 0.025  # allowed for Dagster's events, per plate

LOAD = """
from pathlib import Path
from atlas_assets.definitions import build_definitions
from atlas_resources.instruments.registry import read_registry
import sys
definitions = build_definitions(read_registry(Path(sys.argv[1])), Path(sys.argv[2]))
assert len(definitions.get_repository_def().asset_graph.get_all_asset_keys()) > int(sys.argv[3])
"""


def draw_library(folder: Path, count: int) -> Dataset:
    """Registered plates with nothing measured yet."""
    dataset = Dataset(folder / "atlas")
    draw_demo_plates(folder / "scans", folder / "truth", count, scale=SCALE)
    list(register_scans(dataset, [folder / "scans"]))
    return dataset


def forget(dataset: Dataset) -> None:
    """Removes sealed runs, so that plates are measured, not reused."""
    for runs in dataset.plates_dir.glob("*/runs"):
        subprocess.run(["rm", "-r", runs], check=True)


@dataclass(frozen=True)
class Cost:
    """Wall time, and CPU time of all cores, including child processes."""

    wall_seconds: float
    cpu_seconds: float

    def per(self, count: int) -> str:
        """In all, and per plate."""
        wall_ms, cpu_ms = 1000 * self.wall_seconds / count, 1000 * self.cpu_seconds / count
        return f"{self.wall_seconds:7.1f} s for {count:3} plates  {wall_ms:6.0f} ms a plate, {cpu_ms:6.0f} ms of CPU"


def cost_of(way: Callable[[], object]) -> Cost:
    """The cost of one call."""
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    way()
    return Cost(time.perf_counter() - wall, sum(os.times()[:4]) - cpu)


def median(costs: Sequence[Cost]) -> Cost:
    """The medians of wall time and of CPU time, separately."""
    walls, cpus = [cost.wall_seconds for cost in costs], [cost.cpu_seconds for cost in costs]
    return Cost(statistics.median(walls), statistics.median(cpus))


def backfill(registry: Registry, dataset: Dataset) -> None:
    """The missing plates, as work lists, in this process; SQLite event storage, an event with pictures per plate."""
    forget(dataset)
    quiet = Console(file=io.StringIO())
    with fresh_instance() as instance, contextlib.redirect_stderr(io.StringIO()):
        layers = list(materialize(registry, dataset, instance, selection=SELECTION, which="missing", console=quiet))
    assert sum(layer.materialized_count for layer in layers) == len(dataset.plate_ids())


@contextlib.contextmanager
def fresh_instance() -> Iterator[dg.DagsterInstance]:
    """An empty instance on disk."""
    with dg.DagsterInstance.local_temp(overrides={"telemetry": {"enabled": False}}) as instance:
        yield instance


def command(dataset: Dataset, *options: str) -> None:
    """`atlas run` over the instrument, in a new process each time: startup, imports and model included."""
    with tempfile.TemporaryDirectory() as home:
        environment = {**os.environ, "ATLAS_HOME": str(dataset.root), "DAGSTER_HOME": home}
        atlas = [sys.executable, "-m", "atlas_assets.cli.app", "run", SELECTION, *options]
        subprocess.run(atlas, env=environment, cwd=PROJECT_ROOT, check=True, capture_output=True)


def a_command_per_plate(dataset: Dataset) -> None:
    """One run and one process for each of a few plates, as with one partition per run."""
    forget(dataset)
    for plate_id in dataset.plate_ids()[:RUNS_PER_PLATE]:
        command(dataset, "--plates", plate_id)


def load_costs(folder: Path, rounds: int = ROUNDS) -> list[Cost]:
    """Costs of a process that only loads the graph over 60 instruments."""
    specs = folder / "model_specs"
    specs.mkdir()
    spec = yaml.safe_load((SPECS_FOLDER / f"{KEY}.yaml").read_text(encoding="utf-8"))
    for number in range(INSTRUMENTS):
        key = f"{KEY}_{number:02d}"
        (specs / f"{key}.yaml").write_text(yaml.safe_dump({**spec, "key": key}), encoding="utf-8")
    load = [sys.executable, "-c", LOAD, str(specs), str(folder / "atlas"), str(INSTRUMENTS)]
    return [cost_of(lambda: subprocess.run(load, check=True, cwd=PROJECT_ROOT)) for _ in range(rounds)]


def main(count: int) -> None:
    """Prints each figure with its goal."""
    with tempfile.TemporaryDirectory() as folder:
        measure(draw_library(Path(folder), count), Path(folder), count)


def measure(dataset: Dataset, folder: Path, count: int) -> None:
    """Measures all methods, alternating, so that changes in the machine's load affect them equally."""
    registry = read_registry()
    bare_loop(registry, dataset, THREADS)  # imports, and the files into the page cache
    loops, backfills = [], []
    for _ in range(ROUNDS):
        loops.append(cost_of(lambda: bare_loop(registry, dataset, THREADS)))
        backfills.append(cost_of(lambda: backfill(registry, dataset)))
    alone = cost_of(lambda: a_command_per_plate(dataset))
    loading = median(load_costs(folder))
    loop, filled = median(loops), median(backfills)
    allowed = EVENT_SECONDS * count
    goal = Cost(1.15 * loop.wall_seconds + allowed, 1.15 * loop.cpu_seconds + allowed)
    print(f"{count} drawn plates of 1000 to 1700 px, {KEY}, medians of {ROUNDS}; load average {os.getloadavg()[0]:.1f}")
    print(f"(a) bare loop, decoding ahead         {loop.per(count)}")
    print(f"a backfill of the missing plates      {filled.per(count)}")
    print(f"its goal: 1.15 x (a) + 25 ms per plate{goal.per(count)}")
    print(f"(b) a command per plate               {alone.per(RUNS_PER_PLATE)}")
    times = (alone.wall_seconds / RUNS_PER_PLATE) / (filled.wall_seconds / count)
    print(f"the backfill is {times:.0f} x faster than (b); goal: 30 x")
    print(
        f"loading {INSTRUMENTS} instruments, process start and all: {loading.wall_seconds:.2f} s, goal 3 s; "
        f"{loading.cpu_seconds:.2f} s of CPU"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 435)

"""A library whose partitions are shards: `python -m benchmarks.shards [PLATES] [--measured PLATES]`, 20,000 by default.

Makes registered plates with groundwork, nothing decoded; tells Dagster of them and of what is on disk; builds the
ledgers and the catalogue; then measures ticks of the sensors, the status, a run over one shard, the web server's
answers, and a refresh of the ledgers after one more plate. Topology is left empty. Every step runs in a new process, as
commands, runs and ticks do; a tick is evaluated twice, since Dagster's code server stays. With --measured, only so many
plates have groundwork. With --folder the library is kept.
"""

import argparse
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg

from atlas_assets.automation.sensors import build_automation
from atlas_assets.automation.server import DagsterServer, ServerError
from atlas_assets.automation.settings import read_settings
from atlas_assets.definitions import build_definitions
from atlas_assets.graph.dagster_internals import range_tags
from atlas_assets.graph.groundwork import HISTOGRAMS_KEY, KEYS
from atlas_assets.graph.ledgers import LEDGER_KEYS
from atlas_assets.graph.partitions import add_missing_partitions, known_partitions, read_partitioning
from atlas_assets.graph.plates import report_registered
from atlas_assets.in_process.instance import open_instance
from atlas_assets.in_process.repairing import repair_events
from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.files.project import PROJECT_ROOT, PROJECT_VARIABLE, SETTINGS_FOLDER
from atlas_resources.instruments.registry import Registry, read_registry
from atlas_resources.ledgers.builders import BUILDERS
from atlas_resources.ledgers.completeness.states import MOST_ATTEMPTS
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index.memory import one_look
from atlas_resources.resources import DatasetResource
from atlas_resources.tables.ledgers import TOPOLOGY
from benchmarks import growth
from benchmarks.figures import Figure
from benchmarks.growth import without_topology
from benchmarks.registered_plates import RegisteredPlates

COUNT = 20_000
PLATES_PER_SHARD = 1_000
NOT_FLAT = "asks the disk about every plate"
ANSWER = """query($path: [String!]!) { assetNodeOrError(assetKey: {path: $path}) { ... on AssetNode {
    partitionKeysByDimension { name partitionKeys } partitionStats { numMaterialized numFailed numPartitions }
    assetPartitionStatuses { ... on DefaultPartitionStatuses {
        materializedPartitions failedPartitions unmaterializedPartitions materializingPartitions } } } } }"""
"""What the UI's page of an asset asks about its partitions."""
GRAPH = "{ assetNodes { id partitionStats { numMaterialized numFailed numMaterializing numPartitions } } }"
"""What the UI's graph asks of every asset."""


@dataclass(frozen=True)
class Cost:
    """What a step took.

    Attributes:
        seconds: wall time of each time that it was done in one process.
        cpu_seconds: of the processor, all times together.
        peak_bytes: the most memory that the process had.
        found: what the step returned.
    """

    seconds: tuple[float, ...]
    cpu_seconds: float
    peak_bytes: int
    found: Any = None


@dataclass(frozen=True)
class Library:
    """A dataset with its registry and Dagster's instance."""

    dataset: Dataset
    registry: Registry
    instance: dg.DagsterInstance

    def evaluate(self, name: str) -> str:
        """A tick of a sensor: the number of runs that it requests, or why it requests none."""
        sensors, _ = build_automation(self.registry, read_settings(), LEDGER_KEYS)
        (sensor,) = [one for one in sensors if one.name == name]
        resources = {"dataset": DatasetResource(root=str(self.dataset.root))}
        context = dg.build_sensor_context(instance=self.instance, resources=resources)
        with context, without_topology(self.dataset):
            result = sensor(context)
        return str(result.skip_message) if isinstance(result, dg.SkipReason) else f"{_requested(result)} runs"

    def build_ledgers(self) -> dict[str, float]:
        """Builds every ledger but those of topology, then the catalogue. Seconds of CPU of each."""
        of_topology = {table.name for table in TOPOLOGY}
        steps: dict[str, Callable[[], object]] = {
            name: lambda build=build: build(self.dataset, self.registry, MOST_ATTEMPTS)
            for name, build in BUILDERS.items()
            if name not in of_topology
        }
        steps["catalogue"] = lambda: build_catalogue(self.dataset, self.registry)
        seconds = {}
        # One look, as the steps of a run that makes ledgers alone have.
        with without_topology(self.dataset), one_look(self.dataset.root):
            for name, step in steps.items():
                started = time.process_time()
                step()
                seconds[name] = time.process_time() - started
        return seconds

    def run_shard(self, key: str) -> str:
        """A run over a shard whose plates are done: each is reused and checked."""
        job = build_definitions(self.registry, self.dataset.root).resolve_implicit_global_asset_job_def()
        done = job.execute_in_process(
            instance=self.instance, asset_selection=list(KEYS), tags=range_tags(key, key), raise_on_error=False
        )
        return "success" if done.success else "failure"


def _requested(result: Any) -> int:
    return len(result.run_requests or [])


LEDGERS = "ledgers"
STEPS: Mapping[str, Callable[[Library], object]] = {
    "partitions": lambda library: len(add_missing_partitions(library.instance, library.dataset)),
    "manifests": lambda library: len(report_registered(library.instance, library.dataset)),
    "events": lambda library: len(list(repair_events(library.instance, library.dataset, library.registry))),
    LEDGERS: lambda library: library.build_ledgers(),
    "register_new_scans": lambda library: library.evaluate("register_new_scans"),
    "fill_missing": lambda library: library.evaluate("fill_missing"),
    "refresh_ledgers": lambda library: library.evaluate("refresh_ledgers"),
    "a run over a shard": lambda library: library.run_shard("shard-000001"),
}
"""What is measured in a process of its own, in order. A tick takes the states of unchanged plates from the ledgers."""
TWICE = ("register_new_scans", "fill_missing", "refresh_ledgers")


def measure(name: str, dataset: Dataset) -> Cost:
    """What a step takes in this process."""
    with open_instance(dataset) as instance:
        everything = read_registry()
        registry = replace(everything, specs={}, problems=())  # groundwork alone: nothing else is measured here
        library, seconds, found, cpu = Library(dataset, registry, instance), [], None, time.process_time()
        for _ in range(2 if name in TWICE else 1):
            started = time.perf_counter()
            found = STEPS[name](library)
            seconds.append(time.perf_counter() - started)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return Cost(tuple(seconds), time.process_time() - cpu, peak, found)


def _apart(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.shards", *arguments]
    done = subprocess.run(command, cwd=PROJECT_ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure_apart(name: str, dataset: Dataset) -> Cost:
    """The same in a new process."""
    found = _apart("--measure", name, "--dataset", str(dataset.root))
    return Cost(**{**found, "seconds": tuple(found["seconds"])})


def command_cost(*arguments: str) -> Cost:
    """What an `atlas` command takes, with its process."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    atlas = [sys.executable, "-m", "atlas_assets.cli.app", *arguments]
    subprocess.run(atlas, cwd=PROJECT_ROOT, check=False, stdout=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost((time.perf_counter() - started,), cpu, after.ru_maxrss * 1024)


def make_project(folder: Path) -> None:
    """A project that declares shards and has no active instrument; the environment names it."""
    (folder / "model_specs").mkdir(parents=True, exist_ok=True)
    shutil.copy(SETTINGS_FOLDER / "automation.yaml", folder)
    (folder / "partitions.yaml").write_text(f"partitions: shards\nplates_per_shard: {PLATES_PER_SHARD}\n")
    (folder / "model_specs" / "roster.yaml").write_text("active: []\n")
    os.environ[PROJECT_VARIABLE] = str(folder)


def make_library(folder: Path, count: int, measured: int | None) -> None:
    """A library of as many made plates; one that is in the folder already grows on."""
    library = RegisteredPlates(folder, read_registry())
    library.add(max(0, count - library.count), measured)


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


@contextmanager
def web_server(dataset: Dataset) -> Iterator[DagsterServer]:
    """Dagster's web server over the dataset, once it has loaded the code location."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    command = [sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", port]
    where = ["-w", str(SETTINGS_FOLDER / "workspace.yaml")]
    environment = {**os.environ, "ATLAS_HOME": str(dataset.root), "PYTHONPATH": str(PROJECT_ROOT)}
    quiet = subprocess.DEVNULL
    with subprocess.Popen([*command, *where], env=environment, stdout=quiet, stderr=quiet) as process:
        server = DagsterServer(f"http://127.0.0.1:{port}")
        try:
            _wait(server)
            yield server
        finally:
            process.terminate()


def _wait(server: DagsterServer, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if server.ask("{ assetNodes { id } }")["assetNodes"]:
                return
        except ServerError:
            time.sleep(1)
    raise TimeoutError(f"{server.url}: no code location after {seconds} s")


def answers(dataset: Dataset) -> dict[str, list[float]]:
    """Seconds of each answer of the web server: the first, and two more."""
    path = list(HISTOGRAMS_KEY.path)
    seconds: dict[str, list[float]] = {"an asset's partitions": [], "every asset's numbers of partitions": []}
    with web_server(dataset) as server:
        for _ in range(3):
            for name, ask in zip(seconds, ((ANSWER, {"path": path}), (GRAPH, {})), strict=True):
                started = time.perf_counter()
                server.ask(ask[0], **ask[1])
                seconds[name].append(time.perf_counter() - started)
    return seconds


@dataclass(frozen=True)
class Found:
    """What was measured over a library.

    Attributes:
        count: its plates.
        costs: of each step.
        status: of `atlas status`.
        store_bytes: Dagster's databases once all is reported.
        shards: the number of partitions.
        answers: of the web server.
        refresh: of the ledgers, after one more plate.
    """

    count: int
    costs: Mapping[str, Cost]
    status: Cost
    store_bytes: int
    shards: int
    answers: Mapping[str, Sequence[float]]
    refresh: Cost


def measure_all(
    folder: Path, count: int, measured: int | None = None, tell: Callable[[str], None] = lambda line: None
) -> Found:
    """Measures everything over a library in a folder."""
    make_project(folder / "project")
    dataset, home = Dataset(folder / "atlas"), folder / "dagster"
    if not dataset.plates_dir.is_dir() or len(os.listdir(dataset.plates_dir)) <= count:
        make_library(folder, count, measured)
    shutil.rmtree(home, ignore_errors=True)
    shutil.rmtree(dataset.root / "shards", ignore_errors=True)
    os.environ["ATLAS_HOME"], os.environ["DAGSTER_HOME"] = str(dataset.root), str(home)
    costs = {}
    for name in STEPS:
        costs[name] = measure_apart(name, dataset)
        tell(f"{name}: {_told(costs[name])}")
    store = _size(home)
    status = command_cost("status")
    tell(f"status: {_told(status)}; events {store / 1e6:.1f} MB")
    with open_instance(dataset) as instance:
        shards = len(known_partitions(instance, read_partitioning().of(dataset)))
    answered = answers(dataset)
    tell(f"web server: {answered}")
    make_library(folder, count + 1, measured)
    refresh = measure_apart(LEDGERS, dataset)
    tell(f"refresh after one more plate: {_told(refresh)}")
    return Found(count, costs, status, store, shards, answered, refresh)


def _told(cost: Cost) -> str:
    wall = " then ".join(f"{seconds:.2f}" for seconds in cost.seconds)
    return f"{wall} s, {cost.cpu_seconds:.2f} s of CPU, {cost.peak_bytes / 2**20:.0f} MiB at most: {cost.found}"


def figures(subject: str, count: int = COUNT) -> Iterator[Figure]:
    """What `python -m benchmarks` measures."""
    with tempfile.TemporaryDirectory() as folder:
        found = measure_all(Path(folder), count)
    yield from _figures(subject, found)


def _figures(subject: str, found: Found) -> Iterator[Figure]:
    of, costs = f"{found.count:,} plates in {found.shards} shards", found.costs
    told = costs["partitions"].seconds
    yield Figure(subject, f"telling Dagster of {of}", told, goal=10.0)
    for name in TWICE:
        first, again = costs[name].seconds
        why = f"the first of a process takes {first:.1f} s; {NOT_FLAT}"
        yield Figure(subject, f"a tick of `{name}`, {of}", (again,), goal=15.0, why=why)
    peak = max(cost.peak_bytes for cost in (*costs.values(), found.status)) / 2**20
    yield Figure(subject, f"memory of a process, at most, {of}", (peak,), "MiB", goal=2048)
    yield Figure(subject, f"Dagster's databases, {of}", (found.store_bytes / 2**20,), "MiB", goal=100)
    asset, graph = found.answers.values()
    yield Figure(subject, f"the web server's answer of an asset's partitions, {of}", tuple(asset), goal=1.0)
    yield Figure(subject, f"the web server's answer of every asset's numbers, {of}", tuple(graph), goal=2.0)
    yield Figure(subject, f"`atlas status`, {of}", found.status.seconds, goal=30.0, why=NOT_FLAT)
    first = costs[LEDGERS].cpu_seconds
    what, goal = f"ledgers of groundwork and catalogue, first build, {of}, CPU", 0.005 * found.count  # 5 ms a plate
    yield Figure(subject, what, (first,), goal=goal, why="every file is compared with its schema and its digest")
    run = costs["a run over a shard"].seconds
    yield Figure(subject, f"a run over a shard of {PLATES_PER_SHARD:,} plates that are done", run, goal=25.0)
    seconds = (found.refresh.cpu_seconds,)
    yield Figure(subject, f"ledgers of groundwork after one new plate, {of}, CPU", seconds, goal=60.0, why=growth.WHY)


def main() -> None:
    """Prints each figure as it is measured, then the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plates", nargs="?", type=int, default=COUNT)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--measured", type=int)
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--dataset", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(asdict(measure(asked.measure, Dataset(asked.dataset)))))
        return
    with tempfile.TemporaryDirectory() as folder:
        where = asked.folder or Path(folder)
        found = measure_all(where, asked.plates, asked.measured, lambda line: print(line, flush=True))
    print(json.dumps(asdict(found), indent=1))


if __name__ == "__main__":
    main()

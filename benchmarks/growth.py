"""What one new plate costs in a library that grows: `python -m benchmarks.growth [PLATES ...] [--folder FOLDER]`.

Makes libraries of as many plates (500 and 10,000), each with groundwork and sealed runs of three instruments, builds
every ledger and the catalogue, adds a plate and refreshes, each in a new process. Prints seconds of CPU. With --folder
the libraries are kept, and used again. Ledgers of topology stay empty: their cost is that of comparing spaces.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest.mock import patch

from atlas_assets.automation.standings import read_standings
from atlas_assets.automation.work_lists import work_lists
from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.instruments.registry import Registry, read_registry
from atlas_resources.ledgers import freshness
from atlas_resources.ledgers.builders import BUILDERS
from atlas_resources.ledgers.completeness.states import MOST_ATTEMPTS
from atlas_resources.ledgers.left_out import find_left_out
from atlas_resources.ledgers.parquet import write_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index.memory import one_look
from atlas_resources.tables.ledgers import TOPOLOGY
from benchmarks.figures import Figure
from benchmarks.made_plates import MadePlates

KEYS = ("efficientnet_lite0", "efficientnet_lite0_imagenet", "otsu_luma")
COUNTS = (500, 10_000)
ROUNDS = 3
LEAST_ROUNDS = 5
WHY = "every file of every plate is asked for by stat, and standings are an object for each missing result"
AT_ONCE = 500
"""Plates that one run measures."""
NOT_REFRESHING = ("why behind", "left out", "standings", "standings again")
"""What is asked of the library without building anything."""


def _steps(dataset: Dataset, registry: Registry) -> Iterator[tuple[str, Callable[[], object]]]:
    """What a refresh does, and what `atlas status` and a tick of the sensors ask."""
    of_topology = {table.name for table in TOPOLOGY}
    for name, build in BUILDERS.items():
        if name not in of_topology:
            yield name, lambda build=build: build(dataset, registry, MOST_ATTEMPTS)
    yield "catalogue", lambda: build_catalogue(dataset, registry)
    yield "why behind", lambda: freshness.why_behind(dataset, registry)
    yield "left out", lambda: find_left_out(dataset)
    for name in NOT_REFRESHING[2:]:
        yield name, lambda: work_lists(read_standings(dataset, registry.active_instruments), 1)


@contextmanager
def without_topology(dataset: Dataset) -> Iterator[None]:
    """Leaves the ledgers that compare spaces empty, as if there was nothing to compare."""
    for table in TOPOLOGY:
        write_ledger(dataset, table, table.frame([]))
    with ExitStack() as stack:
        for name in ("present_inputs", "expected_coordinates"):
            stack.enter_context(patch.object(freshness, name, lambda dataset, registry: {}))
        yield


def measure(dataset: Dataset) -> dict[str, float]:
    """Seconds of CPU of each step, in this process. Topology is not compared."""
    registry = read_registry()
    seconds = {}
    with without_topology(dataset), ExitStack() as looks:
        looks.enter_context(one_look(dataset.root))  # as the steps of a run that makes ledgers alone
        for name, step in _steps(dataset, registry):
            if name in NOT_REFRESHING:
                looks.close()
            started = time.process_time()
            found = step()
            seconds[name] = time.process_time() - started
            if name == "why behind" and found:
                raise RuntimeError(f"the ledgers were just built, and are behind: {found}")
    return seconds


def _measure_apart(dataset: Dataset) -> dict[str, float]:
    """The same in a new process, as a run or a command is."""
    command = [sys.executable, "-m", "benchmarks.growth", "--measure", str(dataset.root)]
    done = subprocess.run(command, cwd=PROJECT_ROOT, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout)


def grow(folder: Path, count: int, times: int = ROUNDS) -> tuple[dict[str, float], list[dict[str, float]]]:
    """Seconds of CPU of the first build, and of a refresh after each of some new plates."""
    library = MadePlates(folder / str(count), read_registry(), KEYS)
    for made in range(library.count, count, AT_ONCE):
        library.add(min(AT_ONCE, count - made))
    first, rounds = _measure_apart(library.dataset), []
    for _ in range(times):
        library.add(1)
        rounds.append(_measure_apart(library.dataset))
    return first, rounds


def medians(rounds: Sequence[dict[str, float]]) -> dict[str, float]:
    """Of each step."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def figures(subject: str) -> Iterator[Figure]:
    """What `python -m benchmarks` measures: a refresh, and a tick of the sensors, after one new plate."""
    with tempfile.TemporaryDirectory() as folder:
        few, many = (grow(Path(folder), count, LEAST_ROUNDS)[1] for count in COUNTS)
    groups = {
        "ledgers": [name for name in few[0] if name not in (*NOT_REFRESHING, "catalogue")],
        "the catalogue": ["catalogue"],
        "what a tick of the sensors asks": list(NOT_REFRESHING[:3]),
    }
    for what, names in groups.items():
        large, small = (tuple(sum(one[name] for name in names) for one in rounds) for rounds in (many, few))
        name, beside = f"{what} after one new plate, {COUNTS[1]:,} plates, s of CPU", f"the same at {COUNTS[0]}"
        yield Figure(subject, name, large, "s", beside, small, goal=2.0, why=WHY)


def _print(found: dict[int, tuple[dict[str, float], dict[str, float]]]) -> None:
    """A line for each step, and the sums."""
    counts = list(found)
    names = list(found[counts[0]][0])
    refresh = [name for name in names if name not in NOT_REFRESHING]
    titles = [f"{kind} {count:,}" for kind in ("first build of", "a new plate of") for count in counts]
    print(f"{'seconds of CPU':22}" + "".join(f"{title:>24}" for title in titles))
    for title, parts in [*((name, [name]) for name in names), ("a refresh", refresh)]:
        sums = [sum(found[count][kind][name] for name in parts) for kind in (0, 1) for count in counts]
        print(f"{title:22}" + "".join(f"{seconds:24.3f}" for seconds in sums))
    least, most = (sum(found[count][1][name] for name in refresh) for count in (counts[0], counts[-1]))
    print(f"a refresh after one new plate: {most / least:.1f} times as much at {counts[-1]:,} as at {counts[0]:,}")


def main() -> None:
    """Prints what each step costs by the number of plates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plates", nargs="*", type=int, default=COUNTS)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(measure(Dataset(asked.measure))))
        return
    with tempfile.TemporaryDirectory() as folder:
        grown = {count: grow(asked.folder or Path(folder), count) for count in asked.plates}
        _print({count: (first, medians(rounds)) for count, (first, rounds) in grown.items()})


if __name__ == "__main__":
    main()

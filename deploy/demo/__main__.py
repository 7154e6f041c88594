"""`make cluster-demo`: plates on Postgres and two Ray nodes, of which one is killed in the middle of a run."""

import argparse
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from atlas_assets.automation.work_lists import AUTOMATION_TAG
from deploy.demo.cluster import ACTIVE, Running, cluster_of, own_folder, why_not
from deploy.demo.outcome import PARENT_TAG, asset_outcomes, faults_of, is_settled, sealed_by
from deploy.demo.programs import ProgramEnded, adopt_orphans, end_all
from deploy.demo.ray_nodes import Node

SETTLE_SECONDS = 900.0  # a time limit, not a measure of speed
POLL_SECONDS = 0.5
LOG_COLUMNS = 140
SPOILT = 2
ADDED = "efficientnet_lite0_imagenet"


@dataclass
class Watch:
    """What is seen of a running cluster.

    Attributes:
        running: the programs.
        say: prints one line.
        nodes: the runs that were on each node, by its name.
        killed: the node that was killed with each run, by the run's id.
    """

    running: Running
    say: Callable[[str], None]
    nodes: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    killed: dict[str, str] = field(default_factory=dict)

    def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Looks where runs are until something is so.

        Raises:
            TimeoutError: it is not so in time. The message has the ends of the logs.
        """
        deadline = time.monotonic() + SETTLE_SECONDS
        while not is_so():
            if time.monotonic() > deadline:
                logs = "\n".join(f"{name}: {self.running.programs.end_of_log(name)}" for name in ("daemon", "head.1"))
                raise TimeoutError(f"{what}: not within {SETTLE_SECONDS:.0f} s.\n{logs}")
            self.look()
            time.sleep(POLL_SECONDS)
        self.look()

    def look(self) -> None:
        """Remembers which runs are on which node."""
        for node in self.running.ray.nodes:
            for run_id in set(node.runs()) - self.nodes[node.name]:
                self.nodes[node.name].add(run_id)
                self.say(f"run {run_id[:8]} is on {node.name}")

    def kill_in_the_middle(self, node: Node) -> None:
        """Kills a node as soon as a run on it has sealed a result."""

        def is_sealing() -> bool:
            sealed = sealed_by(self.running.project)
            return any(sealed[run_id] for run_id in node.runs())

        self.until(is_sealing, f"a run on {node.name} that seals results")
        under_way = node.runs()
        node.kill()
        sealed = sealed_by(self.running.project)
        self.killed |= dict.fromkeys(under_way, node.name)
        for run_id in under_way:
            self.say(f"{node.name} killed (-9), with run {run_id[:8]}, which had sealed {sealed[run_id]} results")


def play(plates: int, workers: int, console: Console, *, is_bad_night: bool) -> list[str]:
    """Plays the demonstration and prints its tables. Returns what was wrong, a line each."""
    started = time.monotonic()

    def say(line: str) -> None:
        console.print(f"{time.monotonic() - started:6.1f} s  {line}", highlight=False, soft_wrap=True)

    with own_folder() as folder:
        say(f"drawing {plates} plates; starting Postgres, two Ray nodes and Dagster's programs on 127.0.0.1")
        with cluster_of(folder, plates, workers=workers, spoilt=SPOILT if is_bad_night else 0) as running:
            say("everything runs; automation asks for what is missing")
            watch = Watch(running, say)
            watch.kill_in_the_middle(running.ray.nodes[-1])
            if is_bad_night:
                make_it_worse(running, say)
            watch.until(lambda: is_settled(running), "every plate done, ledgers up to date")
            say("every good plate is done, the ledgers are up to date, no run is in progress")
            faults = faults_of(running, watch.killed, watch.nodes)
            console.print(runs_table(running, watch.nodes), assets_table(running))
        say("every program has ended")
    return faults


def make_it_worse(running: Running, say: Callable[[str], None]) -> None:
    """Kills Dagster's daemon, starts it again, and adds a model."""
    running.dagster.kill_daemon()
    say(f"daemon killed (-9); plates whose source is cut in half: {', '.join(sorted(running.bad))}")
    running.project.activate(*ACTIVE, ADDED)
    running.dagster.start_code()
    say(f"{ADDED} added to the roster, code server started again")
    running.dagster.start_daemon()
    say("daemon started again")


def runs_table(running: Running, nodes: Mapping[str, set[str]]) -> Table:
    """A row for each Dagster run, oldest first."""
    table = Table("run", "asked for by", "plates", "node", "waited", "took", "sealed", "ended", title="Dagster runs")
    sealed = sealed_by(running.project)
    for record in reversed(running.instance.get_run_records()):
        run, began, ended = record.dagster_run, record.start_time, record.end_time
        asked = run.tags.get(AUTOMATION_TAG, "a person") + (", again" if PARENT_TAG in run.tags else "")
        on = [name for name, runs in nodes.items() if run.run_id in runs]
        waited = f"{began - record.create_timestamp.timestamp():.0f} s" if began else ""
        took = f"{ended - began:.0f} s" if began and ended else ""
        plates, results = run.tags.get("atlas/plates", ""), str(sealed[run.run_id])
        table.add_row(run.run_id[:8], asked, plates, ", ".join(on), waited, took, results, run.status.value)
    return table


def assets_table(running: Running) -> Table:
    """A row for each asset over plates."""
    table = Table("asset", "plates done", "failed", "missing", "done twice", "not in Dagster", title="Plates")
    for one in asset_outcomes(running):
        counts = (one.done, len(one.failed), len(one.missing), len(one.twice), len(one.unrecorded))
        table.add_row(one.name, *map(str, counts))
    return table


def main() -> int:
    """Returns the exit status: 0 if all was done once, 1 if not, 2 if a program is missing."""
    parser = argparse.ArgumentParser(prog="make cluster-demo", description=__doc__)
    parser.add_argument("--plates", type=int, default=8)
    parser.add_argument("--workers", type=int, default=2, help="runs over which the plates are spread")
    parser.add_argument(
        "--bad-night", action="store_true", help=f"also {SPOILT} bad plates, a killed daemon, and a model that is added"
    )
    parser.add_argument("--check", action="store_true", help="only say whether every program is installed")
    asked = parser.parse_args()
    console = Console(width=None if sys.stdout.isatty() else LOG_COLUMNS)
    if reason := why_not():
        console.print(reason, style="red", soft_wrap=True)
        return 2
    if asked.check:
        return 0
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    adopt_orphans()
    try:
        faults = play(asked.plates, asked.workers, console, is_bad_night=asked.bad_night)
    except (ProgramEnded, TimeoutError) as error:
        faults = [str(error)]
    finally:
        end_all()
    for fault in faults:
        console.print(fault, style="red", markup=False, soft_wrap=True)
    console.print("[red]something is wrong" if faults else "everything was done once; ledgers equal a rebuild")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())

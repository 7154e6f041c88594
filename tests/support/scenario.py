"""A bad night for a library of any size: bad plates, a killed run worker, a restarted daemon, and a model and a plate
that are added meanwhile. Only the sensors request runs.

`PYTHONPATH=tests python -m support.scenario --plates 1000 --bad 7 --log docs/scenario_1000_plates.md` runs it at
full size; a test runs it small.
"""

import argparse
import os
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import polars as pl

from atlas_assets.demo.plates import draw_demo_plates
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.tables.ledgers import LEDGERS, RUNS
from support.deployed import Deployment, add_spec, deployment
from support.plate_truth import ledgers_that_differ, sealed_statuses
from support.processes import descendants

FIRST = ("efficientnet_lite0", "otsu_luma")
ADDED = "efficientnet_lite0_imagenet"
ASSETS = {
    "efficientnet_lite0": "embeddings/efficientnet_lite0",
    "efficientnet_lite0_imagenet": "probes/efficientnet_lite0_imagenet",
    "otsu_luma": "segments/otsu_luma",
}
SENSORS = ("register_new_scans", "fill_missing", "refresh_ledgers")
KILL_AT, ADD_AT, RESTART_AT = 0.05, 0.2, 0.5  # as shares of all results of the first two instruments
SCALE = 0.1  # plates of 200 to 400 px


@dataclass
class Outcome:
    """The result of the scenario.

    Attributes:
        deployment: the running programs.
        good: plates that can be measured.
        bad: plates that cannot be measured, and what was done to each.
        timeline: seconds since the sensors were switched on, and what happened.
        killed: Dagster's id of the run whose worker was killed.
        came_after: number of runs requested when all was done.
        started: seconds since the epoch.
    """

    deployment: Deployment
    good: set[str]
    bad: dict[str, str]
    timeline: list[tuple[float, str]] = field(default_factory=list)
    killed: str = ""
    came_after: int = -1
    started: float = field(default_factory=time.time)

    def reasons(self) -> dict[str, str]:
        """The last failure of each plate that failed, as `ledger/runs` has it, cut short."""
        dataset = self.deployment.dataset
        failed = read_ledger(dataset, RUNS).filter(pl.col("status") == "failed").sort("sealed_at")
        said = failed.select("plate_id", pl.format("{}: {}", "error_type", "error_message")).iter_rows()
        return {plate_id: shorten(text.replace(f"{dataset.root}/", "")) for plate_id, text in said}

    def say(self, text: str) -> None:
        self.timeline.append((time.time() - self.started, text))
        print(f"{self.timeline[-1][0]:8.1f} s  {text}", flush=True)


def shorten(reason: str) -> str:
    """The first sentence, with digests cut to 12 digits."""
    return re.sub(r"([0-9a-f]{12})[0-9a-f]{52}", r"\1…", reason).split(". ")[0]


def spoil(dataset: Dataset, plate_id: str, number: int) -> str:
    """Damages a registered source in one of three ways. Returns which."""
    path = dataset.plate(plate_id).source_path()
    path.chmod(0o644)
    content = path.read_bytes()
    match number % 3:
        case 0:
            path.write_bytes(content + b"altered")
            return "bytes appended"
        case 1:
            path.write_bytes(content[: len(content) // 2])
            return "cut in half"
        case _:
            path.unlink()
            return "removed"


def make_library(folder: Path, plates: int, bad: int) -> tuple[Dataset, dict[str, str], Path]:
    """Registers drawn plates and damages some of them. Also returns one more scan that is not registered yet."""
    dataset = Dataset(folder / "atlas")
    drawn = draw_demo_plates(folder / "scans", folder / "truth", plates + 1, scale=SCALE)
    late = shutil.move(drawn[-1].path, folder / drawn[-1].path.name)
    registered = [one.status for one in register_scans(dataset, [folder / "scans"])]
    assert registered == ["registered"] * plates
    chosen = dataset.plate_ids()[plates // (2 * bad) :: plates // bad][:bad]
    return dataset, {plate_id: spoil(dataset, plate_id, number) for number, plate_id in enumerate(chosen)}, Path(late)


def sealed_count(running: Deployment, keys: Sequence[str]) -> int:
    """The number of run folders of the instruments, by the folders' names."""
    ends = tuple(running.registry.instruments[key].identity.fingerprint[:8] for key in keys)
    folders = running.dataset.plates_dir.glob("*/runs/run-*")
    return sum(path.name.endswith(ends) for path in folders)


def await_sealed(running: Deployment, share: float, seconds: float) -> int:
    """Waits until the first instruments have sealed a share of their results. Returns the number sealed."""
    wanted = share * len(FIRST) * len(running.dataset.plate_ids())
    deadline = time.monotonic() + seconds
    asked = time.monotonic()
    while (sealed := sealed_count(running, FIRST)) < wanted:
        assert time.monotonic() < deadline, f"{sealed} sealed, {wanted:.0f} wanted: {running.runs()}"
        time.sleep(max(0.02, 4 * (time.monotonic() - asked)))  # polling must not keep the machine busy
        asked = time.monotonic()
    return sealed


def worker_of(instance: dg.DagsterInstance, run_id: str) -> int:
    """The process id of a run's worker, from the run's log."""
    records = instance.get_records_for_run(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT).records
    for record in records:
        event = record.event_log_entry.dagster_event
        pid = event.engine_event_data.metadata.get("pid") if event else None
        if pid is not None:
            return int(str(pid.value))
    raise LookupError(f"{run_id}: no process has logged that it started the run")


def kill_worker(outcome: Outcome, seconds: float) -> None:
    """Kills (-9) the worker that is sealing plates and its steps' processes, as the end of a container would."""
    running = outcome.deployment
    sealed = await_sealed(running, KILL_AT, seconds)
    with dg.DagsterInstance.get() as instance:
        started = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))
        wanted = {dg.AssetKey(ASSETS[key].split("/")) for key in FIRST}
        run = next(run for run in started if wanted & (run.asset_selection or set()))
        pid = worker_of(instance, run.run_id)
    for one in (pid, *descendants(pid)):
        os.kill(one, signal.SIGKILL)
    outcome.killed = run.run_id
    outcome.say(f"kill -9 of the run worker and its steps, {sealed} results sealed (run {run.run_id[:8]})")


def play(running: Deployment, bad: dict[str, str], late: Path, *, seconds: float) -> Outcome:
    """Plays the scenario: switches the sensors on, disturbs the runs, and waits until all is done.

    Args:
        running: every program over the library, sensors off.
        bad: the damaged plates.
        late: a scan that is added meanwhile.
        seconds: time limit of each wait.
    """
    plates = running.dataset.plate_ids()
    outcome = Outcome(running, set(plates) - set(bad), bad)
    for sensor in SENSORS:
        running.switch_on(sensor)
    outcome.say(f"{len(plates)} plates, {len(bad)} of them spoilt; sensors on; active: {', '.join(FIRST)}")
    kill_worker(outcome, seconds)

    sealed = await_sealed(running, ADD_AT, seconds)
    add_spec(running.specs, ADDED, [*FIRST, ADDED])
    running.reload()
    outcome.say(f"{ADDED} added and the location reloaded, {sealed} results sealed")
    shutil.move(late, running.dataset.staging_dir / late.name)
    outcome.say("one more scan put into plates/")

    sealed = await_sealed(running, RESTART_AT, seconds)
    running.stop_daemon()
    outcome.say(f"daemon stopped, {sealed} results sealed")
    running.start_daemon()
    outcome.say("daemon started again")

    running.wait_until(lambda: len(running.dataset.plate_ids()) == len(plates) + 1, "the late plate", seconds=seconds)
    outcome.good = set(running.dataset.plate_ids()) - set(bad)
    wanted = {asset: (outcome.good, set(bad)) for asset in ASSETS.values()}
    running.wait_until(lambda: running.standing() == wanted, "plates", seconds=seconds)
    outcome.say("every good plate is done, every bad one has failed")
    running.settle(*ASSETS.values(), good=outcome.good, bad=set(bad), seconds=seconds)
    outcome.say("ledgers and catalogue are what the plates hold, no run is under way")
    runs, filled, refreshed = len(running.runs()), running.ticks("fill_missing"), running.ticks("refresh_ledgers")
    running.wait_until(lambda: running.ticks("fill_missing") >= filled + 2, "ticks", seconds=seconds)
    running.wait_until(lambda: running.ticks("refresh_ledgers") >= refreshed + 2, "ticks", seconds=seconds)
    outcome.came_after = len(running.runs()) - runs
    outcome.say(f"two more ticks of each sensor asked for {outcome.came_after} runs")
    return outcome


def describe_run(run: dict[str, Any], started: float) -> str:
    """A run in one line: when, requested by whom, which assets, how many plates, how it ended."""
    tags = {tag["key"]: tag["value"] for tag in run["tags"]}
    assets = sorted({"/".join(key["path"]) for key in run["assetSelection"] or []})
    shown = ", ".join(assets) if len(assets) < 5 else f"{len(assets)} ledgers and the catalogue"
    asked = tags.get("atlas/automation", "a person") + (", tried again" if "dagster/parent_run_id" in tags else "")
    times = f"{run['startTime'] - started:.0f} to {run['endTime'] - started:.0f}"
    return f"| {times} | {asked} | {shown} | {tags.get('atlas/plates', '')} | {run['status']} |"


def tell(outcome: Outcome) -> str:
    """The log in Markdown. Raises AssertionError if a result is wrong."""
    dataset, registry = outcome.deployment.dataset, outcome.deployment.registry
    statuses = sealed_statuses(dataset)
    again = [key for key, found in statuses.items() if key[0] in outcome.good and found != ["complete"]]
    assert again == [], f"plates not sealed exactly once as complete: {again}"
    differ = ledgers_that_differ(dataset, registry, dataset.root.parent)
    assert differ == [], f"ledgers that differ from a rebuild: {differ}"
    assert outcome.came_after == 0, f"{outcome.came_after} runs came when all was done"
    lines = [f"| {seconds:.0f} | {text} |" for seconds, text in outcome.timeline]
    reasons = outcome.reasons()
    failures = [f"| {plate_id} | {how} | {reasons[plate_id]} |" for plate_id, how in outcome.bad.items()]
    counts = [
        f"| {key} | {sum(one == ['complete'] for (_, of), one in statuses.items() if of == key)} | "
        f"{sum('failed' in one for (_, of), one in statuses.items() if of == key)} |"
        for key in ASSETS
    ]
    rows = [f"| {name} | {read_ledger(dataset, table).height} |" for name, table in LEDGERS.items()]
    return "\n".join(
        [
            "| seconds | what happened |\n|---|---|", *lines,
            "\n| instrument | plates done, each once | plates failed |\n|---|---|---|", *counts,
            "\n| bad plate | what was done to its source | reason in the ledger |\n|---|---|---|", *failures,
            "\n| seconds | run asked for by | assets | plates | ended |\n|---|---|---|---|---|",
            *(describe_run(run, outcome.started) for run in reversed(outcome.deployment.runs())),
            "\n| ledger, equal to its rebuild from the plates alone | rows |\n|---|---|", *rows,
        ]
    )  # fmt: skip


def main(plates: int, bad: int, log: Path, minutes: float) -> None:
    """Runs the scenario in a temporary folder and writes its log."""
    with tempfile.TemporaryDirectory() as name:
        dataset, spoilt, late = make_library(Path(name), plates, bad)
        with deployment(dataset, Path(name), *FIRST) as running:
            outcome = play(running, spoilt, late, seconds=60 * minutes)
            load = ", ".join(f"{one:.1f}" for one in os.getloadavg())
            print(f"{os.cpu_count()} cores, load average at the end {load}")
            log.write_text(tell(outcome) + "\n", encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plates", type=int, default=1000)
    parser.add_argument("--bad", type=int, default=7)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--log", type=Path, required=True)
    asked = parser.parse_args()
    main(asked.plates, asked.bad, asked.log, asked.minutes)

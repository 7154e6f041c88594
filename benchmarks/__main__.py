"""Every figure beside its floor or a peer: `python -m benchmarks`, or `make bench`.

Each subject runs in a process of its own, so that none starts with another's memory, and one that fails costs itself
alone. The table is printed, and written with the figures to `benchmarks/results/` under the release's version.
"""

import argparse
import importlib
import json
import subprocess
import sys
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from benchmarks.figures import Figure, Machine, Results

SUBJECTS = {
    "decode_once": "Several instruments over the same plates",
    "rasters": "An instrument over working rasters",
    "groundwork": "Groundwork of one plate of 20 Mpx",
    "batch_run": "A run, sealed and recorded",
    "peers": "From files to vectors, beside other programs",
    "mask_peers": "Mask generation, beside other programs",
    "sealing": "Sealing and events",
    "metrics": "Metrics for Prometheus",
    "topology": "Neighbours, and SQL over them",
    "start": "Starting",
    "gpu": "Full-size models on a GPU",
    "growth": "One new plate in a library that grows",
    "shards": "A library whose partitions are shards",
    "cluster": "Runs as jobs of a Ray cluster",
}
"""The modules whose `figures()` are measured, in order, each with what it is about."""
RESULTS = Path(__file__).parent / "results"


def measure(name: str) -> list[Figure]:
    """The figures of one subject, measured in a process of its own. One that fails gives one figure that says why."""
    command = [sys.executable, "-m", "benchmarks", "--lines", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    found = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"subject"')]
    figures = [Figure(**{**one, "measured": tuple(one["measured"]), "floor": tuple(one["floor"])}) for one in found]
    if done.returncode:
        why = f"`python -m benchmarks --lines {name}` ended with {done.returncode}"
        figures.append(Figure(SUBJECTS[name], "the rest", (), why=why))
    return figures


def print_lines(name: str) -> None:
    """Measures here, and prints each figure as a line of JSON as soon as it is known."""
    for figure in importlib.import_module(f"benchmarks.{name}").figures(SUBJECTS[name]):
        print(json.dumps(asdict(figure)), flush=True)


def keep(results: Results, folder: Path) -> None:
    """Writes the table and the figures under the release's version."""
    folder.mkdir(parents=True, exist_ok=True)
    release = version("atlas-plates")
    (folder / f"{release}.json").write_text(results.json(), encoding="utf-8")
    (folder / f"{release}.md").write_text(f"# Release {release}\n\n{results.markdown()}", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Returns 0 if everything was measured, whether goals are met or not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("subjects", nargs="*", metavar="SUBJECT", help=f"all by default: {', '.join(SUBJECTS)}")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder for the table; default: %(default)s")
    parser.add_argument("--lines", metavar="SUBJECT", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.lines:
        print_lines(options.lines)
        return 0
    if unknown := [name for name in options.subjects if name not in SUBJECTS]:
        parser.error(f"expected one of {', '.join(SUBJECTS)}, found {', '.join(unknown)}")
    figures: list[Figure] = []
    for name in options.subjects or SUBJECTS:
        print(f"measuring: {SUBJECTS[name]}", file=sys.stderr, flush=True)
        started = time.monotonic()
        figures += measure(name)
        print(f"  {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
        if not options.subjects:  # after each one: what was measured stays if the rest is interrupted
            keep(Results(Machine.present(), tuple(figures)), options.results)
    print(Results(Machine.present(), tuple(figures)).markdown())
    return int(any(not one.measured and "ended with" in one.why for one in figures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

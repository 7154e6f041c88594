"""Every figure beside its floor or a peer: `python -m benchmarks`, or `make bench`.

Each subject runs in a process of its own, so that none starts with another's memory, and one that fails costs itself
alone. The table is printed, and written with the figures to `benchmarks/results/` under the release's version.
"""

import argparse
import importlib
import json
import subprocess
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

from benchmarks.figures import Figure, Machine, Results, timed

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
BY_NAME = ("shards", "cluster")
"""Measured only if they are named: how a library or a machine grows. They keep their place in the table."""
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


def read_kept(folder: Path) -> Results:
    """What was kept of this release; nothing yet if it is of none."""
    path = folder / f"{version('atlas-plates')}.json"
    return Results.read(path.read_text(encoding="utf-8")) if path.is_file() else Results(Machine.present())


def keep(results: Results, folder: Path) -> None:
    """Writes the table and the figures under the release's version."""
    folder.mkdir(parents=True, exist_ok=True)
    release = version("atlas-plates")
    (folder / f"{release}.json").write_text(results.json(), encoding="utf-8")
    (folder / f"{release}.md").write_text(f"# Release {release}\n\n{results.markdown()}", encoding="utf-8")


def main(arguments: list[str]) -> int:
    """Returns 0 if everything was measured, whether goals are met or not."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "subjects",
        nargs="*",
        metavar="SUBJECT",
        help=f"{', '.join(SUBJECTS)}; default: all but {' and '.join(BY_NAME)}",
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder for the table; default: %(default)s")
    parser.add_argument("--keep", action="store_true", help="write given subjects into the table too, as all are")
    parser.add_argument("--lines", metavar="SUBJECT", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.lines:
        print_lines(options.lines)
        return 0
    if unknown := [name for name in options.subjects if name not in SUBJECTS]:
        parser.error(f"expected one of {', '.join(SUBJECTS)}, found {', '.join(unknown)}")
    is_kept = options.keep or not options.subjects
    measured = kept = Results(Machine.present())
    if is_kept and read_kept(options.results).is_of(measured.machine):
        kept = read_kept(options.results)
    elif is_kept and options.subjects:
        parser.error("the kept table is of another machine or other packages. Fix: measure all of it: `make bench`")
    for name in options.subjects or [name for name in SUBJECTS if name not in BY_NAME]:
        print(f"measuring: {SUBJECTS[name]}", file=sys.stderr, flush=True)
        with timed() as part:
            figures = measure(name)
        print(f"  {part()}", file=sys.stderr, flush=True)
        measured, kept = (one.with_part(SUBJECTS[name], figures, part()) for one in (measured, kept))
        if is_kept:  # after each one: what was measured stays if the rest is interrupted
            keep(kept.in_order(SUBJECTS.values()), options.results)
    print(measured.markdown())
    return int(any(not one.measured and "ended with" in one.why for one in measured.figures))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

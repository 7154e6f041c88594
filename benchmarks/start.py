"""How long commands take before they do anything, and the status of a library: `python -m benchmarks start`."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from atlas_resources.files.project import PROJECT_ROOT
from benchmarks.figures import ROUNDS, Figure, in_turn
from benchmarks.orchestration import draw_library, load_costs

PLATES = 435
ATLAS = Path(sys.executable).with_name("atlas")


def figures(subject: str) -> Iterator[Figure]:
    """What `python -m benchmarks` measures."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = draw_library(Path(folder), PLATES)
        environment = {**os.environ, "ATLAS_HOME": str(dataset.root), "DAGSTER_HOME": f"{folder}/dagster"}

        def atlas(*arguments: str) -> None:
            command = [str(ATLAS), *arguments]
            subprocess.run(command, env=environment, cwd=PROJECT_ROOT, check=True, stdout=subprocess.DEVNULL)

        for command, goal in (("--help", 0.3), ("status", 1.0)):
            name = f"`atlas {command}`" + (f" of {PLATES} plates" if command == "status" else "")
            seconds = in_turn({name: lambda asked=command: atlas(asked)})
            yield Figure(subject, name, seconds[name], "s", goal=goal)
        loads = tuple(cost.wall_seconds for cost in load_costs(Path(folder), ROUNDS))
        yield Figure(subject, "code location of 60 instruments, with its process", loads, "s", goal=2.0)

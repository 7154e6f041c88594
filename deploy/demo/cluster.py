"""The whole cluster of a demonstration: a folder, an environment and every program, gone when the block ends."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.launcher import LaunchRunContext

from atlas_assets.demo.plates import draw_demo_plates
from atlas_assets.in_process.instance import open_instance
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from deploy.demo.dagster_programs import DagsterPrograms, Project, dagster_programs, make_project
from deploy.demo.postgres import URL_VARIABLE, postgres, why_no_postgres
from deploy.demo.programs import Programs
from deploy.demo.ray_nodes import ADDRESS_VARIABLE, RayCluster, new_environment, ray_cluster, why_no_ray

SCALE = 0.25  # plates of 500 to 1000 px
ACTIVE = ("efficientnet_lite0", "otsu_luma", "otsu_luma_kept")


@dataclass(frozen=True)
class Running:
    """Every program over a project's plates.

    Attributes:
        project: the project and its dataset.
        ray: the nodes.
        dagster: the code server and the daemon.
        instance: Dagster's, on Postgres.
        programs: for their logs.
        bad: ids of the plates that cannot be measured.
    """

    project: Project
    ray: RayCluster
    dagster: DagsterPrograms
    instance: dg.DagsterInstance
    programs: Programs
    bad: frozenset[str]


def why_not() -> str:
    """Why no cluster can be started here, with the commands that fix it; empty if one can."""
    return "; ".join(filter(None, (why_no_postgres(), why_no_ray())))


@contextmanager
def variables(values: Mapping[str, str]) -> Iterator[None]:
    """Sets variables of this process's environment, which programs inherit, while the block lasts."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


@contextmanager
def own_folder() -> Iterator[Path]:
    """A new folder that Postgres's account may enter, removed with the block."""
    folder = Path(tempfile.mkdtemp(prefix="atlas-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def spoil(dataset: Dataset, count: int) -> frozenset[str]:
    """Cuts the registered source of every so many-th plate in half. Returns their ids."""
    plate_ids = dataset.plate_ids()
    chosen = plate_ids[:: max(1, len(plate_ids) // count)][:count] if count else []
    for plate_id in chosen:
        path = dataset.plate(plate_id).source_path()
        path.chmod(0o644)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    return frozenset(chosen)


def own_temporary(folder: Path) -> dict[str, str]:
    """The variable by which programs have their temporary files in a folder: those that are killed leave some."""
    temporary = folder / "tmp"
    temporary.mkdir()
    return {"TMPDIR": str(temporary)}


@contextmanager
def engine_of(folder: Path, *, cpus: int, gpus: int = 0) -> Iterator[tuple[dg.DagsterInstance, RayCluster]]:
    """Runs Postgres and a Ray head, with an instance whose runs are launched by hand: no daemon, no code server.

    Args:
        folder: empty; for everything.
        cpus: of the head, as Ray counts them.
        gpus: the same.
    """
    programs = Programs(folder / "logs")
    programs.logs.mkdir()
    project = make_project(folder, "ray", (), 1)
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])  # such a run starts as `dagster`
    with ExitStack() as stack:
        here = {**project.environment, **new_environment(), **own_temporary(folder), "PATH": path}
        stack.enter_context(variables(here))
        server = stack.enter_context(postgres(programs, folder / "postgres"))
        stack.enter_context(variables({URL_VARIABLE: server.url()}))
        ray = stack.enter_context(ray_cluster(programs, folder / "ray", cpus=cpus, gpus=gpus))
        stack.enter_context(variables({ADDRESS_VARIABLE: ray.address}))
        yield stack.enter_context(dg.DagsterInstance.from_config(str(project.home))), ray


def launch(instance: dg.DagsterInstance, job: dg.JobDefinition, run_config: Mapping[str, Any] | None = None) -> str:
    """Launches a job of a module as a run, past the queue. Returns the run's id."""
    origin = dg.reconstructable(job).get_python_origin()
    run = instance.create_run_for_job(job, run_config=run_config, job_code_origin=origin)
    instance.run_launcher.launch_run(LaunchRunContext(dagster_run=run, workspace=None))
    return run.run_id


@contextmanager
def cluster_of(
    folder: Path, plates: int, *, workers: int, spoilt: int = 0, active: Sequence[str] = ACTIVE
) -> Iterator[Running]:
    """Draws and registers plates, and runs Postgres, a Ray head, a second node and Dagster's programs over them.

    Automation is on: Dagster's daemon asks for what is missing as soon as it is up.

    Args:
        folder: empty; for everything.
        plates: how many are drawn.
        workers: over how many runs the plates are spread.
        spoilt: how many of the plates lose half of their source.
        active: keys of the instruments that measure them.
    """
    programs = Programs(folder / "logs")
    programs.logs.mkdir()
    project = make_project(folder, "ray", active, workers)
    draw_demo_plates(folder / "scans", folder / "truth", plates, scale=SCALE)
    for _ in register_scans(project.dataset, [folder / "scans"]):
        pass
    bad = spoil(project.dataset, spoilt)
    with ExitStack() as stack:
        stack.enter_context(variables({**project.environment, **new_environment(), **own_temporary(folder)}))
        server = stack.enter_context(postgres(programs, folder / "postgres"))
        stack.enter_context(variables({URL_VARIABLE: server.url()}))
        ray = stack.enter_context(ray_cluster(programs, folder / "ray", cpus=1, gpus=1))
        ray.add_node(cpus=1, gpus=1)
        stack.enter_context(variables({ADDRESS_VARIABLE: ray.address}))
        dagster = stack.enter_context(dagster_programs(programs, project))
        yield Running(project, ray, dagster, stack.enter_context(open_instance(project.dataset)), programs, bad)

"""A project whose Dagster instance is that of the deployment files, with its code server and daemon on loopback."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from atlas_assets.graph.plates import report_registered
from atlas_assets.in_process.instance import open_instance
from atlas_resources.files.project import PROJECT_ROOT, SETTINGS_FOLDER, SPECS_FOLDER
from atlas_resources.instruments.registry import Registry, read_registry
from atlas_resources.plates.dataset import Dataset
from deploy.demo.programs import Programs, answers, beside_python, free_port

DEPLOY = PROJECT_ROOT / "deploy"
ENTRY_POINT = "--use-python-environment-entry-point"  # runs start by the path of this Python: nodes need no PATH


@dataclass(frozen=True)
class Project:
    """A project of one's own, as `atlas init` makes it, and the home of its Dagster instance.

    Attributes:
        folder: the project.
        dataset: its plates.
        home: DAGSTER_HOME.
    """

    folder: Path
    dataset: Dataset
    home: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which every program finds them."""
        return {
            "ATLAS_PROJECT": str(self.folder),
            "ATLAS_HOME": str(self.dataset.root),
            "DAGSTER_HOME": str(self.home),
            "ATLAS_RUN_LOGS": str(self.home / "logs"),
            "PYTHONPATH": os.pathsep.join([str(PROJECT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        }

    @property
    def registry(self) -> Registry:
        """Its instruments."""
        return read_registry(SPECS_FOLDER, self.folder / "model_specs")


def make_project(folder: Path, engine: str, active: Sequence[str], workers: int) -> Project:
    """Makes a project in an empty folder, with automation on.

    Args:
        folder: made here.
        engine: `ray` or `celery`: whose `dagster.yaml` under `deploy/` it has.
        active: keys of the instruments that are measured.
        workers: over how many runs missing plates are spread.
    """
    project = Project(folder / "project", Dataset(folder / "atlas"), folder / "dagster")
    (project.folder / "model_specs").mkdir(parents=True)
    project.home.mkdir()
    settings = yaml.safe_load((SETTINGS_FOLDER / "automation.yaml").read_text())
    settings |= {"switch": "sensors", "workers": workers}
    _write(project.folder / "automation.yaml", settings)
    _write(project.folder / "model_specs" / "roster.yaml", {"active": list(active)})
    (project.home / "dagster.yaml").write_bytes((DEPLOY / engine / "dagster.yaml").read_bytes())
    return project


def _write(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(yaml.safe_dump(dict(content)), encoding="utf-8")


@contextmanager
def dagster_programs(programs: Programs, project: Project) -> Iterator[None]:
    """Runs the code server and the daemon. The instance is created first, by one process."""
    with open_instance(project.dataset) as instance:
        report_registered(instance, project.dataset)
    port = free_port()
    workspace = project.folder / "workspace.yaml"
    location = {"host": "127.0.0.1", "port": port, "location_name": "atlas"}
    _write(workspace, {"load_from": [{"grpc_server": location}]})
    code = ("code-server", "start", "-h", "127.0.0.1", "-p", str(port), "-m", "atlas_assets.definitions", ENTRY_POINT)
    with programs.run("code-server", sys.executable, "-m", "dagster", *code) as server:
        programs.wait_until(lambda: answers(port), "code-server", server)
        daemon = beside_python("dagster-daemon", "dagster")
        with programs.run("daemon", daemon, "run", "-w", workspace):
            yield

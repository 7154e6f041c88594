"""A project whose Dagster instance is that of the deployment files, with its code server and daemon on loopback."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from atlas_assets.graph.plates import report_registered
from atlas_assets.in_process.instance import open_instance
from atlas_resources.files.project import PROJECT_ROOT, SETTINGS_FOLDER, SPECS_FOLDER
from atlas_resources.instruments.registry import Registry, read_registry
from atlas_resources.plates.dataset import Dataset
from deploy.demo.programs import Programs, answers, beside_python, family_of, free_port, kill

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

    def activate(self, *keys: str) -> None:
        """Writes the roster: these instruments are measured."""
        _write(self.folder / "model_specs" / "roster.yaml", {"active": list(keys)})

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
    project.activate(*active)
    (project.home / "dagster.yaml").write_bytes((DEPLOY / engine / "dagster.yaml").read_bytes())
    return project


def _write(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(yaml.safe_dump(dict(content)), encoding="utf-8")


class DagsterPrograms:
    """The code server and the daemon of a project, each of which may be killed and started again.

    Args:
        programs: starts them.
        project: whose definitions they load.
    """

    def __init__(self, programs: Programs, project: Project):
        self.programs = programs
        self.project = project
        self.port = free_port()
        self.workspace = project.folder / "workspace.yaml"
        location = {"host": "127.0.0.1", "port": self.port, "location_name": "atlas"}
        _write(self.workspace, {"load_from": [{"grpc_server": location}]})
        self._code, self._daemon = ExitStack(), ExitStack()

    def start(self) -> None:
        """Starts both."""
        self.start_code()
        self.start_daemon()

    def stop(self) -> None:
        """Ends both."""
        self._daemon.close()
        self._code.close()

    def start_code(self) -> None:
        """Starts the code server, or starts it again, so that it reads specs and roster anew."""
        self._code.close()
        loads = ("-h", "127.0.0.1", "-p", str(self.port), "-m", "atlas_assets.definitions", ENTRY_POINT)
        command = (sys.executable, "-m", "dagster", "code-server", "start", *loads)
        server = self._code.enter_context(self.programs.run("code-server", *command))
        self.programs.wait_until(lambda: answers(self.port), "code-server", server)

    def start_daemon(self) -> None:
        """Starts the daemon. A cluster has one."""
        command = (beside_python("dagster-daemon"), "run", "-w", self.workspace)
        self.daemon = self._daemon.enter_context(self.programs.run("daemon", *command))

    def kill_daemon(self) -> None:
        """Ends the daemon and its children at once (-9)."""
        kill(family_of(self.daemon))
        self._daemon.close()


@contextmanager
def dagster_programs(programs: Programs, project: Project) -> Iterator[DagsterPrograms]:
    """Runs the code server and the daemon. The instance is created first, by one process."""
    with open_instance(project.dataset) as instance:
        report_registered(instance, project.dataset)
    running = DagsterPrograms(programs, project)
    try:
        running.start()
        yield running
    finally:
        running.stop()

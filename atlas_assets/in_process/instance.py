"""The dataset's Dagster instance: its folder, its settings, and its databases, which one process creates."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import dagster as dg

from atlas_resources.files.durable import write_bytes_atomically
from atlas_resources.files.locking import locked
from atlas_resources.files.project import settings_path
from atlas_resources.plates.dataset import Dataset

LOCK_NAME = ".opening.lock"


@contextmanager
def open_instance(dataset: Dataset) -> Iterator[dg.DagsterInstance]:
    """The dataset's Dagster instance, with the project's settings.

    It is in DAGSTER_HOME if that is set, and its dagster.yaml is kept; else in `<dataset>/.dagster`. Processes open it
    one after another: Dagster's databases are broken for good if two processes create them at once.
    """
    own_home = os.environ.get("DAGSTER_HOME")
    home = Path(own_home) if own_home else dataset.root / ".dagster"
    home.mkdir(parents=True, exist_ok=True)
    # A folder that cannot be written has its databases elsewhere, or has them already.
    with locked(home / LOCK_NAME) if os.access(home, os.W_OK) else nullcontext():
        if not own_home or not (home / "dagster.yaml").exists():
            write_bytes_atomically(home / "dagster.yaml", settings_path("dagster.yaml").read_bytes())
        os.environ["DAGSTER_HOME"] = str(home)
        opened = dg.DagsterInstance.from_config(str(home))
    with opened as instance:
        yield instance

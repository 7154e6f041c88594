"""The dataset's Dagster instance: its folder, its settings, and its databases, which one process creates."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import dagster as dg

from atlas_resources.files.durable import write_bytes_atomically
from atlas_resources.files.locking import locked
from atlas_resources.files.project import settings_path
from atlas_resources.plates.dataset import Dataset

LOCK_NAME = ".opening.lock"
STORAGE = re.compile(r"^(run_|event_log_|schedule_)?storage\s*:", re.MULTILINE)
"""What in a dagster.yaml says where Dagster keeps its history. Whether it is sound is for Dagster to say."""
EVENT_STORAGE = """
event_log_storage:    # Dagster's own files, in DAGSTER_HOME/history/runs, by connections that stay open
  module: atlas_resources.event_storage
  class: PooledSqliteEventLogStorage
  config: {}
"""
"""Added to settings that name no storage. The packaged file is without it: `dagster dev` may have no DAGSTER_HOME."""


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
            write_bytes_atomically(home / "dagster.yaml", instance_settings().encode())
        os.environ["DAGSTER_HOME"] = str(home)
        opened = dg.DagsterInstance.from_config(str(home))
    with opened as instance:
        yield instance


def instance_settings() -> str:
    """The content of a dataset's dagster.yaml: the project's settings, with the storage of events if they name none."""
    settings = settings_path("dagster.yaml").read_text(encoding="utf-8")
    return settings if STORAGE.search(settings) else f"{settings}{EVENT_STORAGE}"

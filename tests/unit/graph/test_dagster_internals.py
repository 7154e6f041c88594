"""Dagster's private names are used in one module, which states the version for which they were checked."""

import re
from pathlib import Path

import dagster

from atlas_assets.graph import dagster_internals
from atlas_resources.files.project import PROJECT_ROOT

PRIVATE = re.compile(r"^\s*(?:from|import) dagster\._", re.MULTILINE)
# They subclass Dagster's private classes.
SUBCLASSES = {
    "atlas_resources/run_launcher.py",
    "atlas_resources/event_storage.py",
    "atlas_resources/cluster/run_launcher.py",
}


def modules() -> list[Path]:
    return [path for folder in ("atlas_assets", "atlas_resources") for path in (PROJECT_ROOT / folder).rglob("*.py")]


def test_only_one_module_and_subclasses_import_private_names():
    importers = {path.relative_to(PROJECT_ROOT).as_posix() for path in modules() if PRIVATE.search(path.read_text())}
    assert importers == {"atlas_assets/graph/dagster_internals.py", *SUBCLASSES}


def test_the_names_were_checked_in_the_installed_version():
    """If this fails, check what each name does in the new version, then update READ_IN_VERSION."""
    assert dagster.__version__ == dagster_internals.READ_IN_VERSION


def test_dagsters_tags_are_written_in_one_module():
    spelled = re.compile(r"[\"']dagster/(?:asset_partition_range|partition\b|max_retries|will_retry|auto_retry)")
    importers = {path.relative_to(PROJECT_ROOT).as_posix() for path in modules() if spelled.search(path.read_text())}
    assert importers == {"atlas_assets/graph/dagster_internals.py"}

"""Names of Dagster that are not public are in one module, which says for which version they were read."""

import re
from pathlib import Path

import dagster

from atlas_assets.graph import dagster_internals
from atlas_resources.files.project import PROJECT_ROOT

PRIVATE = re.compile(r"^\s*(?:from|import) dagster\._", re.MULTILINE)
AT_THE_DOOR = "atlas_resources/run_launcher.py"  # a launcher is Dagster's own kind of class


def modules() -> list[Path]:
    return [path for folder in ("atlas_assets", "atlas_resources") for path in (PROJECT_ROOT / folder).rglob("*.py")]


def test_only_one_module_and_the_launcher_import_private_names():
    importers = {path.relative_to(PROJECT_ROOT).as_posix() for path in modules() if PRIVATE.search(path.read_text())}
    assert importers == {"atlas_assets/graph/dagster_internals.py", AT_THE_DOOR}


def test_the_names_were_read_in_the_version_that_is_installed():
    """If this fails, read what each name does in the new version, then raise READ_IN_VERSION."""
    assert dagster.__version__ == dagster_internals.READ_IN_VERSION


def test_tags_of_dagster_are_spelled_once():
    spelled = re.compile(r"[\"']dagster/(?:asset_partition_range|partition\b|max_retries|will_retry|auto_retry)")
    importers = {path.relative_to(PROJECT_ROOT).as_posix() for path in modules() if spelled.search(path.read_text())}
    assert importers == {"atlas_assets/graph/dagster_internals.py"}

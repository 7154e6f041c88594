"""`automation.yaml`: when the nightly schedule runs, and how often a plate may fail."""

from pathlib import Path

from pydantic import Field

from atlas_resources.files.contract import Contract
from atlas_resources.files.project import settings_path
from atlas_resources.files.yaml_files import read_yaml


class Nightly(Contract):
    """When the nightly schedule runs."""

    cron: str
    timezone: str


class AutomationSettings(Contract):
    """`automation.yaml`."""

    nightly: Nightly
    most_attempts: int = Field(gt=0)


def read_settings(path: Path | None = None) -> AutomationSettings:
    """The settings; by default the project's own file, else the packaged one.

    Raises:
        ValueError: names file, field, expected and found.
    """
    path = path or settings_path("automation.yaml")
    settings = read_yaml(path, AutomationSettings)
    if isinstance(settings, list):
        raise ValueError(f"{path.parent}: {'; '.join(map(str, settings))}. Fix: correct the file")
    return settings

"""`automation.yaml`: when the nightly schedule runs, and how often a plate may fail."""

from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from atlas_resources.files.contract import Contract
from atlas_resources.files.project import settings_path


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
    try:
        return AutomationSettings.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        raise ValueError(f"{path}: {error}") from error

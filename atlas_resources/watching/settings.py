"""`metrics.yaml`: whether runs write metrics for Prometheus, and where. Off unless a folder is stated."""

from pathlib import Path
from typing import Self

from pydantic import Field, field_validator, model_validator

from atlas_resources.files.contract import Contract
from atlas_resources.files.project import settings_path
from atlas_resources.files.yaml_files import require_yaml
from atlas_resources.watching.sending import require_address

SETTINGS_NAME = "metrics.yaml"


class MetricsSettings(Contract):
    """`metrics.yaml`.

    Attributes:
        folder: where `.prom` files are written, which node_exporter's textfile collector reads; null: no metrics.
        seconds: how often a run writes its file.
        pushgateway: address of a Pushgateway to which the same is pushed; null: nothing is sent.
        is_unencrypted_allowed: whether that address may be of another machine without https.
    """

    folder: Path | None = None
    seconds: float = Field(default=5.0, ge=0.1)
    pushgateway: str | None = None
    is_unencrypted_allowed: bool = False

    @field_validator("folder")
    @classmethod
    def _is_absolute(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.is_absolute():
            raise ValueError(f"expected an absolute path, as runs start in several folders, found {folder}")
        return folder

    @model_validator(mode="after")
    def _may_be_pushed(self) -> Self:
        if self.pushgateway is not None:
            if self.folder is None:
                raise ValueError("pushgateway: expected `folder` too, where counts are kept from run to run")
            require_address(self.pushgateway, is_unencrypted_allowed=self.is_unencrypted_allowed)
        return self


def read_metrics_settings(path: Path | None = None) -> MetricsSettings:
    """The settings; by default the project's own file, else the packaged one, which is off.

    Raises:
        ValueError: names file, field, expected and found.
    """
    return require_yaml(path or settings_path(SETTINGS_NAME), MetricsSettings)

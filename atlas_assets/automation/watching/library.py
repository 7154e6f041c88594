"""The sensor that writes the library's metrics every minute. It is on where `metrics.yaml` states a folder."""

import dagster as dg

from atlas_resources.resources import DatasetResource
from atlas_resources.watching.settings import SETTINGS_NAME, read_metrics_settings

SECONDS = 60


def build_library_metrics_sensor() -> dg.SensorDefinition:
    """The sensor `library_metrics`. Raises ValueError if `metrics.yaml` is wrong."""
    is_on = read_metrics_settings().folder is not None

    @dg.sensor(
        default_status=dg.DefaultSensorStatus.RUNNING if is_on else dg.DefaultSensorStatus.STOPPED,
        minimum_interval_seconds=SECONDS,
        description="Writes how the library stands, by its ledgers, for Prometheus: see metrics.yaml.",
    )
    def library_metrics(dataset: DatasetResource) -> dg.SkipReason:
        from atlas_resources.ledgers.gauges.library import publish_library

        settings = read_metrics_settings()
        if settings.folder is None:
            return dg.SkipReason(f"{SETTINGS_NAME} states no folder")
        return dg.SkipReason(f"written: {publish_library(dataset.open(), settings, settings.folder)}")

    return library_metrics

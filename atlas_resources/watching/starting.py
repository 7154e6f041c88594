"""Watching a run while it measures. Nothing is imported or written where metrics are off."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from atlas_resources.watching.settings import MetricsSettings, read_metrics_settings
from atlas_resources.watching.watch import NoWatch, Watch, Watched

LOG = logging.getLogger(__name__)


@contextmanager
def watching(watched: Sequence[Watched], settings: MetricsSettings | None = None) -> Iterator[Watch]:
    """Watches a run while the block runs.

    Metrics end no run: where `metrics.yaml` is wrong or its folder cannot be written, there are none, and a warning.

    Args:
        watched: what measures in the run.
        settings: whether and where; by default those of `metrics.yaml`.
    """
    with ExitStack() as resources:
        watch: Watch = NoWatch()
        try:
            settings = settings or read_metrics_settings()
            if settings.folder is not None:
                from atlas_resources.watching.recording import recording

                watch = resources.enter_context(recording(watched, settings, settings.folder))
        except (OSError, ValueError) as error:
            LOG.warning(f"metrics are not written: {error}")
        yield watch

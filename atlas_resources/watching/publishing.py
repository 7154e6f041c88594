"""Where metrics go: a file of the folder, replaced whole, and a Pushgateway if one is stated."""

import logging
import socket
from collections.abc import Callable
from pathlib import Path

from prometheus_client import push_to_gateway, write_to_textfile
from prometheus_client.registry import Collector

from atlas_resources.watching.sending import LONGEST_SECONDS, send
from atlas_resources.watching.settings import MetricsSettings

LOG = logging.getLogger(__name__)
JOB = "atlas"


class Publisher:
    """Writes and pushes one file's metrics. An error is logged once and ends no run: the next time is tried again."""

    def __init__(self, settings: MetricsSettings, path: Path):
        """Writes nothing yet.

        Args:
            settings: where metrics go.
            path: the file; its name without the suffix is the group that a Pushgateway keeps it under.
        """
        self._gateway = settings.pushgateway
        self._path = path
        self._problems: dict[str, str] = {}

    def publish(self, metrics: Collector) -> None:
        """Writes and pushes the metrics, in place of the last ones."""
        self._try("written", lambda: write_to_textfile(str(self._path), metrics))
        if self._gateway is not None:
            self._try("pushed", lambda: _push(self._gateway or "", self._path.stem, metrics))

    def _try(self, done: str, publish: Callable[[], None]) -> None:
        try:
            publish()
        except Exception as error:  # noqa: BLE001 - whatever it is, the work that is watched goes on
            problem = f"{type(error).__name__}: {error}"
            if self._problems.get(done) != problem:
                LOG.warning(f"metrics could not be {done}, and the work goes on without: {problem}")
            self._problems[done] = problem
        else:
            self._problems.pop(done, None)


def _push(gateway: str, group: str, metrics: Collector) -> None:
    names = {"instance": socket.gethostname(), "file": group}
    push_to_gateway(gateway, JOB, metrics, grouping_key=names, timeout=LONGEST_SECONDS, handler=_handler)


def _handler(
    url: str, method: str, timeout: float | None, headers: list[tuple[str, str]], data: bytes
) -> Callable[[], None]:
    """As the client's own, which would take a proxy of the environment, and waits as long as something trickles in."""
    return lambda: send(method, url, data, dict(headers), seconds=timeout or LONGEST_SECONDS)

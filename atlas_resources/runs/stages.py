"""How long each stage of one plate takes. Summing over plates belongs in `passes`."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from atlas_resources.plates.run_contracts import Stage, StageSeconds


class Stopwatch:
    """Measures the stages of one plate. One thread at a time uses it.

    A stage within a stage stops the clock of the outer one, so that no second is counted twice.
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter):
        """Starts with no time in any stage.

        Args:
            clock: returns seconds; only differences matter.
        """
        self._clock = clock
        self._seconds = dict.fromkeys(StageSeconds.model_fields, 0.0)
        self._stage: Stage | None = None
        self._since = 0.0

    @contextmanager
    def stage(self, stage: Stage) -> Iterator[None]:
        """Counts the time within the block as that of the stage."""
        outer = self._stage
        self._switch(stage)
        try:
            yield
        finally:
            self._switch(outer)

    def add(self, stage: Stage, seconds: float) -> None:
        """Adds time that was measured elsewhere, such as a plate's share of its batch."""
        self._seconds[stage] += seconds

    def read(self) -> StageSeconds:
        """The seconds of each stage until now, those of a stage in progress included."""
        self._switch(self._stage)
        return StageSeconds(**self._seconds)

    def _switch(self, stage: Stage | None) -> None:
        now = self._clock()
        if self._stage is not None:
            self._seconds[self._stage] += now - self._since
        self._stage, self._since = stage, now

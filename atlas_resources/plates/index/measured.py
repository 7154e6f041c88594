"""What each measured file of the groundwork states of itself, kept in this process until the file changes.

Several ledgers ask whether a plate's groundwork is done. Whoever reads a file whole keeps what the others ask of it.
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from atlas_resources.plates.contracts import ColorHistograms, GroundworkCost, InputImage
from atlas_resources.plates.groundwork import COST_NAME, HISTOGRAMS_NAME, INPUT_IMAGE_NAME
from atlas_resources.plates.index.unchanged import Unchanged
from atlas_resources.plates.json_files import read_json

MeasuredFile = InputImage | ColorHistograms | GroundworkCost
Measured = TypeVar("Measured", InputImage, ColorHistograms, GroundworkCost)
CONTRACT_OF: dict[str, type[MeasuredFile]] = {
    INPUT_IMAGE_NAME: InputImage,
    HISTOGRAMS_NAME: ColorHistograms,
    COST_NAME: GroundworkCost,
}


@dataclass(frozen=True, slots=True)
class Stated:
    """What a file states of itself.

    Attributes:
        measure_version: version of the code that made it.
        source_sha256: of the source that it was made from.
        measured_at: when the groundwork was measured, UTC; None but for `groundwork.json`.
    """

    measure_version: str
    source_sha256: str
    measured_at: datetime | None


_KNOWN: Unchanged[Stated] = Unchanged()


def read_stated(path: Path) -> Stated:
    """What a measured file states. It is read once in this process, until it changes. Raises DatasetBroken."""
    return _KNOWN.read(path, lambda: _stated(read_json(path, CONTRACT_OF[path.name])))


def read_measured(path: Path, contract: type[Measured]) -> Measured:
    """A measured file, whole. Raises DatasetBroken."""
    return _KNOWN.read_whole(path, lambda: read_json(path, contract), _stated)


def _stated(file: MeasuredFile) -> Stated:
    measured_at = file.measured_at if isinstance(file, GroundworkCost) else None
    return Stated(file.measure_version, file.source_sha256, measured_at)

"""The groundwork of a plate on disk: its two measured files, what they cost, or why and how often measuring failed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from atlas_resources.plates.colour_policy import POLICY_NAME
from atlas_resources.plates.contracts import ColorHistograms, GroundworkFailure, InputImage
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.plate import Plate

MEASURE_VERSION = f"3.{POLICY_NAME}"
INPUT_IMAGE_NAME = "input_image.json"
HISTOGRAMS_NAME = "input_color_histograms.json"
THUMBNAIL_NAME = "thumbnail.jpg"
COST_NAME = "groundwork.json"
FAILURE_NAME = "groundwork_failure.json"
MEASURED_NAMES = tuple(f"derived/{name}" for name in (INPUT_IMAGE_NAME, HISTOGRAMS_NAME, COST_NAME, FAILURE_NAME))
"""Paths of the JSON files of the groundwork, those of a failure included."""


@dataclass(frozen=True)
class Groundwork:
    """The two measured files of one plate."""

    input_image: InputImage
    histograms: ColorHistograms


class Measured(Protocol):
    """What every file of the groundwork states: which version of the code made it, and from which source."""

    @property
    def measure_version(self) -> str:
        """Version of the code."""
        ...

    @property
    def source_sha256(self) -> str:
        """sha256 of the source."""
        ...


def is_present(plate: Plate, measured: Measured) -> bool:
    """Whether this version of the code made a file from the source as it is registered now."""
    return (measured.measure_version, measured.source_sha256) == (MEASURE_VERSION, plate.source_sha256())


def read_groundwork(plate: Plate) -> Groundwork | None:
    """The plate's two files, or None unless this version of the code made both from the present source."""
    paths = [plate.derived_path(name) for name in (INPUT_IMAGE_NAME, HISTOGRAMS_NAME)]
    if not all(path.is_file() for path in paths):
        return None
    input_image = read_json(paths[0], InputImage)
    histograms = read_json(paths[1], ColorHistograms)
    if not (is_present(plate, input_image) and is_present(plate, histograms)):
        return None
    return Groundwork(input_image, histograms)


def read_groundwork_failure(plate: Plate) -> GroundworkFailure | None:
    """The failure of this version of the code on the present source, or None."""
    path = plate.derived_path(FAILURE_NAME)
    if not path.is_file():
        return None
    failure = read_json(path, GroundworkFailure)
    return failure if is_present(plate, failure) else None


def measured_files(plate: Plate) -> list[Path]:
    """Those of a plate that exist."""
    return [path for name in MEASURED_NAMES if (path := plate.folder / name).is_file()]

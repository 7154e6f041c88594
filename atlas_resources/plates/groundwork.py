"""The groundwork of a plate on disk: its two measured files, or why and how often measuring failed."""

from dataclasses import dataclass

from atlas_resources.plates.colour_policy import POLICY_NAME
from atlas_resources.plates.contracts import ColorHistograms, GroundworkFailure, InputImage
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.plate import Plate

MEASURE_VERSION = f"2.{POLICY_NAME}"
INPUT_IMAGE_NAME = "input_image.json"
HISTOGRAMS_NAME = "input_color_histograms.json"
FAILURE_NAME = "groundwork_failure.json"


@dataclass(frozen=True)
class Groundwork:
    """The two measured files of one plate."""

    input_image: InputImage
    histograms: ColorHistograms


def read_groundwork(plate: Plate) -> Groundwork | None:
    """The plate's two files, or None unless this version of the code made both from the present source."""
    paths = [plate.derived_path(name) for name in (INPUT_IMAGE_NAME, HISTOGRAMS_NAME)]
    if not all(path.is_file() for path in paths):
        return None
    input_image = read_json(paths[0], InputImage)
    histograms = read_json(paths[1], ColorHistograms)
    present = (MEASURE_VERSION, plate.source_sha256())
    if not all((made.measure_version, made.source_sha256) == present for made in (input_image, histograms)):
        return None
    return Groundwork(input_image, histograms)


def read_groundwork_failure(plate: Plate) -> GroundworkFailure | None:
    """The failure of this version of the code on the present source, or None."""
    path = plate.derived_path(FAILURE_NAME)
    if not path.is_file():
        return None
    failure = read_json(path, GroundworkFailure)
    present = (MEASURE_VERSION, plate.source_sha256())
    return failure if (failure.measure_version, failure.source_sha256) == present else None

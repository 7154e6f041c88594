"""The state of a plate with the groundwork, from the files in its `derived/`."""

from datetime import datetime

from atlas_resources.ledgers.completeness.states import PlateState, Result, broken, first_line, state_of_attempts
from atlas_resources.plates.contracts import GroundworkCost, InputImage
from atlas_resources.plates.groundwork import (
    COST_NAME,
    HISTOGRAMS_NAME,
    INPUT_IMAGE_NAME,
    MEASURE_VERSION,
    is_present,
    read_groundwork,
    read_groundwork_failure,
)
from atlas_resources.plates.json_files import DatasetBroken, read_json
from atlas_resources.plates.plate import Plate


def groundwork_state(plate: Plate, most_attempts: int) -> PlateState:
    """The state of a plate; both measured files are read."""
    try:
        measured = read_groundwork(plate)
        if measured:
            result = Result(MEASURE_VERSION, measured.input_image.source_sha256, made_at=_measured_at(plate))
            return PlateState(plate.id, "done", result=result)
        failure = read_groundwork_failure(plate)
        plate.source_digest()
        older = _older_groundwork(plate)
        changed = _changed_groundwork(older, plate.source_sha256()) if older else ""
    except (OSError, ValueError, LookupError) as error:
        return broken(plate.id, str(error))
    if failure:
        return PlateState(
            plate.id,
            state_of_attempts(failure.attempts, most_attempts),
            first_line(failure.message),
            failure.attempts,
            result=older,
            failed_at=failure.failed_at,
            what_changed=changed,
        )
    return PlateState(plate.id, "stale" if older else "missing", result=older, what_changed=changed)


def _older_groundwork(plate: Plate) -> Result | None:
    """The groundwork of an earlier version or source; None if one of its files is missing, or they disagree."""
    path = plate.derived_path(INPUT_IMAGE_NAME)
    if not path.is_file() or not plate.derived_path(HISTOGRAMS_NAME).is_file():
        return None
    facts = read_json(path, InputImage)
    return None if is_present(plate, facts) else Result(facts.measure_version, facts.source_sha256)


def _changed_groundwork(older: Result, source_sha256: str) -> str:
    source = f"source {older.source_sha256[:8]} -> {source_sha256[:8]}"
    version = f"measure version {older.version} -> {MEASURE_VERSION}"
    changes = ((older.source_sha256 != source_sha256, source), (older.version != MEASURE_VERSION, version))
    return "; ".join(text for is_changed, text in changes if is_changed)


def _measured_at(plate: Plate) -> datetime | None:
    """When the present groundwork was measured; None if `groundwork.json`, which nothing depends on, does not say."""
    path = plate.derived_path(COST_NAME)
    try:
        cost = read_json(path, GroundworkCost) if path.is_file() else None
    except DatasetBroken:
        return None
    return cost.measured_at if cost and is_present(plate, cost) else None

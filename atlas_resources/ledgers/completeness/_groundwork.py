"""The state of a plate with the groundwork, from the files in its `derived/`."""

from datetime import datetime

from atlas_resources.ledgers.completeness._runs import first_line
from atlas_resources.ledgers.completeness.states import PlateState, Result, broken, state_of_attempts
from atlas_resources.plates.groundwork import (
    COST_NAME,
    HISTOGRAMS_NAME,
    INPUT_IMAGE_NAME,
    MEASURE_VERSION,
    is_present,
    read_groundwork_failure,
)
from atlas_resources.plates.index.measured import Stated, read_stated
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.plate import Plate

MEASURED_FILES = (INPUT_IMAGE_NAME, HISTOGRAMS_NAME)


def groundwork_state(plate: Plate, most_attempts: int) -> PlateState:
    """The state of a plate. Each measured file is read once in this process, until it changes."""
    try:
        paths = [plate.derived_path(name) for name in MEASURED_FILES]
        is_whole = all(path.is_file() for path in paths)
        measured = [read_stated(path) for path in paths] if is_whole else []
        if is_whole and all(is_present(plate, file) for file in measured):
            return PlateState(plate.id, "done", result=_result(measured[0], _measured_at(plate)))
        failure = read_groundwork_failure(plate)
        plate.source_digest()
        older = _result(measured[0], None) if is_whole and len(set(measured)) == 1 else None
        changed = _changed(older, plate.source_sha256()) if older else ""
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


def _result(file: Stated, measured_at: datetime | None) -> Result:
    return Result(file.measure_version, file.source_sha256, made_at=measured_at)


def _measured_at(plate: Plate) -> datetime | None:
    """When the present groundwork was measured; None if `groundwork.json`, which nothing depends on, does not say."""
    try:
        cost = read_stated(plate.derived_path(COST_NAME))
    except DatasetBroken:
        return None
    return cost.measured_at if is_present(plate, cost) else None


def _changed(older: Result, source_sha256: str) -> str:
    source = f"source {older.source_sha256[:8]} -> {source_sha256[:8]}"
    version = f"measure version {older.version} -> {MEASURE_VERSION}"
    changes = ((older.source_sha256 != source_sha256, source), (older.version != MEASURE_VERSION, version))
    return "; ".join(text for is_changed, text in changes if is_changed)

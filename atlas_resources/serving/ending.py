"""Ending a server that was started here, with its record."""

import shutil
import signal
from contextlib import suppress

import psutil

from atlas_resources.models.servers.records import read_records, records_folder, remove_record
from atlas_resources.models.servers.running import why_other_process
from atlas_resources.plates.run_contracts import ServerRecord
from atlas_resources.serving.finding import ServingFailed
from atlas_resources.serving.snapshot import TEMPLATE_NAME

STOP_SECONDS = 20.0


def require_not_running(key: str) -> None:
    """Removes the record of a server that has ended. Raises ServingFailed if it runs."""
    record = read_records().get(key)
    if record is not None and record.process_id is not None and why_other_process(record) is None:
        raise ServingFailed(
            f"{key} is served already, by process {record.process_id} at {record.endpoint}. "
            f"Fix: `atlas models servers --stop {key}`"
        )
    remove_record(key)


def end(record: ServerRecord) -> bool:
    """Ends the recorded process. Returns whether it ran. A process that is another one by now is left alone."""
    if record.process_id is None or why_other_process(record):
        return False
    end_process(record.process_id)
    return True


def end_process(process_id: int) -> None:
    """Ends a process and those that it started: asks it to, and kills what is left after a while."""
    try:
        main = psutil.Process(process_id)
        all_of_it = [main, *main.children(recursive=True)]
        main.send_signal(signal.SIGTERM)
    except psutil.NoSuchProcess:
        return
    _, left = psutil.wait_procs(all_of_it, STOP_SECONDS)
    for one in left:
        with suppress(psutil.NoSuchProcess):
            one.kill()
    psutil.wait_procs(left, STOP_SECONDS)


def stop(key: str) -> bool:
    """Ends the server that was started for an instrument, and removes its record and links. Returns whether it ran."""
    record = read_records().get(key)
    is_ended = record is not None and end(record)
    tidy(key)
    return is_ended


def tidy(key: str) -> None:
    """Removes the record, the links and the template of a server that does not run. Its log stays."""
    remove_record(key)
    shutil.rmtree(records_folder() / f"{key}.files", ignore_errors=True)
    (records_folder() / f"{key}.{TEMPLATE_NAME}").unlink(missing_ok=True)

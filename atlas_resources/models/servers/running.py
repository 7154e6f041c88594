"""Whether the server of a record runs and is the one that was recorded; and the one that an instrument may ask."""

import socket
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import psutil

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.servers.records import (
    ServerMissing,
    differences,
    read_records,
    start_command,
)
from atlas_resources.models.weights import why_without_weights
from atlas_resources.plates.run_contracts import ServerRecord

CLOCK_SECONDS = 2.0
"""The start of a process is known to about a second: from the machine's start, which the clock may have shifted."""
ASKED_SECONDS = 15.0


def started_at(process_id: int) -> datetime:
    """When a process started, UTC. Raises psutil.NoSuchProcess."""
    return datetime.fromtimestamp(psutil.Process(process_id).create_time(), UTC)


def why_other_process(record: ServerRecord) -> str | None:
    """Why the process of a record is not the one that was started; None if it is, or if somebody else runs it."""
    if record.process_id is None:
        return None
    if record.host != socket.gethostname():
        return f"it was started on {record.host}, and this is {socket.gethostname()}"
    try:
        process = psutil.Process(record.process_id)
        is_ended = process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        is_ended, process = True, None
    if is_ended or process is None:
        return f"its process {record.process_id} has ended"
    if abs(process.create_time() - record.started_at.timestamp()) > CLOCK_SECONDS:
        return f"process {record.process_id} is another one by now"
    return None


def why_not_listening(record: ServerRecord) -> str | None:
    """Why no process of the recorded server listens at its address; None if one does, or if somebody else runs it."""
    if record.process_id is None:
        return None
    port = urlsplit(record.endpoint).port
    try:
        process = psutil.Process(record.process_id)
        processes = [process, *process.children(recursive=True)]
        listening = {
            one.laddr.port
            for some in processes
            for one in some.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN
        }
    except psutil.Error as error:
        return f"process {record.process_id} cannot be looked at: {error}"
    return None if port in listening else f"process {record.process_id} does not listen on port {port}"


def _stated(record: ServerRecord, path: str) -> Any:
    """The JSON at a path of the server. Raises HTTPError or OSError without an answer, ValueError for another one."""
    from atlas_resources.models.servers.connections import open_connection

    with open_connection(record, ASKED_SECONDS) as connection:
        response = connection.get(f"{record.endpoint.rstrip('/')}{path}")
    if response.status_code != 200:
        raise ValueError(f"answers {response.status_code}")
    return response.json()


def _listed(record: ServerRecord) -> list[str]:
    """The names of the models in `/v1/models`."""
    return [str(one["id"]) for one in _stated(record, "/v1/models")["data"]]


def _named_by_triton(record: ServerRecord) -> list[str]:
    """The name of the one model that is asked for: Triton states only whether it has it."""
    return [str(_stated(record, f"/v2/models/{record.model_name}")["name"])]


def _why_not_named(record: ServerRecord, name_models: Callable[[ServerRecord], list[str]]) -> str | None:
    import httpx2

    try:
        names = name_models(record)
    except (httpx2.HTTPError, OSError) as error:
        return f"{record.endpoint} does not answer: {type(error).__name__}"
    except (ValueError, KeyError, TypeError) as error:
        return f"{record.endpoint} does not name its models: {error}"
    if record.model_name not in names:
        return f"{record.endpoint} serves {', '.join(names) or 'nothing'}, not {record.model_name}"
    return None


ANSWERS: Mapping[str, Callable[[ServerRecord], str | None]] = {
    "triton": lambda record: _why_not_named(record, _named_by_triton)
}
"""How a program that has no `/v1/models` is asked what it serves."""


def why_other_model(record: ServerRecord) -> str | None:
    """Why the address does not serve the recorded model; None if it names it."""
    ask = ANSWERS.get(record.program)
    return ask(record) if ask else _why_not_named(record, _listed)


def why_not_answering(record: ServerRecord) -> str | None:
    """Why the server of a record cannot be asked now; None if it is the recorded process and names its model."""
    return why_other_process(record) or why_not_listening(record) or why_other_model(record)


def require_server(spec: Spec) -> ServerRecord:
    """Returns the record of a running server whose pins are those of the spec.

    It may have been started for another instrument: the stages of a plan ask one server.

    Raises:
        ServerMissing: none was started, it has ended, or what runs is something else.
    """
    records = read_records()
    same = [record for record in records.values() if not differences(spec, record)]
    reasons = []
    for record in same:
        reason = why_not_answering(record)
        if reason is None:
            return record
        reasons.append(reason)
    raise ServerMissing(f"{spec.key}: {_why_missing(spec, records, reasons)}. Fix: `{start_command(spec)}`")


def _why_missing(spec: Spec, records: Mapping[str, ServerRecord], reasons: list[str]) -> str:
    if reasons:
        return f"the server that it declares cannot be asked: {'; '.join(reasons)}"
    alike = {key: one for key, one in records.items() if one.model_id == spec.model_id or key == spec.key}
    for key, record in alike.items():
        if why_other_process(record) is None:
            return f"served by something else: of the server {key}, {'; '.join(differences(spec, record))}"
    return f"no server of {spec.model_id} was started for it"


def why_without_server(spec: Spec) -> str:
    """Why a served instrument has to wait for its server, with the command; empty if it need not.

    Looks at records and processes only, and asks no server: quick enough for a sensor.
    """
    if spec.served is None:
        return ""
    same = [record for record in read_records().values() if not differences(spec, record)]
    if any(why_other_process(record) is None for record in same):
        return ""
    return f"no server of {spec.model_id} runs. Fix: `{start_command(spec)}`"


def why_waiting(instrument: Instrument) -> str:
    """Why an instrument cannot run here now: weights, or the server of one of those that answer; empty if it can.

    Looks at files and processes only, and asks no server.
    """
    reasons, one = [why_without_weights(instrument)], instrument
    while one is not None:
        reasons.append(why_without_server(one.spec))
        one = one.upstream
    return "; ".join(reason for reason in dict.fromkeys(reasons) if reason)

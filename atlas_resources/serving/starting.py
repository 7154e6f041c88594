"""Starting the program that serves a pinned model on loopback, and ending it."""

import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from atlas_resources.files.digests import digest_of
from atlas_resources.files.durable import make_folder
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.servers.connections import open_connection
from atlas_resources.models.servers.errors import ServerLost
from atlas_resources.models.servers.records import (
    records_folder,
    without_secrets,
    write_record,
)
from atlas_resources.models.servers.running import started_at, why_other_model
from atlas_resources.models.servers.snapshot_words import token_ids
from atlas_resources.models.weights import LocatedWeights, require_weights
from atlas_resources.plates.run_contracts import ServerRecord
from atlas_resources.serving.ending import end_process, require_not_running, tidy
from atlas_resources.serving.finding import ServingFailed, find_program
from atlas_resources.serving.probing import probe
from atlas_resources.serving.programs import LOOPBACK, Launch, ServingProgram, environment_of, served_name
from atlas_resources.serving.snapshot import TEMPLATE_NAME, lay_out, lay_out_cache, require_template

TAIL_LINES = 25
STOP_SECONDS = 20.0
LOOK_SECONDS = 0.5


@dataclass(frozen=True)
class Started:
    """A program that runs.

    Attributes:
        key: the instrument that it was started for.
        process: the program.
        record: what is known of it.
        log: file with what it prints.
    """

    key: str
    process: subprocess.Popen
    record: ServerRecord
    log: Path


def free_port() -> int:
    """A port of loopback that nothing listens on now."""
    with socket.socket() as one:
        one.bind((LOOPBACK, 0))
        return one.getsockname()[1]


@dataclass(frozen=True)
class Wanted:
    """How a person wants a server started.

    Attributes:
        program: its name, to be compared with the declared one; None for the declared one.
        path: of the program; None to look on PATH.
        port: of loopback; None for a free one.
        wait_seconds: limit of the wait for the first answer.
    """

    program: str | None = None
    path: str | None = None
    port: int | None = None
    wait_seconds: float = 900


def start(
    spec: Spec, wanted: Wanted = Wanted(), *, has_schema: bool = False, on_line: Callable[[str], None] = print
) -> Started:
    """Starts the declared program over the verified files, waits until it answers, probes it and writes its record.

    Args:
        spec: the instrument.
        wanted: how it is started.
        has_schema: whether one of the instrument's questions has a JSON Schema.
        on_line: receives a line for each thing done.

    Raises:
        WeightsMissing, WeightsMismatch: see `require_weights`; or another chat template is declared.
        ServingFailed: see `find_program`; or the program ended, or did not answer in time. It does not run then.
        ProbeRefused: the server ignores what the spec relies on. It does not run then.
    """
    require_not_running(spec.key)
    served, program, executable, version = find_program(spec, wanted.program, wanted.path)
    if spec.numeric is None:
        raise ServingFailed(f"{spec.key}: numeric is not declared. Fix: `atlas models check` shows what is missing")
    on_line(f"{served.program} {version}: {executable}")
    weights = require_weights(spec)
    template = require_template(spec, weights)
    on_line(f"{len(weights.files)} pinned files verified")
    folder, log = _lay_out(spec, program, weights), records_folder() / f"{spec.key}.log"
    launch = Launch(
        executable,
        folder,
        wanted.port or free_port(),
        served_name(spec),
        spec.numeric,
        served.flags,
        _write_template(template, records_folder() / f"{spec.key}.{TEMPLATE_NAME}"),
    )
    try:
        process = _spawn(program, launch, log)
    except (OSError, ValueError) as error:
        raise ServingFailed(f"{spec.key}: {executable} cannot be started: {error}") from error
    try:
        record = _record_of(spec, version, launch, weights, process)
        started = Started(spec.key, process, record, log)
        _wait(started, program, wanted.wait_seconds, on_line)
        return _probed(spec, started, on_line, has_schema=has_schema, token_ids=token_ids(weights.files))
    except BaseException:
        end_process(process.pid)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        tidy(spec.key)
        raise


def _lay_out(spec: Spec, program: ServingProgram, weights: LocatedWeights) -> Path:
    """The folder with links that the program reads, in the folder of the records."""
    folder = records_folder() / f"{spec.key}.files"
    make_folder(records_folder())
    records_folder().chmod(0o700)
    return lay_out_cache(spec, weights, folder) if program.layout == "hub_cache" else lay_out(weights, folder)


def _write_template(template: str | None, path: Path) -> Path | None:
    if template is None:
        return None
    path.write_text(template, encoding="utf-8")
    return path


def _spawn(program: ServingProgram, launch: Launch, log: Path) -> subprocess.Popen:
    """The program, in a session of its own, so that a Ctrl-C in the terminal reaches only the command that waits."""
    variables = environment_of(program, launch.executable)
    if program.layout == "hub_cache":
        variables |= {"HF_HUB_CACHE": str(launch.folder), "HF_HOME": str(launch.folder.parent / "empty")}
    with log.open("wb") as output:
        return subprocess.Popen(
            program.command(launch), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=variables,
            start_new_session=True,
        )  # fmt: skip


def _record_of(
    spec: Spec, version: str, launch: Launch, weights: LocatedWeights, process: subprocess.Popen
) -> ServerRecord:
    """What is known of a program before it answers."""
    if spec.served is None:
        raise ServingFailed(f"{spec.key} declares no server")
    try:
        begun = started_at(process.pid)
    except psutil.NoSuchProcess as error:
        raise ServingFailed(f"process {process.pid} ended at once with exit code {process.poll()}") from error
    return ServerRecord(
        program=spec.served.program,
        version=version,
        flags=spec.served.flags,
        dtype=launch.numeric.dtype,
        device=launch.numeric.device,
        command=[_without_folders(word, launch) for word in process.args],  # type: ignore[union-attr] # a list
        endpoint=f"http://{LOOPBACK}:{launch.port}",
        model_name=launch.model_name,
        model_id=spec.model_id,
        files={name: digest_of(path) for name, path in sorted(weights.files.items())},
        host=socket.gethostname(),
        process_id=process.pid,
        started_at=begun,
        attested_by=None,
        honoured={},
    )


def _without_folders(word: str, launch: Launch) -> str:
    """A word of the command without paths of this machine, since manifests keep none."""
    for path in (launch.folder, launch.template, Path(launch.executable)):
        if path is not None:
            word = word.replace(str(path), path.name)
    return word


def _probed(spec: Spec, started: Started, on_line: Callable[[str], None], **asked: Any) -> Started:
    """Probes and records. Raises as `start` does."""
    try:
        honoured, notes = probe(spec, started.record, **asked)
    except ServerLost as error:
        raise ServingFailed(f"{error}\n{tail(started.log)}") from error
    record = started.record.model_copy(update={"honoured": honoured, "notes": notes})
    for note in notes:
        on_line(note)
    write_record(spec.key, record)
    return Started(started.key, started.process, record, started.log)


def _wait(started: Started, program: ServingProgram, wait_seconds: float, on_line: Callable[[str], None]) -> None:
    record, begun, shown = started.record, time.monotonic(), 0
    on_line(f"starting at {record.endpoint}, process {record.process_id}; log: {started.log}")
    while True:
        seconds = time.monotonic() - begun
        if (code := started.process.poll()) is not None:
            raise ServingFailed(f"{record.program} ended with exit code {code} before it answered\n{tail(started.log)}")
        if _is_healthy(record, program.health_path) and why_other_model(record) is None:
            on_line(f"answers after {seconds:.0f} s")
            return
        if seconds > wait_seconds:
            raise ServingFailed(f"{record.program} did not answer within {wait_seconds:g} s\n{tail(started.log)}")
        if seconds // 15 > shown:
            shown = int(seconds // 15)
            on_line(f"waiting for the first answer, {seconds:.0f} s of at most {wait_seconds:g} s")
        time.sleep(LOOK_SECONDS)


def _is_healthy(record: ServerRecord, path: str) -> bool:
    import httpx2

    with suppress(httpx2.HTTPError, OSError), open_connection(record, 5.0) as connection:
        return connection.get(f"{record.endpoint}{path}").status_code == 200
    return False


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    """The last lines of a log."""
    with suppress(OSError):
        text = log.read_bytes()[-16000:].decode(errors="replace")
        return "\n".join(["the log ends:", *map(without_secrets, text.splitlines()[-lines:])])
    return "there is no log"

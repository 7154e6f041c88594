"""`atlas models serve` and `atlas models probe`: start the server of an instrument, or ask one what it honours."""

import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from atlas_assets.cli.output import console, fail

if TYPE_CHECKING:
    from atlas_resources.instruments.registry import Registry
    from atlas_resources.instruments.spec.spec import Spec
    from atlas_resources.serving.starting import Started

ENDED_BY_REQUEST = (0, -signal.SIGTERM)
"""Exit codes of a server that was asked to end, such as by `atlas models servers --stop`."""


def models_serve(
    name: Annotated[str, typer.Argument(metavar="KEY", help="Key, model id or alias of a served instrument.")],
    *,
    program: Annotated[
        str | None,
        typer.Option(
            "--with",
            help="vllm, lmdeploy, transformers, llama-cpp or triton: must be the declared program, if it is given.",
        ),
    ] = None,
    path: Annotated[
        str | None,
        typer.Option("--program", metavar="PATH", help="The program, such as one in an environment of its own."),
    ] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port of loopback; by default a free one.")] = None,
    wait: Annotated[float, typer.Option(min=1, help="Seconds to wait for the first answer.")] = 900,
    is_detached: Annotated[bool, typer.Option("--detach", help="Return once it answers; leave it running.")] = False,
) -> None:
    """Serve the pinned weights of an instrument on loopback, by the program that its spec declares, until Ctrl-C.

    The weights are verified, the version of the program is compared with the declared one, the program reads the pinned
    files only and opens no connection to a hub, and what it honours is probed and recorded. Runs of the instrument, and
    of others that declare the same server, then ask it.
    """
    from atlas_resources.serving.ending import stop
    from atlas_resources.serving.finding import ServingFailed
    from atlas_resources.serving.probing import ProbeRefused
    from atlas_resources.serving.starting import Wanted, start

    registry, spec = _asked(name)
    wanted = Wanted(program, path, port, wait)
    try:
        started = start(spec, wanted, has_schema=_has_schema(registry, spec), on_line=_say)
    except (ServingFailed, ProbeRefused, OSError, ValueError) as error:  # weights are an OSError or a ValueError
        raise fail(str(error)) from None
    except KeyboardInterrupt:
        raise fail(f"{spec.key}: ended before it answered") from None
    record = started.record
    if is_detached:
        _say(f"serves {record.model_name} at {record.endpoint}. It ends by `atlas models servers --stop {spec.key}`")
        return
    code = _serve_until_end(started)
    stop(spec.key)
    if code is not None:
        raise fail(f"{record.program} ended with exit code {code}. Its log: {started.log}")
    _say("ended")


def _serve_until_end(started: "Started") -> int | None:
    """Says that it serves and waits. The exit code of a server that ends by itself; None if somebody ends it."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    signal.siginterrupt(signal.SIGINT, True)  # importing Polars has Ctrl-C restart system calls: the wait would go on
    try:
        _say(f"serves {started.record.model_name} at {started.record.endpoint}; Ctrl-C ends it")
        code = started.process.wait()
    except KeyboardInterrupt:
        return None
    finally:
        signal.signal(signal.SIGTERM, before)
    return None if code in ENDED_BY_REQUEST else code


def models_probe(
    name: Annotated[str, typer.Argument(metavar="KEY", help="Key, model id or alias of a served instrument.")],
) -> None:
    """Probe a server that somebody else runs, as the spec declares it, and write its record.

    Runs of the instrument ask it afterwards. The key that it wants, if any, is taken from ATLAS_SERVER_API_KEY, sent to
    the declared endpoint alone, and written nowhere.
    """
    from atlas_resources.models.servers.errors import ServerLost
    from atlas_resources.models.servers.records import write_record
    from atlas_resources.models.servers.running import why_other_model
    from atlas_resources.serving.probing import ProbeRefused, attested_record, probe

    registry, spec = _asked(name)
    served = spec.served
    if served is None or served.endpoint is None:
        raise fail(f"{spec.key} declares no server of somebody else. Fix: `atlas models serve {spec.key}`")
    record = attested_record(spec, datetime.now(UTC))
    if reason := why_other_model(record):
        raise fail(f"{spec.key}: {reason}. Fix: start that server, or correct `served` in model_specs/{spec.key}.yaml")
    try:
        honoured, notes = probe(spec, record, has_schema=_has_schema(registry, spec), token_ids={})
    except (ProbeRefused, ServerLost) as error:
        raise fail(str(error)) from None
    for note in notes:
        _say(note)
    write_record(spec.key, record.model_copy(update={"honoured": honoured, "notes": notes}))
    _say(f"{record.model_name} at {record.endpoint}, attested by {record.attested_by}: recorded")


def _asked(name: str) -> tuple["Registry", "Spec"]:
    """The registry, and the served instrument of this name. Exits with an error for another."""
    from atlas_resources.instruments.registry import read_registry

    registry = read_registry()
    try:
        spec = registry.resolve(name).spec
    except KeyError as error:
        raise fail(str(error.args[0])) from None
    status = registry.status(spec.key)
    if status.name != "admitted":
        raise fail(f"{spec.key}, {status.name}: {status.reason}. {status.fix(spec.variant_of or spec.key)}")
    return registry, spec


def _has_schema(registry: "Registry", spec: "Spec") -> bool:
    return any(prompt.json_schema for prompt in registry.instruments[spec.key].prompts)


def _say(line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)

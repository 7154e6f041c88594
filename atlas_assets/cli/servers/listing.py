"""`atlas models servers`: which servers were started or probed, whether each runs, and ending one."""

from typing import Annotated

import typer

from atlas_assets.cli.output import console, fail


def models_servers(
    stopped: Annotated[
        str | None, typer.Option("--stop", metavar="KEY", help="End the server that was started for this instrument.")
    ] = None,
) -> None:
    """List the servers of this user on this machine: instrument, program, address, process and what each honours.

    A server that has ended is shown once more, and its record is removed.
    """
    from atlas_resources.models.servers.records import read_records
    from atlas_resources.models.servers.running import why_not_answering, why_other_process
    from atlas_resources.serving.ending import stop

    records = read_records()
    if stopped is not None:
        if stopped not in records:
            raise fail(f"no server was started for {stopped!r}. Fix: `atlas models servers` lists those that were")
        console.print(f"{stopped}: {'ended' if stop(stopped) else 'had ended; its record is removed'}", markup=False)
        return
    if not records:
        console.print("no servers. `atlas models serve KEY` starts one")
    for key, record in records.items():
        reason = why_not_answering(record)
        if why_other_process(record) is not None:
            stop(key)
        known = [f"{name} {'yes' if value else 'no'}" for name, value in record.honoured.items() if value is not None]
        who = f"attested by {record.attested_by}" if record.attested_by else f"process {record.process_id}"
        console.print(
            f"{key}  {record.program} {record.version}  {record.endpoint}  {who}  "
            f"{f'gone: {reason}' if reason else 'answers'}  honours: {', '.join(known) or 'nothing known'}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )

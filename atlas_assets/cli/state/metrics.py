"""`atlas metrics`: the library's metrics, for Prometheus."""

from typing import Annotated

import typer

from atlas_assets.cli.output import console, fail, open_dataset


def metrics(
    to_stdout: Annotated[
        bool, typer.Option("--stdout", help="Print them instead; nothing is written or sent.")
    ] = False,
) -> None:
    """Write the library's metrics for Prometheus into the folder that metrics.yaml states, and push them if it says so.

    Plates, their states with each active instrument, and when each ledger was written: as the ledgers say, which are
    read and not refreshed. The sensor `library_metrics` does the same every minute; runs write their own. See
    docs/watching.md.
    """
    from prometheus_client import generate_latest

    from atlas_resources.ledgers.gauges.library import LibraryMetrics, publish_library
    from atlas_resources.watching.settings import SETTINGS_NAME, read_metrics_settings

    dataset = open_dataset()
    if to_stdout:
        typer.echo(generate_latest(LibraryMetrics(dataset)).decode(), nl=False)
        return
    try:
        settings = read_metrics_settings()
        if settings.folder is None:
            raise fail(f"{SETTINGS_NAME} states no folder; nothing was written. Fix: state one, or use --stdout")
        path = publish_library(dataset, settings, settings.folder)
    except (OSError, ValueError) as error:
        raise fail(str(error)) from None
    console.print(str(path), markup=False, highlight=False, soft_wrap=True)

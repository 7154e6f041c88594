"""The `atlas` command: every command and group of commands, in the order that `--help` lists them."""

from collections.abc import Callable
from typing import Annotated

import typer

from atlas_assets.cli.backfill import backfill, selections
from atlas_assets.cli.benchmarks.command import models_bench
from atlas_assets.cli.demo import demo
from atlas_assets.cli.dictionary.command import dictionary
from atlas_assets.cli.exports.provenance import export_crate, export_openlineage, export_prov
from atlas_assets.cli.exports.tables import export, export_embeddings, export_sqlite
from atlas_assets.cli.exports.viewers import export_regions
from atlas_assets.cli.init import init
from atlas_assets.cli.models.derive import models_derive
from atlas_assets.cli.models.golden import models_golden
from atlas_assets.cli.models.hub import models_pin, models_pull, models_verify
from atlas_assets.cli.models.listing import models_check, models_docs, models_list, models_show
from atlas_assets.cli.models.prompts import prompts_list, prompts_record
from atlas_assets.cli.models.sync import models_sync
from atlas_assets.cli.output import console, fail
from atlas_assets.cli.page.command import page
from atlas_assets.cli.plates.add import plates_add
from atlas_assets.cli.plates.corrections import plates_export, plates_update
from atlas_assets.cli.plates.listing import plates_list, plates_show
from atlas_assets.cli.plates.pull import plates_pull
from atlas_assets.cli.provenance.affected import affected_by
from atlas_assets.cli.provenance.reproduce import reproduce
from atlas_assets.cli.provenance.snapshot import (
    snapshot_create,
    snapshot_diff,
    snapshot_list,
    snapshot_show,
    snapshot_verify,
)
from atlas_assets.cli.provenance.verify import verify
from atlas_assets.cli.provenance.why import why
from atlas_assets.cli.provenance.withdraw import restore, withdraw, withdrawals
from atlas_assets.cli.query import query
from atlas_assets.cli.run import run
from atlas_assets.cli.servers.listing import models_servers
from atlas_assets.cli.servers.serve import models_probe, models_serve
from atlas_assets.cli.spaces.compare import compare
from atlas_assets.cli.spaces.search import search
from atlas_assets.cli.spaces.similar import similar
from atlas_assets.cli.state.change_partitions import change_partitions
from atlas_assets.cli.state.metrics import metrics
from atlas_assets.cli.state.repair_events import repair_events
from atlas_assets.cli.state.status import status
from atlas_assets.cli.store.commands import store_publish, store_pull, store_push, store_status, store_verify
from atlas_assets.cli.tags import tags_add, tags_import, tags_list
from atlas_assets.cli.ui import ui

DISTRIBUTION = "atlas-plates"

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="""Measure scanned art plates with pinned models, and keep every number traceable.

The dataset is in **ATLAS_HOME** (default `data/atlas`). A first session:

- `atlas plates add ~/scans` registers scans; the files are copied, never altered
- `atlas run` materialises the whole graph in this process; `atlas backfill NAME` asks a running Dagster to
- `atlas query "FROM nearest('plate-001', 'efficientnet_lite0', 5)"` asks in SQL
- `atlas ui` opens the Dagster UI, on loopback
""",
)
plates_app = typer.Typer(
    no_args_is_help=True, help="Register, fetch and list plates, and correct what their index states."
)
models_app = typer.Typer(no_args_is_help=True, help="List, check and fetch the instruments of model_specs/.")
snapshot_app = typer.Typer(
    no_args_is_help=True, help="Freeze named states of the library, compare, verify and cite them."
)
store_app = typer.Typer(no_args_is_help=True, help="Keep the dataset in a bucket or a folder that workers share.")
tags_app = typer.Typer(no_args_is_help=True, help="Tag plates, and accept, reject or correct what machines made.")
prompts_app = typer.Typer(no_args_is_help=True, help="List and record the prompt sets of model_specs/prompts/.")

GROUPS: tuple[tuple[typer.Typer, str, typer.Typer], ...] = (
    (app, "plates", plates_app),
    (app, "models", models_app),
    (app, "snapshot", snapshot_app),
    (app, "store", store_app),
    (app, "tags", tags_app),
    (models_app, "prompts", prompts_app),
)
COMMANDS: tuple[tuple[typer.Typer, str, Callable[..., None]], ...] = (
    (app, "run", run),
    (app, "status", status),
    (app, "metrics", metrics),
    (app, "verify", verify),
    (app, "reproduce", reproduce),
    (app, "repair-events", repair_events),
    (app, "change-partitions", change_partitions),
    (app, "withdraw", withdraw),
    (app, "restore", restore),
    (app, "withdrawals", withdrawals),
    (app, "backfill", backfill),
    (app, "selections", selections),
    (app, "query", query),
    (app, "search", search),
    (app, "similar", similar),
    (app, "compare", compare),
    (app, "why", why),
    (app, "affected-by", affected_by),
    (app, "page", page),
    (app, "export", export),
    (app, "export-regions", export_regions),
    (app, "export-sqlite", export_sqlite),
    (app, "export-embeddings", export_embeddings),
    (app, "export-prov", export_prov),
    (app, "export-crate", export_crate),
    (app, "export-openlineage", export_openlineage),
    (app, "ui", ui),
    (app, "init", init),
    (app, "demo", demo),
    (app, "dictionary", dictionary),
    (plates_app, "add", plates_add),
    (plates_app, "pull", plates_pull),
    (plates_app, "list", plates_list),
    (plates_app, "show", plates_show),
    (plates_app, "export", plates_export),
    (plates_app, "update", plates_update),
    (models_app, "list", models_list),
    (models_app, "check", models_check),
    (models_app, "show", models_show),
    (models_app, "pull", models_pull),
    (models_app, "sync", models_sync),
    (models_app, "pin", models_pin),
    (models_app, "derive", models_derive),
    (models_app, "verify", models_verify),
    (models_app, "golden", models_golden),
    (models_app, "serve", models_serve),
    (models_app, "servers", models_servers),
    (models_app, "probe", models_probe),
    (models_app, "bench", models_bench),
    (models_app, "docs", models_docs),
    (snapshot_app, "create", snapshot_create),
    (snapshot_app, "list", snapshot_list),
    (snapshot_app, "show", snapshot_show),
    (snapshot_app, "diff", snapshot_diff),
    (snapshot_app, "verify", snapshot_verify),
    (store_app, "status", store_status),
    (store_app, "push", store_push),
    (store_app, "pull", store_pull),
    (store_app, "verify", store_verify),
    (store_app, "publish", store_publish),
    (tags_app, "add", tags_add),
    (tags_app, "import", tags_import),
    (tags_app, "list", tags_list),
    (prompts_app, "list", prompts_list),
    (prompts_app, "record", prompts_record),
)
"""Group, name, function. A new command is a function in a module of this room and a line here."""

for parent, name, group in GROUPS:
    parent.add_typer(group, name=name)
for group, name, function in COMMANDS:
    group.command(name)(function)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        console.print(f"atlas {version(DISTRIBUTION)}", highlight=False)
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options of `atlas` itself. The help text is the one given to `typer.Typer`."""
    from atlas_resources.files.project import ProjectMissing, own_project

    try:
        if context.invoked_subcommand != "init":  # which makes the project that the variable names
            own_project()
    except ProjectMissing as error:
        raise fail(str(error)) from None


if __name__ == "__main__":
    app()

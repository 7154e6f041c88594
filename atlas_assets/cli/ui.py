"""`atlas ui`: Dagster's web server and daemon on this dataset."""

from typing import Annotated

import typer
from rich.markup import escape

from atlas_assets.cli.output import console, fail, open_dataset, warn


def ui(port: Annotated[int, typer.Option(help="Port on loopback.")] = 3000) -> None:
    """Open the Dagster UI on this dataset, with its daemon. It listens on loopback only."""
    import os
    import subprocess
    import sys

    from atlas_assets.graph.partitions import PartitionsDiffer, read_partitioning, why_shards
    from atlas_assets.graph.plates import report_registered
    from atlas_assets.in_process.instance import open_instance
    from atlas_resources.files.project import PROJECT_ROOT, PROJECT_VARIABLE, own_project, settings_path

    dataset = open_dataset()
    try:
        with console.status("recording registered plates"), open_instance(dataset) as instance:
            report_registered(instance, dataset)
    except PartitionsDiffer as error:
        raise fail(str(error)) from None
    if advice := why_shards(read_partitioning().of(dataset), len(dataset.plate_ids())):
        warn(advice)
    console.print(f"http://127.0.0.1:{port}  dataset {escape(str(dataset.root))}", soft_wrap=True)
    own, workspace = own_project(), settings_path("workspace.yaml")
    # In the folder of its settings: elsewhere Dagster warns of another dagster.yaml that it does not use.
    home = os.environ["DAGSTER_HOME"]
    paths = os.pathsep.join([str(PROJECT_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", str(port), "-w", str(workspace)]
    # The first tick over very many plates reads what is known of their files: Dagster ends a tick after 60 s otherwise.
    environment = {"DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS": "300", **os.environ}
    environment |= {"ATLAS_HOME": str(dataset.root), "PYTHONPATH": paths}
    if own:
        environment[PROJECT_VARIABLE] = str(own)
    raise typer.Exit(subprocess.run(command, env=environment, cwd=home, check=False).returncode)

"""A job whose model sleeps: what a run costs besides its model. `benchmarks.cluster` launches it."""

import time

import dagster as dg

# A run of the project imports the whole graph, so this one does.
from atlas_assets.definitions import defs

__all__ = ["defs", "sleeping"]


@dg.op(config_schema={"plates": int, "seconds": float})
def sleep_for_each_plate(context: dg.OpExecutionContext) -> None:
    """Sleeps for each plate and records it with an event, as a batched instrument does."""
    for number in range(context.op_config["plates"]):
        time.sleep(context.op_config["seconds"])
        context.log_event(dg.AssetMaterialization("sleeping", partition=f"plate-{number:03d}"))


@dg.job(executor_def=dg.in_process_executor)
def sleeping() -> None:
    """One step, in the run's own process."""
    sleep_for_each_plate()

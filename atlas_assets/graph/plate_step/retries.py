"""Which failures of a step another machine may not have: then the run, and not the step, is tried again."""

import dagster as dg

from atlas_assets.graph.dagster_internals import RETRY_ON_FAILURE_TAG, DefaultRunLauncher


def retry_elsewhere(context: dg.AssetExecutionContext) -> None:
    """Lets Dagster's run retries start the run again, where its launcher may choose another machine.

    Dagster's default launcher has this machine alone, which would fail in the same way.
    """
    instance = context.instance
    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        instance.add_run_tags(context.run.run_id, {RETRY_ON_FAILURE_TAG: "true"})

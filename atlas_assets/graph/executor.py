"""How the steps of a run are executed: in processes that are forked from one that has loaded what all steps need."""

import dagster as dg

# Loading Dagster, the specs and torch takes most of a short step's time. A forked process has them already, and unlike
# a step in the run's own process, it can be killed, as when memory runs out, without the steps after it.
PRELOADED = ["atlas_assets.definitions", "torch", "torchvision"]


@dg.configured(
    dg.multi_or_in_process_executor,
    config_schema={
        "steps_at_once": dg.Field(
            int, default_value=1, description="Steps that run at the same time. Each loads a model and uses all cores."
        ),
        "one_process": dg.Field(bool, default_value=False, description="Run the steps in the run's own process."),
    },
)
def steps_executor(config: dict) -> dict:
    """Dagster's executor, with a process for each step that starts in a fraction of a second."""
    if config["one_process"]:
        return {"in_process": {}}
    start_method = {"forkserver": {"preload_modules": PRELOADED}}
    return {"multiprocess": {"max_concurrent": config["steps_at_once"], "start_method": start_method}}


ONE_PROCESS = {"execution": {"config": {"one_process": True}}}
"""The run configuration of a run of one step, or of short ones that do not depend on memory."""

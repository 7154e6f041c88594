"""Each Dagster run as a job of a Ray cluster, on a node that has what the run's instruments need."""

import dagster as dg
from dagster._core.launcher import LaunchRunContext
from dagster_ray import RayRunLauncher  # pyright: ignore[reportMissingImports] - of the extra `cluster`
from dagster_ray.configs import USER_DEFINED_RAY_KEY, RayExecutionConfig  # pyright: ignore[reportMissingImports] - as above

from atlas_resources.cluster.needs import needs_of
from atlas_resources.plates.dataset import Dataset, dataset_root


class ClusterRunLauncher(RayRunLauncher):
    """Launches runs as dagster-ray does, and asks Ray for the GPU and the memory of the run's instruments.

    What it asks for is the run's tag `dagster-ray/config`, which the UI shows. What a person sets there holds. Its
    configuration in `dagster.yaml` is dagster-ray's: the job server's address, and the CPUs of a run.
    """

    def launch_run(self, context: LaunchRunContext) -> None:
        """Tags the run with what it needs and submits it."""
        tag = ray_tag(self._instance, context.dagster_run)
        run = context.dagster_run.with_tags({**context.dagster_run.tags, USER_DEFINED_RAY_KEY: tag})
        self._instance.add_run_tags(run.run_id, {USER_DEFINED_RAY_KEY: tag})
        super().launch_run(LaunchRunContext(dagster_run=run, workspace=context.workspace))


def ray_tag(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str:
    """What a run asks for, as JSON that dagster-ray reads: what is declared and measured, unless a person set it."""
    needs = needs_of(instance, run, Dataset(dataset_root()))
    asked = RayExecutionConfig.from_tags(run.tags).model_dump(exclude_none=True)
    known = RayExecutionConfig(num_gpus=needs.gpus or None, memory=needs.memory_bytes)
    return RayExecutionConfig(**{**known.model_dump(exclude_none=True), **asked}).model_dump_json(exclude_none=True)

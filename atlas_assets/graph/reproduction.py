"""The job that repeats a sample of sealed results. It makes no asset: `ledger/reproductions` has what it finds."""

from collections import Counter
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from atlas_assets.graph.executor import ONE_PROCESS
from atlas_assets.ui.metadata import markdown_list
from atlas_resources.instruments.registry import Registry
from atlas_resources.resources import DatasetResource

JOB_NAME = "reproduce_sample"
OP_NAME = "reproduce"  # Dagster wants names of ops and jobs that differ
SHOWN = 20  # plates in the metadata of a run


class SampleOfResults(dg.Config):
    """Which results are repeated."""

    sample: int = Field(default=5, gt=0, description="Number of results, each of one plate and one run.")
    day: str = Field(default="", description="Seed of the draw, as 2027-03-01; today in UTC by default.")


def build_reproduction_job(registry: Registry) -> dg.JobDefinition:
    """The job: draws results of the present instruments, repeats each as `atlas reproduce` does, and writes the files.

    It fails for no verdict: the check `reproductions_agree` warns of what is different.
    """
    is_any_gpu = any(instrument.is_gpu for instrument in registry.instruments.values())

    @dg.op(
        name=OP_NAME,
        required_resource_keys={"dataset"},
        pool="gpu" if is_any_gpu else None,
        description="Repeats sealed results from their own manifests and compares them. Nothing of the plates changes.",
    )
    def reproduce(context: dg.OpExecutionContext, config: SampleOfResults) -> None:
        dataset = context.resources.dataset
        if not isinstance(dataset, DatasetResource):
            raise TypeError(f"resource 'dataset': expected DatasetResource, found {type(dataset).__name__}")
        day = date.fromisoformat(config.day) if config.day else datetime.now(UTC).date()
        context.add_output_metadata(_repeat(context, dataset, registry, config.sample, day))

    @dg.job(
        name=JOB_NAME,
        description="Repeats a few sealed results, drawn by the date. In a terminal: `atlas reproduce --sample 5`.",
        tags={"atlas/selection": JOB_NAME},
    )
    def job() -> None:
        reproduce()

    return job


def run_config(sample: int, day: date) -> dict[str, Any]:
    """The run configuration of a draw."""
    config = {"ops": {OP_NAME: {"config": {"sample": sample, "day": day.isoformat()}}}}
    return config | ONE_PROCESS


def _repeat(
    context: dg.OpExecutionContext, dataset: DatasetResource, registry: Registry, sample: int, day: date
) -> dict[str, Any]:
    """Repeats the drawn results, a file for each run; returns the metadata of what was found."""
    from atlas_assets.reproduction.repetition import Models, Repetition
    from atlas_assets.reproduction.sampling import sample_results
    from atlas_assets.reproduction.sealed_runs import find_run

    opened, models, plates = dataset.open(), Models(), []
    try:
        for run_id, plate_ids in sample_results(opened, registry, sample, day).items():
            repetition = Repetition(opened, find_run(opened, run_id, plate_ids), registry.prompts, models, context.log)
            for plate in repetition.plates():
                line = f"{run_id} {plate.plate_id}: {plate.verdict}{f': {plate.reason}' if plate.reason else ''}"
                (context.log.info if plate.reason is None else context.log.warning)(line)
                plates.append((plate.verdict, line))
            _, path = repetition.write()
            context.log.info(f"written: {path}")
    finally:
        models.release()
    counts = Counter(verdict for verdict, _ in plates)
    wrong = [line for verdict, line in plates if verdict in ("different", "not_repeatable")]
    shown = {"first": dg.MetadataValue.md(markdown_list(wrong[:SHOWN]))} if wrong else {}
    return {"results": len(plates), **counts, **shown}

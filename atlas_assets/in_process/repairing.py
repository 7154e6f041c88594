"""`atlas repair-events`: reports to Dagster what the disk has, and marks what it does not have.

Dagster (1.13) cannot forget the events of single partitions: `wipe_assets` drops an asset's whole history, with the
verdicts of its checks. So a plate whose result is gone is shown as failed, with the reason, until it is made again.
"""

import logging
import platform
from collections.abc import Iterator, Sequence

import dagster as dg

from atlas_assets.graph.dagster_internals import (
    DATA_VERSION_TAG,
    MAX_RETRIES_TAG,
    AssetMaterializationPlannedData,
    DagsterEvent,
)
from atlas_assets.graph.partitions import (
    Partitions,
    add_missing_partitions,
    known_partitions,
    read_partitioning,
    require_declared,
)
from atlas_assets.graph.plate_step.events import input_tags_by_partition, materialization
from atlas_assets.graph.recorded.differences import NOT_ON_DISK, AssetDifferences, Differences, find_differences, named
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.run_launcher import HOST_TAG

JOB_NAME = "repair_events"
REASON = "Dagster had it as materialised, but its files are not on disk"


def repair_events(
    instance: dg.DagsterInstance, dataset: Dataset, registry: Registry, *, is_dry: bool = False
) -> Iterator[str]:
    """Makes Dagster's partitions and events agree with the disk. Yields a line for each thing done.

    Args:
        instance: where the events are.
        dataset: the dataset. Nothing in it changes.
        registry: the instruments.
        is_dry: only say what would be done.

    Raises:
        ValueError: no plate is registered, and Dagster knows some: most likely the dataset is another one.
        PartitionsDiffer: Dagster has partitions of the other kind.
    """
    partitions = read_partitioning().of(dataset)
    require_declared(instance, partitions)
    _require_same_dataset(instance, dataset, partitions)
    if not is_dry:
        partitions.assigned(dataset.plate_ids())
    differences = find_differences(instance, dataset, registry, partitions)
    yield from _repair_partitions(instance, dataset, partitions, differences, is_dry=is_dry)
    for asset in differences.assets:
        if asset.unrecorded:
            yield f"reported for {_name(asset)}: {named(list(asset.unrecorded))}"
            if not is_dry:
                _report(instance, dataset, partitions, differences, asset)
    gone = [asset for asset in differences.assets if asset.gone]
    for asset in gone:
        yield f"marked as failed, since it is not on disk, for {_name(asset)}: {named(asset.gone)}"
    if gone:
        yield f"To make them: {_command([asset.on_disk.key for asset in gone], '--missing')}"
    if gone and not is_dry:
        _mark(instance, gone, partitions)


def _require_same_dataset(instance: dg.DagsterInstance, dataset: Dataset, partitions: Partitions) -> None:
    known = known_partitions(instance, partitions)
    if known and not dataset.plate_ids():
        raise ValueError(
            f"{dataset.root}: no plate is registered, and Dagster knows {len(known)}, such as {known[0]}. Fix: set "
            f"ATLAS_HOME to the dataset of {instance.root_directory}; or, if the plates are gone for good, delete it"
        )


def _repair_partitions(
    instance: dg.DagsterInstance, dataset: Dataset, partitions: Partitions, differences: Differences, *, is_dry: bool
) -> Iterator[str]:
    if differences.new_partitions:
        yield f"added partitions: {named(differences.new_partitions)}"
        if not is_dry:
            add_missing_partitions(instance, dataset, partitions)
    if differences.gone_partitions:
        yield f"removed the partitions of plates that are not registered: {named(differences.gone_partitions)}"
        for key in () if is_dry else differences.gone_partitions:
            instance.delete_dynamic_partition(partitions.name, key)


def _report(
    instance: dg.DagsterInstance,
    dataset: Dataset,
    partitions: Partitions,
    differences: Differences,
    asset: AssetDifferences,
) -> None:
    """Reports the results on disk of one asset. What it reads has been reported before."""
    on_disk = asset.on_disk
    tags = input_tags_by_partition(instance, on_disk.upstream, list(asset.unrecorded))
    for key, version in asset.unrecorded.items():
        done = [plate_id for plate_id in differences.plates[key] if plate_id in on_disk.versions]
        event = materialization(
            on_disk.key,
            key,
            versions=(version.data, version.code),
            metadata=on_disk.metadata(dataset, done, is_of_many=partitions.has_many),
            input_tags=tags[key],
        )
        instance.report_runless_asset_event(event)


def _mark(instance: dg.DagsterInstance, assets: Sequence[AssetDifferences], partitions: Partitions) -> None:
    """Shows partitions as failed, with the reason: a run that plans to make them, and fails."""

    @dg.op(name="not_on_disk")
    def not_on_disk(context: dg.OpExecutionContext) -> None:
        for asset in assets:
            for key in asset.gone:
                which = "--missing" if partitions.has_many else f"--plates {key}"
                _plan(context, asset.on_disk.key, key)
                context.log_event(
                    dg.AssetObservation(
                        asset_key=asset.on_disk.key,
                        partition=key,
                        description=REASON,
                        metadata={"failed": REASON, "try_again": _command([asset.on_disk.key], which)},
                        tags={DATA_VERSION_TAG: NOT_ON_DISK},
                    )
                )
        lines = [f"{_name(asset)}: {named(asset.gone)}" for asset in assets]
        raise dg.Failure("\n".join([f"{REASON}:", *lines]), allow_retries=False)

    @dg.job(name=JOB_NAME, logger_defs={"quiet": dg.LoggerDefinition(_open_quiet_logger)})
    def repair() -> None:
        not_on_disk()

    tags = {HOST_TAG: platform.node(), MAX_RETRIES_TAG: "0"}
    config = {"loggers": {"quiet": {}}}
    repair.execute_in_process(instance=instance, raise_on_error=False, tags=tags, run_config=config)


def _open_quiet_logger(context: dg.InitLoggerContext) -> logging.Logger:
    """A logger that shows nothing: the command prints what is done, and the UI has the run's log."""
    logger = logging.Logger(JOB_NAME)
    logger.addHandler(logging.NullHandler())
    return logger


def _plan(context: dg.OpExecutionContext, key: dg.AssetKey, partition: str) -> None:
    step_key = context.get_step_execution_context().step.key
    data = AssetMaterializationPlannedData(key, partition=partition)
    planned = DagsterEvent.build_asset_materialization_planned_event(context.job_name, step_key, data)
    context.instance.report_dagster_event(planned, context.run_id)


def _name(asset: AssetDifferences) -> str:
    return asset.on_disk.key.to_user_string()


def _command(keys: Sequence[dg.AssetKey], which: str) -> str:
    selection = " or ".join(f'key:"{key.to_user_string()}"' for key in keys)
    return f"atlas run '{selection}' {which}"

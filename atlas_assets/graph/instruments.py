"""One asset for each admitted instrument: take the plates that are not done, measure them, seal, report.

An instrument whose weights are not on disk, and a spec that could not be read, are nodes that cannot run: the graph
shows what is missing, and "Materialize all" does not start it.
"""

import re
from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import dagster as dg

from atlas_assets.graph._metadata import column_schema
from atlas_assets.graph.partitions import ORDINARY, Partitioning, Partitions
from atlas_assets.graph.plate_step.checks import sound_spec
from atlas_assets.graph.plate_step.events import data_version
from atlas_assets.graph.plate_step.partition import PlateResult, read_measured
from atlas_assets.graph.plate_step.shared_pass import SharedPass, shares_with
from atlas_assets.graph.plate_step.step import STEP_RETRIES, PlateRun, PlateStep
from atlas_assets.graph.plate_step.weights import weights_of, why_not_started
from atlas_assets.graph.plates import MANIFEST_KEY
from atlas_assets.roles.works import WORKS, build_work
from atlas_assets.ui.instrument import describe, result_metadata
from atlas_resources.cluster.needs import GPU_POOL, INSTRUMENT_TAG
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.registry import Registry
from atlas_resources.models.weights import forget_digests, why_without_weights
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource, InstrumentResource
from atlas_resources.runs.execution import InstrumentRun, Outcome
from atlas_resources.runs.sealed import find_failures
from atlas_resources.tables.results import INSTRUMENT_TABLES, REGIONS, asset_name
from atlas_resources.verification.soundness import unsound_result

T = TypeVar("T")

WITHOUT_WEIGHTS = "weights_missing"
GROUPS = (*(INSTRUMENT_TABLES[role].name for role in WORKS), REGIONS)  # the first parts of keys
WEIGHTS_TAG = "atlas/weights"
OWNERS = ["team:atlas"]


def group_of(instrument: Instrument) -> str:
    """The group of an instrument's asset: its table's name, or `regions_<segmenter>` for what is derived from masks.

    A node of the UI shows only the last part of its key, which all segmenters share, such as `kept`.
    """
    spec = instrument.spec
    return f"{REGIONS}_{spec.region.segmenter}" if spec.region else INSTRUMENT_TABLES[spec.role].name


def asset_key(instrument: Instrument) -> dg.AssetKey:
    """`<table>/<key>`, such as `embeddings/clip_vit_base_patch32`, or `regions/<segmenter>/<part>`."""
    return dg.AssetKey(asset_name(instrument.spec).split("/"))


def _metadata(instrument: Instrument) -> dict[str, Any]:
    identity = instrument.identity
    return {
        **column_schema(INSTRUMENT_TABLES[instrument.spec.role]),
        "model_id": identity.model_id,
        "revision": identity.model_sha,
        "licence": identity.licence,
        "fingerprint": identity.fingerprint,
    }


def _kinds(instrument: Instrument) -> set[str]:
    if served := instrument.spec.served:
        return {served.program}
    return {"torch" if instrument.identity.weights_sha256 else "python", "gpu" if instrument.is_gpu else "cpu"}


def _tags(instrument: Instrument, *, weights: str) -> dict[str, str]:
    identity = instrument.identity
    return {
        INSTRUMENT_TAG: instrument.key,
        "atlas/role": instrument.spec.role,
        "atlas/commercial_use": identity.commercial_use,
        WEIGHTS_TAG: weights,
    }


def build_instrument_asset(
    instrument: Instrument, sharing: Sequence[Instrument] = (), partitioning: Partitioning = ORDINARY
) -> dg.AssetsDefinition | dg.AssetSpec:
    """The partitioned, batched, idempotent asset of one admitted instrument.

    Without its weights, which are looked for when the code location loads, it is a node that cannot run. With
    ATLAS_WEIGHTS=workers they are looked for when a run starts, on the machine where it does.

    Args:
        instrument: the instrument.
        sharing: those whose steps may use the same decode of a plate, in one run, itself among them if it may.
        partitioning: what Dagster's partitions are.
    """
    reason = why_not_started(instrument)
    if reason:
        return _build_without_weights(instrument, reason, partitioning)
    return _build_measuring(instrument, sharing, partitioning)


def _build_without_weights(instrument: Instrument, reason: str, partitioning: Partitioning) -> dg.AssetSpec:
    """The node of an instrument that has to wait for weights. Of its edges it has those to other instruments."""
    return dg.AssetSpec(
        asset_key(instrument),
        deps=[asset_key(one) for one in instrument.reads],
        partitions_def=partitioning.definition,
        group_name=WITHOUT_WEIGHTS,
        description=f"**Cannot run here: {reason}**, then reload the code location.\n\n{describe(instrument)}",
        kinds={*_kinds(instrument), "weights-missing"},
        owners=OWNERS,
        code_version=instrument.identity.fingerprint,
        metadata=_metadata(instrument),
        tags=_tags(instrument, weights="missing"),
    )


def _build_measuring(
    instrument: Instrument, sharing: Sequence[Instrument], partitioning: Partitioning
) -> dg.AssetsDefinition:
    spec, identity, key = instrument.spec, instrument.identity, asset_key(instrument)
    # Dagster puts assets of equal policy into one run, where a plate that fails upstream holds back the whole step.
    per_run = partitioning.partitions_per_run(spec.max_partitions_per_run) + instrument.depth
    soundness = "The plate's source, and its sealed files and their rows, are unchanged."

    @dg.asset(
        key=key,
        partitions_def=partitioning.definition,
        deps=_inputs(instrument),
        group_name=group_of(instrument),
        description=describe(instrument),
        kinds=_kinds(instrument),
        owners=OWNERS,
        code_version=identity.fingerprint,
        metadata=_metadata(instrument),
        tags=_tags(instrument, weights=_place_of_weights(instrument)),
        check_specs=[sound_spec(key, soundness, partitioning.definition)],
        backfill_policy=dg.BackfillPolicy.multi_run(per_run),
        retry_policy=STEP_RETRIES,
        pool=GPU_POOL if instrument.is_gpu else None,
        op_tags={INSTRUMENT_TAG: instrument.key},
        required_resource_keys={"dataset", spec.key},
        output_required=False,
    )
    def instrument_asset(context: dg.AssetExecutionContext, config: PlateRun) -> Iterator[Any]:
        dataset = _require(context, "dataset", DatasetResource).open()
        resource = _require(context, spec.key, InstrumentResource)
        if config.paranoid:
            forget_digests(spec)
        partitions = partitioning.of(dataset)
        step = _step_of(context, config, dataset, instrument, partitions)
        try:
            with weights_of(instrument, context):
                # Nothing here refers to the run: the traceback of failed plates would keep its model alive.
                outcomes = SharedPass(context, dataset, shares_with(instrument, sharing), partitions).outcomes(
                    _run_of(context, config, dataset, instrument, resource), step.plate_ids, instrument
                )
                yield from step.events(_result(dataset, instrument, one, context.run.run_id) for one in outcomes)
        finally:
            resource.release()

    return instrument_asset


def _inputs(instrument: Instrument) -> list[dg.AssetKey]:
    """The assets that an instrument's asset reads."""
    return [asset_key(one) for one in instrument.reads] or [MANIFEST_KEY]


def _step_of(
    context: dg.AssetExecutionContext,
    config: PlateRun,
    dataset: Dataset,
    instrument: Instrument,
    partitions: Partitions,
) -> PlateStep:
    return PlateStep(
        context,
        config,
        [asset_key(instrument)],
        code_version=instrument.identity.fingerprint,
        upstream=_inputs(instrument),
        partitions=partitions,
        read_others=read_measured(dataset, instrument, lambda one: _version(instrument, one.source_sha256)),
    )


def _run_of(
    context: dg.AssetExecutionContext,
    config: PlateRun,
    dataset: Dataset,
    instrument: Instrument,
    resource: InstrumentResource,
) -> InstrumentRun:
    return InstrumentRun(
        dataset,
        instrument,
        build_work(instrument, lambda: resource.load(instrument)),
        is_forced=config.force,
        dagster_run_id=context.run.run_id,
        log=context.log,
    )


def _place_of_weights(instrument: Instrument) -> str:
    if not instrument.identity.weights_sha256:
        return "none"
    return "on_workers" if why_without_weights(instrument) else "on_disk"


def _key_of_broken(file: str) -> dg.AssetKey:
    """`broken_specs/<file>`, its folders as parts of the key."""
    name = re.sub(r"[^a-z0-9_/]", "_", file.removesuffix(".yaml").lower())
    return dg.AssetKey(["broken_specs", *name.strip("/").split("/")])


def build_broken_spec_assets(registry: Registry) -> list[dg.AssetSpec]:
    """One node for each broken file. Its description lists what is wrong."""
    by_file: dict[str, list[str]] = {}
    for problem in registry.problems:
        by_file.setdefault(problem.file, []).append(str(problem))
    return [
        dg.AssetSpec(
            _key_of_broken(file),
            group_name="broken_specs",
            description="This spec could not be read. Fix it (`atlas models check` lists what is wrong) and reload:\n\n"
            + "\n".join(f"- {problem}" for problem in problems),
            kinds={"yaml"},
        )
        for file, problems in by_file.items()
    ]


def _version(instrument: Instrument, source_sha256: str) -> str:
    """The data version of a plate's result."""
    return data_version(instrument.identity.fingerprint[:16], source_sha256)


def _result(dataset: Dataset, instrument: Instrument, outcome: Outcome, run_id: str) -> PlateResult:
    """What a plate came to. What an earlier step of the same Dagster run has sealed is made by that run."""
    manifest = outcome.sealed
    if outcome.status == "withdrawn":
        return PlateResult(outcome.plate_id, "withdrawn", outcome.error.message if outcome.error else "")
    if manifest is None or outcome.status == "failed":
        return PlateResult(outcome.plate_id, "failed", outcome.reason)
    plate, is_reused = dataset.plate(outcome.plate_id), manifest.dagster_run_id != run_id
    return PlateResult(
        plate.id,
        "reused" if is_reused else "complete",
        data_version=_version(instrument, manifest.source_sha256),
        failed_before=0 if is_reused else len(find_failures(plate, instrument.identity)),
        metadata=lambda: [result_metadata(plate, manifest, is_reused=is_reused)],
        findings=unsound_result(plate, manifest, instrument.vector_dims),
    )


def _require(context: dg.AssetExecutionContext, key: str, kind: type[T]) -> T:
    resource = getattr(context.resources, key)
    if not isinstance(resource, kind):
        raise TypeError(f"resource {key!r}: expected {kind.__name__}, found {type(resource).__name__}")
    return resource

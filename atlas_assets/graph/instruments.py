"""One asset per admitted instrument: select what is not done, decode, measure, seal, report.

What a role measures is in `roles`; what the UI shows of it, in `instrument_display`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import dagster as dg

from atlas_assets.graph.events import STEP_RETRIES, PlateEvents, PlateRun, failure_of, plates_of, step_output
from atlas_assets.graph.partitions import PLATES
from atlas_assets.graph.plate_checks import PlateChecks, sound_spec, unsound_result
from atlas_assets.graph.plates import MANIFEST_KEY
from atlas_assets.roles.detection import DetectionWork
from atlas_assets.roles.embedding import EmbeddingWork
from atlas_assets.roles.probe import ProbeWork
from atlas_assets.roles.regions.embedding import RegionEmbeddingWork
from atlas_assets.roles.regions.outline import OutlineWork
from atlas_assets.roles.regions.palette import PaletteWork
from atlas_assets.roles.regions.pruning import PruningWork
from atlas_assets.roles.segmentation import SegmentationWork
from atlas_assets.ui.instrument import RunProgress, describe, outcome_metadata
from atlas_assets.ui.metadata import column_schema
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.weights import WeightsMismatch, WeightsMissing
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource, InstrumentResource
from atlas_resources.runs.batches import execute_run, failed_plates
from atlas_resources.runs.measuring import Work
from atlas_resources.tables.results import INSTRUMENT_TABLES

T = TypeVar("T")


@dataclass(frozen=True)
class RoleAssets:
    """What the assets of a role do, and whether their preview shows the plate itself."""

    work: Callable[[Spec, Dataset, Callable[[], Any]], Work]
    is_drawn_on_plate: bool = False


ROLES = {
    "embedding": RoleAssets(EmbeddingWork),
    "probe": RoleAssets(ProbeWork),
    "segmentation": RoleAssets(SegmentationWork, is_drawn_on_plate=True),
    "detection": RoleAssets(DetectionWork, is_drawn_on_plate=True),
    "pruning": RoleAssets(PruningWork, is_drawn_on_plate=True),
    "palette": RoleAssets(PaletteWork, is_drawn_on_plate=True),
    "outline": RoleAssets(OutlineWork, is_drawn_on_plate=True),
}
REGIONS = "regions"


def group_of(spec: Spec) -> str:
    """The layer an instrument's asset stands in: its table's name, or `regions` for what segmenters' masks give."""
    return REGIONS if spec.region else INSTRUMENT_TABLES[spec.role].name


GROUPS = (*(INSTRUMENT_TABLES[role].name for role in ROLES), REGIONS)


def asset_key(spec: Spec) -> dg.AssetKey:
    """`<table>/<key>`, such as `embeddings/clip_vit_base_patch32`, or `regions/<segmenter>/<part>`."""
    if spec.region:
        return dg.AssetKey([REGIONS, spec.region.segmenter, spec.region.part])
    return dg.AssetKey([INSTRUMENT_TABLES[spec.role].name, spec.key])


def build_work(spec: Spec, dataset: Dataset, load: Callable[[], Any]) -> Work:
    """What the instrument does with plates; an embedder with a declared crop is shown their segments."""
    work = RegionEmbeddingWork if spec.region and spec.region.crop else ROLES[spec.role].work
    return work(spec, dataset, load)


def build_instrument_asset(registry: Registry, spec: Spec) -> dg.AssetsDefinition:
    """The partitioned, batched, idempotent asset of one admitted instrument."""
    identity, upstream = registry.identities[spec.key], registry.identities.get(spec.upstream or "")
    key = asset_key(spec)
    inputs = [MANIFEST_KEY, *([asset_key(registry.specs[upstream.key])] if upstream else [])]
    # Dagster puts assets of equal policy into one run, where a plate that fails upstream holds back the whole step.
    plates_per_run = spec.max_partitions_per_run + registry.depth(spec.key)
    is_gpu = spec.numeric is not None and spec.numeric.device == "cuda"

    @dg.asset(
        key=key,
        partitions_def=PLATES,
        deps=inputs,
        group_name=group_of(spec),
        description=describe(spec, identity),
        kinds={"torch" if identity.weights_sha256 else "python", "gpu" if is_gpu else "cpu"},
        owners=["team:atlas"],
        code_version=identity.fingerprint,
        metadata={
            **column_schema(INSTRUMENT_TABLES[spec.role]),
            "model_id": identity.model_id,
            "revision": identity.model_sha,
            "licence": identity.licence,
            "fingerprint": identity.fingerprint,
        },
        tags={"atlas/instrument": spec.key, "atlas/role": spec.role, "atlas/commercial_use": identity.commercial_use},
        check_specs=[
            sound_spec(key, "Sealed files, their rows and the plate's source are what they were when they were sealed.")
        ],
        backfill_policy=dg.BackfillPolicy.multi_run(plates_per_run),
        retry_policy=STEP_RETRIES,
        pool="gpu" if is_gpu else None,
        required_resource_keys={"dataset", spec.key},
        output_required=False,
    )
    def instrument_asset(context: dg.AssetExecutionContext, config: PlateRun) -> Iterator[Any]:
        dataset = _require(context, "dataset", DatasetResource).open()
        resource = _require(context, spec.key, InstrumentResource)
        plate_ids = plates_of(context, config)
        events = PlateEvents(context, key, identity.fingerprint, plate_ids=plate_ids, upstream=inputs)
        checks, progress = PlateChecks(context, key), RunProgress(context, len(plate_ids))
        failed = []
        for outcome in execute_run(
            dataset,
            spec,
            identity,
            plate_ids,
            build_work(spec, dataset, lambda: _load(resource, spec, config.paranoid)),
            upstream=upstream,
            is_forced=config.force,
            dagster_run_id=context.run.run_id,
            log=context.log,
        ):
            progress.add(outcome)
            if outcome.manifest is None or outcome.status == "failed":
                failed.append(outcome)
                continue
            data_version = f"{identity.fingerprint[:16]}-{outcome.manifest.source_sha256[:16]}"
            metadata = outcome_metadata(
                dataset,
                outcome.manifest,
                is_reused=outcome.status == "reused",
                is_drawn_on_plate=ROLES[spec.role].is_drawn_on_plate,
            )
            yield events.materialized(outcome.plate_id, data_version, metadata)
            yield from checks.evaluated(outcome.plate_id, unsound_result(dataset, spec, outcome.manifest))
        progress.say()
        yield from checks.concluded()
        if failed:
            raise failure_of(context, [key], list(failed_plates(failed)), len(plate_ids))
        yield step_output(key)

    return instrument_asset


def _load(resource: InstrumentResource, spec: Spec, paranoid: bool) -> Any:
    """The loaded model. Raises a Failure that is not tried again where the weights are not the pinned ones."""
    try:
        return resource.load(spec, paranoid=paranoid)
    except (WeightsMissing, WeightsMismatch) as error:
        raise dg.Failure(f"{type(error).__name__}: {error}", allow_retries=False) from error


def _require(context: dg.AssetExecutionContext, key: str, kind: type[T]) -> T:
    resource = getattr(context.resources, key)
    if not isinstance(resource, kind):
        raise TypeError(f"resource {key!r}: expected {kind.__name__}, found {type(resource).__name__}")
    return resource

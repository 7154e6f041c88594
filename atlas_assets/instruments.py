"""One asset per admitted instrument: select what is not done, decode, measure, seal, report.

What a role measures is in `roles`.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import dagster as dg
import polars as pl

from atlas_assets.events import STEP_RETRIES, PlateEvents, PlateRun, failed_plates, failure_of, plates_of, step_output
from atlas_assets.partitions import PLATES
from atlas_assets.plate_checks import PlateChecks, sound_spec, unsound_result
from atlas_assets.plates import MANIFEST_KEY
from atlas_assets.roles.detection import DetectionWork
from atlas_assets.roles.embedding import EmbeddingWork
from atlas_assets.roles.outline import OutlineWork
from atlas_assets.roles.palette import PaletteWork
from atlas_assets.roles.probe import ProbeWork
from atlas_assets.roles.pruning import PruningWork
from atlas_assets.roles.region_embedding import RegionEmbeddingWork
from atlas_assets.roles.segmentation import SegmentationWork
from atlas_assets.segment_metadata import segment_metadata
from atlas_assets.ui_metadata import column_schema, picture_metadata
from atlas_resources.batches import PlateOutcome, execute_run
from atlas_resources.contracts import InstrumentIdentity, RunManifest
from atlas_resources.dataset import Dataset
from atlas_resources.measuring import Work
from atlas_resources.pins import revision_url
from atlas_resources.registry import Registry
from atlas_resources.resources import DatasetResource, InstrumentResource
from atlas_resources.result_tables import INSTRUMENT_TABLES
from atlas_resources.runs import read_metrics, read_preview
from atlas_resources.specs import MasksOutput, ScoresOutput, Spec, VectorOutput
from atlas_resources.weights import WeightsMismatch, WeightsMissing

PROGRESS_SECONDS = 5.0

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


def describe(spec: Spec, identity: InstrumentIdentity) -> str:
    """The asset's description, in Markdown: what it is and is for, its pins, its terms, its known ways to be wrong."""
    url = revision_url(spec)
    revision = f"[`{identity.model_sha}`]({url})" if url else f"`{identity.model_sha}`"
    weights = f"weights sha256 `{identity.weights_sha256}`" if identity.weights_sha256 else "no weights: an algorithm"
    licence = f"{identity.licence} ({spec.licence.source})" if spec.licence else identity.licence
    facts = {
        "Gives": _gives(spec),
        "Trained for": spec.objective and spec.objective.replace("_", " "),
        "Parameters": spec.parameter_count and f"{spec.parameter_count:,}",
        "Model": f"`{identity.model_id}` at {revision}, {weights}",
        "Licence": f"{licence}; commercial use of its rows: {identity.commercial_use}",
        "Preprocessing": f"`{identity.preprocess_tag}`",
    }
    lists = {
        "Known ways to be wrong": [f"{mode.fact} ({mode.source})" for mode in spec.failure_modes],
        "Open": spec.notes,
        "Sources": spec.sources,
    }
    return "\n\n".join(
        [
            f"**{spec.title}.** {spec.description}",
            "\n".join(f"- {name}: {fact}" for name, fact in facts.items() if fact),
            *(f"{name}:\n" + "\n".join(f"- {line}" for line in lines) for name, lines in lists.items() if lines),
        ]
    )


def _gives(spec: Spec) -> str:
    match spec.output:
        case VectorOutput(dim=dim, pooled_feature=feature):
            return f"a vector of {dim}, {feature.replace('_', ' ')}"
        case ScoresOutput(count=count, calibration=calibration):
            return f"{count} scores, {calibration}"
        case MasksOutput(classes=classes):
            return f"masks, {', '.join(classes) or 'of no class'}"
    return spec.output.kind if spec.output else "not declared"


def outcome_metadata(dataset: Dataset, manifest: RunManifest, is_reused: bool) -> dict[str, Any]:
    """What the UI shows of one plate's result. Reads the sealed run, so a reused plate shows the same as a new one.

    Of one whose sealed files cannot be read it says that; the check `sound` fails.
    """
    known = {"run_id": manifest.run_id, "reused": is_reused}
    try:
        return {**_sealed_metadata(dataset, manifest), **known}
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        return {**known, "unreadable": f"{type(error).__name__}: {error}"}


def _sealed_metadata(dataset: Dataset, manifest: RunManifest) -> dict[str, Any]:
    preview, thumbnail = read_preview(dataset, manifest), dataset.thumbnail(manifest.plate_id)
    shows_plate = ROLES[manifest.instrument.role].is_drawn_on_plate
    metrics = read_metrics(dataset, manifest).values
    return {
        **picture_metadata(manifest.plate_id, preview or thumbnail, None if shows_plate else thumbnail),
        **{name: value for name, value in metrics.items() if value is not None},
        **(segment_metadata(dataset, manifest) if manifest.instrument.role == "segmentation" else {}),
        "folder": dg.MetadataValue.path(dataset.runs_dir(manifest.plate_id) / manifest.run_id),
    }


class _Progress:
    """Says in the run's log, every few seconds, how far it is."""

    def __init__(self, context: dg.AssetExecutionContext, asked: int):
        self.context = context
        self.asked = asked
        self.counts = {"complete": 0, "reused": 0, "failed": 0}
        self.started = self.said = time.monotonic()

    def add(self, outcome: PlateOutcome) -> None:
        self.counts[outcome.status] += 1
        if outcome.status == "failed":
            ((plate_id, reason),) = failed_plates([outcome])
            self.context.log.error(f"{plate_id}: {reason}")
        if time.monotonic() - self.said >= PROGRESS_SECONDS:
            self.say()

    def say(self) -> None:
        self.said = time.monotonic()
        rate = self.counts["complete"] / max(self.said - self.started, 1e-9)
        counts = ", ".join(f"{number} {status}" for status, number in self.counts.items())
        self.context.log.info(f"{sum(self.counts.values())} of {self.asked} plates: {counts}; {rate:.1f} plates/s")


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
        checks, progress = PlateChecks(context, key), _Progress(context, len(plate_ids))
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
            metadata = outcome_metadata(dataset, outcome.manifest, outcome.status == "reused")
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

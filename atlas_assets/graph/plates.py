"""The asset `plate/manifest`: every registered plate, its source compared with the registered digest."""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from atlas_assets.graph._metadata import column_schema, dagster_metadata
from atlas_assets.graph.dagster_internals import CODE_VERSION_TAG, DATA_VERSION_TAG
from atlas_assets.graph.partitions import PLATES, add_missing_partitions
from atlas_assets.graph.plate_step.step import PlateResult, PlateRun, PlateStep
from atlas_assets.ui.metadata import picture_metadata
from atlas_resources.files.digests import sha256_of
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.plate import Plate
from atlas_resources.resources import DatasetResource
from atlas_resources.tables.ledgers import PLATES as PLATES_TABLE

MANIFEST_KEY = dg.AssetKey(["plate", "manifest"])
MANIFEST_CODE_VERSION = "1"


@dg.asset(
    key=MANIFEST_KEY,
    partitions_def=PLATES,
    group_name="plate",
    description="Identity of each registered plate. Materialising it compares the source with the registered sha256.",
    kinds={"json"},
    owners=["team:atlas"],
    code_version=MANIFEST_CODE_VERSION,
    metadata=column_schema(PLATES_TABLE),
    backfill_policy=dg.BackfillPolicy.single_run(),
    output_required=False,
)
def plate_manifest(context: dg.AssetExecutionContext, config: PlateRun, dataset: DatasetResource) -> Iterator[Any]:
    """Yields one event per plate; if a plate's source changed or is missing, only that plate fails."""
    opened = dataset.open()
    step = PlateStep(context, config, [MANIFEST_KEY], code_version=MANIFEST_CODE_VERSION, is_checked=False)
    yield from step.events(_check_source(opened, plate_id) for plate_id in step.plate_ids)


def _check_source(dataset: Dataset, plate_id: str) -> PlateResult:
    try:
        plate = dataset.plate(plate_id)
        sha256 = _require_source(plate)
        return PlateResult(plate_id, "complete", data_version=sha256, metadata=[manifest_metadata(plate, sha256)])
    except (OSError, ValueError, LookupError) as error:
        return PlateResult(plate_id, "failed", f"{type(error).__name__}: {error}")


def _require_source(plate: Plate) -> str:
    """The registered digest of the plate's source, once its bytes have been compared with it."""
    path, registered = plate.source_path(), plate.source_sha256()
    found = sha256_of(path)
    if found != registered:
        raise ValueError(
            f"{path} has changed: expected sha256 {registered}, found {found}. Put the registered file back, or "
            f"register the new one as a plate of its own."
        )
    return registered


def manifest_metadata(plate: Plate, sha256: str) -> dict[str, Any]:
    """What the UI shows of a registered plate, whose source has this digest."""
    manifest, source = plate.manifest(), plate.source_path()
    return {
        **picture_metadata(plate.id, plate.thumbnail()),
        "title": manifest.title,
        "source": source,
        "source_sha256": sha256,
        "file_size_bytes": source.stat().st_size,
        "licence": manifest.license or "not stated",
        "origin": manifest.origin.url if manifest.origin else "not fetched by atlas plates pull",
        "index_data": dict(manifest.extra),
        "manifest_version": manifest.manifest_version,
    }


def untried_plates(instance: dg.DagsterInstance, plate_ids: Sequence[str]) -> list[str]:
    """The plates whose manifest was never materialised or tried: what is made of them would be shown as stale."""
    statuses = instance.get_status_by_partition(MANIFEST_KEY, plate_ids, PLATES) or {}
    return [plate_id for plate_id in plate_ids if statuses.get(plate_id) is None]


def report_registered(instance: dg.DagsterInstance, dataset: Dataset) -> list[str]:
    """Records the manifest of each registered plate that Dagster has no event of, and its partition; returns those.

    Registration has compared their sources already. Without the events the UI warns that upstream data are missing. A
    plate that cannot be read, or whose source changed since, is left to a run, which says what is wrong.
    """
    add_missing_partitions(instance, dataset)
    reported = []
    for plate_id in untried_plates(instance, dataset.plate_ids()):
        plate = dataset.plate(plate_id)
        try:
            if plate.source_change():
                continue
            sha256 = plate.source_sha256()
            metadata = manifest_metadata(plate, sha256) | {
                "recorded": "as registered; no run has compared the source since"
            }
        except (OSError, ValueError, LookupError):
            continue
        event = dg.AssetMaterialization(
            MANIFEST_KEY,
            partition=plate_id,
            metadata=dagster_metadata(metadata),
            tags={DATA_VERSION_TAG: sha256, CODE_VERSION_TAG: MANIFEST_CODE_VERSION},
        )
        instance.report_runless_asset_event(event)
        reported.append(plate_id)
    return reported

"""The asset `plate/manifest`: every registered plate, its identity checked against its source.

Registering is `registration`'s.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from atlas_assets.graph.events import PlateEvents, PlateRun, failure_of, plates_of, step_output
from atlas_assets.graph.partitions import PLATES
from atlas_assets.ui.metadata import column_schema, picture_metadata
from atlas_resources.files.digests import sha256_of
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource
from atlas_resources.tables.ledgers import PLATES as PLATES_TABLE

MANIFEST_KEY = dg.AssetKey(["plate", "manifest"])
MANIFEST_CODE_VERSION = "1"


def _require_source(dataset: Dataset, plate_id: str) -> str:
    """The registered digest of the plate's source, once its bytes have been held against it."""
    path = dataset.plate(plate_id).source_path()
    registered = dataset.plate(plate_id).source_sha256()
    found = sha256_of(path)
    if found != registered:
        raise ValueError(
            f"{path} has changed: expected sha256 {registered}, found {found}. Put the registered file back, or "
            f"register the new one as a plate of its own."
        )
    return registered


def _metadata(dataset: Dataset, plate_id: str, sha256: str) -> dict[str, Any]:
    manifest = dataset.plate(plate_id).manifest()
    source = dataset.plate(plate_id).source_path()
    return {
        **picture_metadata(plate_id, dataset.plate(plate_id).thumbnail()),
        "title": manifest.title,
        "source": dg.MetadataValue.path(source),
        "source_sha256": sha256,
        "file_size_bytes": source.stat().st_size,
        "license": manifest.license or "not stated",
    }


def untried_plates(instance: dg.DagsterInstance, plate_ids: Sequence[str]) -> list[str]:
    """Those whose manifest was never materialised, nor tried: what is made of them would be shown as stale."""
    statuses = instance.get_status_by_partition(MANIFEST_KEY, plate_ids, PLATES) or {}
    return [plate_id for plate_id in plate_ids if statuses.get(plate_id) is None]


@dg.asset(
    key=MANIFEST_KEY,
    partitions_def=PLATES,
    group_name="plate",
    description="Identity of each registered plate. Materialising it holds the source against the registered sha256.",
    kinds={"json"},
    owners=["team:atlas"],
    code_version=MANIFEST_CODE_VERSION,
    metadata=column_schema(PLATES_TABLE),
    backfill_policy=dg.BackfillPolicy.single_run(),
    output_required=False,
)
def plate_manifest(context: dg.AssetExecutionContext, config: PlateRun, dataset: DatasetResource) -> Iterator[Any]:
    """Yields one event per plate; a plate whose source changed or is gone fails alone."""
    opened = dataset.open()
    plate_ids = plates_of(context, config)
    events = PlateEvents(context, MANIFEST_KEY, MANIFEST_CODE_VERSION, plate_ids=plate_ids)
    failed = []
    for plate_id in plate_ids:
        try:
            sha256 = _require_source(opened, plate_id)
        except (OSError, ValueError) as error:
            context.log.error(f"{plate_id}: {error}")
            failed.append((plate_id, f"{type(error).__name__}: {error}"))
            continue
        yield events.materialized(plate_id, sha256, _metadata(opened, plate_id, sha256))
    if failed:
        raise failure_of(context, [MANIFEST_KEY], failed, len(plate_ids))
    yield step_output(MANIFEST_KEY)

"""What the CPU measures without a model, from one decode of each source.

The assets `plate/input_image` and `plate/input_color_histograms`; the measures themselves are in `measures`.
"""

import time
from collections.abc import Iterator
from itertools import chain
from typing import Any

import dagster as dg

from atlas_assets.graph.events import STEP_RETRIES, PlateEvents, PlateRun, failure_of, plates_of, step_output
from atlas_assets.graph.partitions import PLATES
from atlas_assets.graph.plate_checks import PlateChecks, changed_source, sound_spec
from atlas_assets.graph.plates import MANIFEST_KEY
from atlas_assets.roles.groundwork import MEASURE_VERSION, OP_NAME, make_groundwork
from atlas_assets.ui.metadata import column_schema, picture_metadata
from atlas_assets.ui.plots import histogram_plot
from atlas_resources.plates.contracts import ColorHistograms, InputImage
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource
from atlas_resources.tables.ledgers import HISTOGRAMS
from atlas_resources.tables.ledgers import PLATES as PLATES_TABLE
from atlas_resources.tables.soundness import unsound_groundwork

INPUT_IMAGE_KEY = dg.AssetKey(["plate", "input_image"])


HISTOGRAMS_KEY = dg.AssetKey(["plate", "input_color_histograms"])


KEYS = (INPUT_IMAGE_KEY, HISTOGRAMS_KEY)


PROGRESS_SECONDS = 5.0


def _image_metadata(dataset: Dataset, plate: InputImage, is_reused: bool) -> dict[str, Any]:
    return {
        **picture_metadata(plate.plate_id, dataset.plate(plate.plate_id).thumbnail()),
        "reused": is_reused,
        "width": plate.width,
        "height": plate.height,
        "format": plate.format,
        "mode": plate.mode,
        "luminance_mean": plate.luminance_mean,
        "background_ratio": plate.background_ratio,
        "colour_policy": dg.MetadataValue.json(plate.colour_policy.model_dump()),
        "file": dg.MetadataValue.path(dataset.plate(plate.plate_id).derived_path("input_image.json")),
    }


def _histogram_metadata(dataset: Dataset, plate: ColorHistograms, is_reused: bool) -> dict[str, Any]:
    plot = histogram_plot(plate.red, plate.green, plate.blue, plate.luminance)
    colours = " ".join(f"`{colour.srgb_hex}` {colour.share:.0%}" for colour in plate.dominant_colours)
    return {
        **picture_metadata(plate.plate_id, plot),
        "reused": is_reused,
        "pixel_count": plate.pixel_count,
        "paper_ratio": plate.paper.paper_ratio,
        "dominant_colours": dg.MetadataValue.md(colours),
        "file": dg.MetadataValue.path(dataset.plate(plate.plate_id).derived_path("input_color_histograms.json")),
    }


def _spec(key: dg.AssetKey, description: str, table: Any) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        deps=[MANIFEST_KEY],
        skippable=True,
        description=description,
        group_name="groundwork",
        kinds={"python", "cpu"},
        owners=["team:atlas"],
        code_version=MEASURE_VERSION,
        metadata=column_schema(table),
        partitions_def=PLATES,
    )


@dg.multi_asset(
    name=OP_NAME,
    specs=[
        _spec(INPUT_IMAGE_KEY, "Scalar facts of the source: exact, over every pixel of 8-bit sRGB.", PLATES_TABLE),
        _spec(HISTOGRAMS_KEY, "Exact colour counts, dominant colours, paper against print.", HISTOGRAMS),
    ],
    check_specs=[
        sound_spec(HISTOGRAMS_KEY, "Counts sum to the plate's pixels, both files agree, the source is unchanged.")
    ],
    retry_policy=STEP_RETRIES,
    backfill_policy=dg.BackfillPolicy.multi_run(500),
)
def groundwork(context: dg.AssetExecutionContext, config: PlateRun, dataset: DatasetResource) -> Iterator[Any]:
    """Yields both events of each plate as soon as it is measured; a bad scan fails alone."""
    opened = dataset.open()
    plate_ids = plates_of(context, config)
    image_events, histogram_events = (
        PlateEvents(context, key, MEASURE_VERSION, plate_ids=plate_ids, upstream=[MANIFEST_KEY]) for key in KEYS
    )
    checks = PlateChecks(context, HISTOGRAMS_KEY)
    failed = []
    said = time.monotonic()
    for number, plate in enumerate(make_groundwork(opened, plate_ids, config.force), start=1):
        if plate.input_image is None or plate.histograms is None:
            context.log.error(f"{plate.plate_id}: {plate.error}")
            failed.append((plate.plate_id, plate.error))
            continue
        version = f"{MEASURE_VERSION}-{plate.input_image.source_sha256[:16]}"
        image_metadata = _image_metadata(opened, plate.input_image, plate.is_reused)
        histogram_metadata = _histogram_metadata(opened, plate.histograms, plate.is_reused)
        yield image_events.materialized(plate.plate_id, version, image_metadata)
        yield histogram_events.materialized(plate.plate_id, version, histogram_metadata)
        found = chain(unsound_groundwork(plate.input_image, plate.histograms), changed_source(opened, plate.plate_id))
        yield from checks.evaluated(plate.plate_id, found)
        if time.monotonic() - said >= PROGRESS_SECONDS:
            said = time.monotonic()
            context.log.info(f"{number} of {len(plate_ids)} plates, {len(failed)} failed")
    yield from checks.concluded()
    if failed:
        raise failure_of(context, KEYS, failed, len(plate_ids))
    yield from map(step_output, KEYS)

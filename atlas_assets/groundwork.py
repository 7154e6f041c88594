"""What the CPU measures without a model, from one decode of each source.

The assets `plate/input_image` and `plate/input_color_histograms`; the measures themselves are in `measures`.
"""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import dagster as dg

from atlas_assets.events import STEP_RETRIES, PlateEvents, PlateRun, failure_of, plates_of, step_output
from atlas_assets.partitions import PLATES
from atlas_assets.pictures import histogram_plot, thumbnail
from atlas_assets.plate_checks import PlateChecks, changed_source, sound_spec
from atlas_assets.plates import MANIFEST_KEY
from atlas_assets.soundness import unsound_groundwork
from atlas_assets.ui_metadata import column_schema, picture_metadata
from atlas_resources.ahead import THREADS, ahead
from atlas_resources.contracts import ColorHistograms, GroundworkFailure, InputImage
from atlas_resources.dataset import Dataset
from atlas_resources.durable_files import write_bytes_atomically, write_json_atomically
from atlas_resources.images import POLICY_NAME, DecodedImage, decode
from atlas_resources.ledger_tables import HISTOGRAMS
from atlas_resources.ledger_tables import PLATES as PLATES_TABLE
from atlas_resources.resources import DatasetResource
from atlas_resources.runs import claim_plate

INPUT_IMAGE_KEY = dg.AssetKey(["plate", "input_image"])
HISTOGRAMS_KEY = dg.AssetKey(["plate", "input_color_histograms"])
KEYS = (INPUT_IMAGE_KEY, HISTOGRAMS_KEY)
MEASURE_VERSION = f"1.{POLICY_NAME}"
FAILURE_NAME = "groundwork_failure.json"
OP_NAME = "groundwork"
PROGRESS_SECONDS = 5.0


@dataclass(frozen=True)
class Groundwork:
    """Both files of one plate, or the reason there are none."""

    plate_id: str
    input_image: InputImage | None = None
    histograms: ColorHistograms | None = None
    is_reused: bool = False
    error: str = ""


def _input_image(plate_id: str, filename: str, decoded: DecodedImage, scalars: dict[str, Any]) -> InputImage:
    facts = decoded.facts
    return InputImage(
        plate_id=plate_id,
        measure_version=MEASURE_VERSION,
        filename=filename,
        file_size_bytes=facts.file_size_bytes,
        format=facts.format,
        mode=facts.mode,
        source_sha256=facts.source_sha256,
        has_exif=facts.exif_sha256 is not None,
        exif_sha256=facts.exif_sha256,
        has_icc=facts.icc_sha256 is not None,
        icc_sha256=facts.icc_sha256,
        icc_description=facts.icc_description,
        jpeg=facts.jpeg,
        colour_policy=facts.colour_policy,
        **scalars,
    )


def read_groundwork(dataset: Dataset, plate_id: str) -> Groundwork | None:
    """The plate's present files if this version of the code made both from the present source, else None."""
    paths = [dataset.derived_path(plate_id, f"{name}.json") for name in ("input_image", "input_color_histograms")]
    if not all(path.is_file() for path in paths):
        return None
    input_image = dataset.read_json(paths[0], InputImage)
    histograms = dataset.read_json(paths[1], ColorHistograms)
    present = (MEASURE_VERSION, dataset.source_sha256(plate_id))
    if not all((made.measure_version, made.source_sha256) == present for made in (input_image, histograms)):
        return None
    return Groundwork(plate_id, input_image, histograms, is_reused=True)


def measure_plate(dataset: Dataset, plate_id: str) -> Groundwork:
    """Decodes the source once, measures every pixel, writes both files and the thumbnail.

    Raises:
        ImageRefused, SourceChanged: see `images.decode`.
    """
    from atlas_assets.measures.pixels import (
        measure_pixels,
    )  # SciPy and scikit-image load slowly; the graph needs neither

    source = dataset.source_path(plate_id)
    decoded = decode(source, expected_sha256=dataset.source_sha256(plate_id))
    facts = measure_pixels(decoded.image)
    input_image = _input_image(plate_id, source.name, decoded, facts.scalars())
    histograms = ColorHistograms(
        plate_id=plate_id,
        measure_version=MEASURE_VERSION,
        source_sha256=decoded.facts.source_sha256,
        **facts.histograms(),
    )
    write_bytes_atomically(dataset.derived_path(plate_id, "thumbnail.jpg"), thumbnail(decoded.image))
    write_json_atomically(dataset.derived_path(plate_id, "input_color_histograms.json"), histograms)
    write_json_atomically(dataset.derived_path(plate_id, "input_image.json"), input_image)
    return Groundwork(plate_id, input_image, histograms)


def read_failure(dataset: Dataset, plate_id: str) -> GroundworkFailure | None:
    """The failure of this version of the code on the present source, if there is one."""
    path = dataset.derived_path(plate_id, FAILURE_NAME)
    if not path.is_file():
        return None
    failure = dataset.read_json(path, GroundworkFailure)
    present = (MEASURE_VERSION, dataset.source_sha256(plate_id))
    return failure if (failure.measure_version, failure.source_sha256) == present else None


def _keep_failure(dataset: Dataset, plate_id: str, error: Exception) -> None:
    """Keeps the failure as evidence. Raises what reading the plate's identity raises: then there is nothing to keep."""
    before = read_failure(dataset, plate_id)
    failure = GroundworkFailure(
        plate_id=plate_id,
        measure_version=MEASURE_VERSION,
        source_sha256=dataset.source_sha256(plate_id),
        attempts=before.attempts + 1 if before else 1,
        error_type=type(error).__name__,
        message=str(error) or repr(error),
        failed_at=datetime.now(UTC),
    )
    write_json_atomically(dataset.derived_path(plate_id, FAILURE_NAME), failure)


def _reuse_or_measure(dataset: Dataset, plate_id: str, is_forced: bool) -> Groundwork:
    try:
        present = None if is_forced else read_groundwork(dataset, plate_id)
        made = present or measure_plate(dataset, plate_id)
        dataset.derived_path(plate_id, FAILURE_NAME).unlink(missing_ok=True)
    except Exception as error:  # noqa: BLE001 - whatever a bad scan raises, it costs this plate alone and is named
        with suppress(OSError, ValueError, LookupError):
            _keep_failure(dataset, plate_id, error)
        return Groundwork(plate_id, error=f"{type(error).__name__}: {error}")
    return made


def _claimed(dataset: Dataset, plate_id: str, is_forced: bool, is_patient: bool = False) -> Groundwork | None:
    """The plate's groundwork; None if another run has the plate just now, unless one is patient."""
    try:
        claim = claim_plate(dataset, plate_id, OP_NAME, is_patient=is_patient)
    except (OSError, ValueError) as error:
        return Groundwork(plate_id, error=f"{type(error).__name__}: {error}")
    if claim is None:
        return None
    try:
        return _reuse_or_measure(dataset, plate_id, is_forced)
    finally:
        claim.release()


def make_groundwork(dataset: Dataset, plate_ids: list[str], is_forced: bool) -> Iterator[Groundwork]:
    """Groundwork of each plate in order; those that another run has just now come last, one by one."""
    busy = []
    ahead_of = ahead(lambda plate_id: _claimed(dataset, plate_id, is_forced), plate_ids, 2 * THREADS)
    for plate_id, made in zip(plate_ids, ahead_of, strict=True):
        if made is None:
            busy.append(plate_id)
        else:
            yield made
    for plate_id in busy:
        made = _claimed(dataset, plate_id, is_forced, is_patient=True)
        if made is not None:
            yield made


def _image_metadata(dataset: Dataset, plate: InputImage, is_reused: bool) -> dict[str, Any]:
    return {
        **picture_metadata(plate.plate_id, dataset.thumbnail(plate.plate_id)),
        "reused": is_reused,
        "width": plate.width,
        "height": plate.height,
        "format": plate.format,
        "mode": plate.mode,
        "luminance_mean": plate.luminance_mean,
        "background_ratio": plate.background_ratio,
        "colour_policy": dg.MetadataValue.json(plate.colour_policy.model_dump()),
        "file": dg.MetadataValue.path(dataset.derived_path(plate.plate_id, "input_image.json")),
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
        "file": dg.MetadataValue.path(dataset.derived_path(plate.plate_id, "input_color_histograms.json")),
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

"""Groundwork: what the CPU measures of a plate without a model, from one decode of its source."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from atlas_assets.ui.plots import thumbnail
from atlas_resources.files.durable import write_bytes_atomically, write_json_atomically
from atlas_resources.files.read_ahead import THREADS, ahead
from atlas_resources.plates.contracts import ColorHistograms, GroundworkFailure, InputImage
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import POLICY_NAME, DecodedImage, decode
from atlas_resources.plates.json_files import read_json
from atlas_resources.runs.claims import claim_plate

MEASURE_VERSION = f"1.{POLICY_NAME}"


FAILURE_NAME = "groundwork_failure.json"


OP_NAME = "groundwork"


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
    paths = [dataset.plate(plate_id).derived_path(f"{name}.json") for name in ("input_image", "input_color_histograms")]
    if not all(path.is_file() for path in paths):
        return None
    input_image = read_json(paths[0], InputImage)
    histograms = read_json(paths[1], ColorHistograms)
    present = (MEASURE_VERSION, dataset.plate(plate_id).source_sha256())
    if not all((made.measure_version, made.source_sha256) == present for made in (input_image, histograms)):
        return None
    return Groundwork(plate_id, input_image, histograms, is_reused=True)


def measure_plate(dataset: Dataset, plate_id: str) -> Groundwork:
    """Decodes the source once, measures every pixel, writes both files and the thumbnail.

    Raises:
        ImageRefused, SourceChanged: see `images.decode`.
    """
    from atlas_resources.measures.pixels import measure_pixels

    source = dataset.plate(plate_id).source_path()
    decoded = decode(source, expected_sha256=dataset.plate(plate_id).source_sha256())
    facts = measure_pixels(decoded.image)
    input_image = _input_image(plate_id, source.name, decoded, facts.scalars())
    histograms = ColorHistograms(
        plate_id=plate_id,
        measure_version=MEASURE_VERSION,
        source_sha256=decoded.facts.source_sha256,
        **facts.histograms(),
    )
    write_bytes_atomically(dataset.plate(plate_id).derived_path("thumbnail.jpg"), thumbnail(decoded.image))
    write_json_atomically(dataset.plate(plate_id).derived_path("input_color_histograms.json"), histograms)
    write_json_atomically(dataset.plate(plate_id).derived_path("input_image.json"), input_image)
    return Groundwork(plate_id, input_image, histograms)


def read_failure(dataset: Dataset, plate_id: str) -> GroundworkFailure | None:
    """The failure of this version of the code on the present source, if there is one."""
    path = dataset.plate(plate_id).derived_path(FAILURE_NAME)
    if not path.is_file():
        return None
    failure = read_json(path, GroundworkFailure)
    present = (MEASURE_VERSION, dataset.plate(plate_id).source_sha256())
    return failure if (failure.measure_version, failure.source_sha256) == present else None


def _keep_failure(dataset: Dataset, plate_id: str, error: Exception) -> None:
    """Keeps the failure as evidence. Raises what reading the plate's identity raises: then there is nothing to keep."""
    before = read_failure(dataset, plate_id)
    failure = GroundworkFailure(
        plate_id=plate_id,
        measure_version=MEASURE_VERSION,
        source_sha256=dataset.plate(plate_id).source_sha256(),
        attempts=before.attempts + 1 if before else 1,
        error_type=type(error).__name__,
        message=str(error) or repr(error),
        failed_at=datetime.now(UTC),
    )
    write_json_atomically(dataset.plate(plate_id).derived_path(FAILURE_NAME), failure)


def _reuse_or_measure(dataset: Dataset, plate_id: str, is_forced: bool) -> Groundwork:
    try:
        present = None if is_forced else read_groundwork(dataset, plate_id)
        made = present or measure_plate(dataset, plate_id)
        dataset.plate(plate_id).derived_path(FAILURE_NAME).unlink(missing_ok=True)
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

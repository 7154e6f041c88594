"""Groundwork: what the CPU measures on a plate without a model, from one decode of its source."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import UTC, datetime
from typing import Any

from atlas_assets.ui.plots import thumbnail
from atlas_resources.files.contract import digest_bytes, file_bytes
from atlas_resources.files.durable import write_bytes_atomically, write_json_atomically
from atlas_resources.measures.pixels import measure_pixels
from atlas_resources.models.memory import peak_memory_bytes
from atlas_resources.plates.contracts import (
    ColorHistograms,
    GroundworkCost,
    GroundworkFailure,
    InputImage,
)
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import DecodedImage
from atlas_resources.plates.groundwork import (
    COST_NAME,
    FAILURE_NAME,
    HISTOGRAMS_NAME,
    INPUT_IMAGE_NAME,
    MEASURE_VERSION,
    THUMBNAIL_NAME,
    Groundwork,
    read_groundwork,
    read_groundwork_failure,
)
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import StructuredError
from atlas_resources.runs.execution import withdrawn_outcomes
from atlas_resources.runs.passes.job import PlateOutcome, Timings
from atlas_resources.runs.passes.shared_source import read_source
from atlas_resources.runs.provenance import code_version
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.sharing.worker import shared, shared_of
from atlas_resources.withdrawals.in_force import read_withdrawn

CLAIM_KEY = "groundwork"
PUBLISHED = (COST_NAME, THUMBNAIL_NAME, HISTOGRAMS_NAME, INPUT_IMAGE_NAME)
"""What a worker writes into the dataset's store, in this order: without the last, the plate is not done."""


class GroundworkMember:
    """A member of a pass: leaves out withdrawn plates, and has nothing to load."""

    key = CLAIM_KEY
    version = MEASURE_VERSION
    plates_at_once = 1

    def __init__(self, dataset: Dataset, *, is_forced: bool = False):
        self.is_forced = is_forced
        self.timings = Timings()
        self._dataset = dataset

    def settled(self, plate_ids: Sequence[str]) -> Iterator[PlateOutcome[Groundwork]]:
        """The outcomes of withdrawn plates. Raises DatasetBroken if the log of withdrawals is not whole."""
        if store := shared(self._dataset):
            store.fetch_plates(plate_ids)
        yield from withdrawn_outcomes(self._dataset, plate_ids, read_withdrawn(self._dataset.root)).values()

    def opened(self, plate_ids: Sequence[str]) -> AbstractContextManager["GroundworkJob"]:
        """The job."""
        return nullcontext(GroundworkJob())


class GroundworkJob:
    """Measures each plate on the preparing threads; writes JSON files and a thumbnail into the plate's folder."""

    key = CLAIM_KEY

    def find_done(self, plate: Plate) -> Groundwork | None:
        """The plate's up-to-date files, or None. Removes the record of an earlier failure if they exist."""
        done = read_groundwork(plate)
        if done is None and (store := shared_of(plate)):
            store.fetch_plates([plate.id])
            done = read_groundwork(plate)
        if done is not None:
            plate.derived_path(FAILURE_NAME).unlink(missing_ok=True)
        return done

    def prepare(self, plate: Plate, stopwatch: Stopwatch) -> Groundwork:
        """Measures the plate and writes its files."""
        store = shared_of(plate)
        if store:
            store.fetch_source(plate)
        made = measure_plate(plate, stopwatch)
        if store:
            store.publish_derived(plate, PUBLISHED)
        plate.derived_path(FAILURE_NAME).unlink(missing_ok=True)
        return made

    def measure(self, prepared: list[Groundwork]) -> list[Groundwork]:
        """Returns its input: `prepare` has measured already."""
        return prepared

    def seal(self, plate: Plate, prepared: Groundwork, result: Groundwork, stopwatch: Stopwatch) -> Groundwork:
        """Returns the result: `prepare` has written the files already."""
        return result

    def seal_failure(self, plate: Plate, error: StructuredError) -> None:
        """Keeps the failure as evidence, unless the plate's own files are unreadable."""
        with suppress(OSError, ValueError, LookupError):
            before = read_groundwork_failure(plate)
            failure = GroundworkFailure(
                plate_id=plate.id,
                measure_version=MEASURE_VERSION,
                source_sha256=plate.source_sha256(),
                attempts=before.attempts + 1 if before else 1,
                error_type=error.type,
                message=error.message,
                failed_at=datetime.now(UTC),
            )
            write_json_atomically(plate.derived_path(FAILURE_NAME), failure)

    def conclude(self, outcomes: Sequence[PlateOutcome[Groundwork]]) -> None:
        """Does nothing: each plate states its own cost."""


def measure_plate(plate: Plate, stopwatch: Stopwatch) -> Groundwork:
    """Reads the source, measures every pixel, and writes both files, the thumbnail, and what they cost.

    Args:
        plate: the plate.
        stopwatch: decoding, or the share of it in a pass, is counted as `decode`, measuring as `compute`.

    Raises:
        ImageRefused, SourceChanged: as `read_source` does.
    """
    before = stopwatch.read()
    decoded = read_source(plate, stopwatch)
    with stopwatch.stage("compute"):
        facts = measure_pixels(decoded.image, decoded.extremes)
        picture = thumbnail(decoded.image)
    after = stopwatch.read()
    input_image = _input_image(plate.id, plate.source_path().name, decoded, facts.scalars())
    histograms = ColorHistograms(
        plate_id=plate.id,
        measure_version=MEASURE_VERSION,
        source_sha256=decoded.facts.source_sha256,
        **facts.histograms(),
    )
    made = {
        THUMBNAIL_NAME: picture,
        HISTOGRAMS_NAME: file_bytes(histograms),
        INPUT_IMAGE_NAME: file_bytes(input_image),
    }
    code = code_version()
    cost = GroundworkCost(
        plate_id=plate.id,
        measure_version=MEASURE_VERSION,
        source_sha256=decoded.facts.source_sha256,
        measured_at=datetime.now(UTC),
        decode_seconds=after.decode - before.decode,
        measure_seconds=after.compute - before.compute,
        peak_memory_bytes=peak_memory_bytes(),
        code_git_sha=code.git_sha,
        code_is_dirty=code.is_dirty,
        outputs=[digest_bytes(f"derived/{name}", content) for name, content in made.items()],
    )
    # input_image.json comes last: without it, the plate is not done.
    for name, content in {COST_NAME: file_bytes(cost), **made}.items():
        write_bytes_atomically(plate.derived_path(name), content)
    return Groundwork(input_image, histograms)


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

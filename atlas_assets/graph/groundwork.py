"""The assets `plate/input_image` and `plate/input_color_histograms`: what the CPU measures without a model."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

import dagster as dg

from atlas_assets.graph._metadata import column_schema
from atlas_assets.graph.partitions import ORDINARY, Partitioning
from atlas_assets.graph.plate_step.checks import sound_spec
from atlas_assets.graph.plate_step.events import data_version
from atlas_assets.graph.plate_step.partition import Metadata, PlateResult, read_measured
from atlas_assets.graph.plate_step.shared_pass import FIRST_OF_RUN, GROUNDWORK_OP, SharedPass, shares_with
from atlas_assets.graph.plate_step.step import STEP_RETRIES, PlateRun, PlateStep
from atlas_assets.graph.plates import MANIFEST_KEY
from atlas_assets.roles.works import groundwork_member
from atlas_assets.ui.metadata import Markdown, picture_metadata
from atlas_assets.ui.plots import histogram_plot
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.plates.contracts import ColorHistograms, InputImage
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import (
    HISTOGRAMS_NAME,
    INPUT_IMAGE_NAME,
    MEASURE_VERSION,
    Groundwork,
    read_groundwork_failure,
)
from atlas_resources.plates.plate import Plate
from atlas_resources.resources import DatasetResource
from atlas_resources.runs.passes.job import PlateOutcome
from atlas_resources.tables.ledgers import HISTOGRAMS
from atlas_resources.tables.ledgers import PLATES as PLATES_TABLE
from atlas_resources.tables.soundness import unsound_groundwork
from atlas_resources.verification.soundness import changed_source

INPUT_IMAGE_KEY = dg.AssetKey(["plate", "input_image"])
HISTOGRAMS_KEY = dg.AssetKey(["plate", "input_color_histograms"])
KEYS = (INPUT_IMAGE_KEY, HISTOGRAMS_KEY)
OP_NAME = GROUNDWORK_OP


def _spec(key: dg.AssetKey, description: str, table: Any, partitioning: Partitioning) -> dg.AssetSpec:
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
        partitions_def=partitioning.definition,
    )


def build_groundwork(sharing: Sequence[Instrument] = (), partitioning: Partitioning = ORDINARY) -> dg.AssetsDefinition:
    """Both assets of the groundwork, made by one step.

    Args:
        sharing: the instruments whose steps may use its decode of a plate, in one run.
        partitioning: what Dagster's partitions are.
    """
    facts, colours = "Scalar facts of the source", "Exact colour counts, dominant colours, paper against print."

    @dg.multi_asset(
        name=OP_NAME,
        specs=[
            _spec(INPUT_IMAGE_KEY, f"{facts}: exact, over every pixel of 8-bit sRGB.", PLATES_TABLE, partitioning),
            _spec(HISTOGRAMS_KEY, colours, HISTOGRAMS, partitioning),
        ],
        check_specs=[
            sound_spec(
                HISTOGRAMS_KEY,
                "Counts sum to the plate's pixels, both files agree, the source is unchanged.",
                partitioning.definition,
            )
        ],
        retry_policy=STEP_RETRIES,
        backfill_policy=dg.BackfillPolicy.multi_run(partitioning.partitions_per_run(500)),
        op_tags=FIRST_OF_RUN,
    )
    def groundwork(context: dg.AssetExecutionContext, config: PlateRun, dataset: DatasetResource) -> Iterator[Any]:
        """Yields both events of each plate as soon as it is measured; a bad scan fails alone."""
        opened = dataset.open()
        partitions = partitioning.of(opened)
        step = PlateStep(
            context,
            config,
            KEYS,
            code_version=MEASURE_VERSION,
            upstream=[MANIFEST_KEY],
            partitions=partitions,
            read_others=read_measured(opened, None, lambda one: data_version(MEASURE_VERSION, one.source_sha256)),
        )
        attempts = _failed_attempts(opened, step.plate_ids)
        member = groundwork_member(opened, is_forced=config.force)
        shared = SharedPass(context, opened, shares_with(None, sharing), partitions)
        outcomes = shared.outcomes(member, step.plate_ids)
        yield from step.events(_result(opened, outcome, attempts.get(outcome.plate_id, 0)) for outcome in outcomes)

    return groundwork


def _failed_attempts(dataset: Dataset, plate_ids: Iterable[str]) -> dict[str, int]:
    """How often each plate had failed. Measuring it removes the record."""
    attempts = {}
    for plate_id in plate_ids:
        with suppress(OSError, ValueError, LookupError):  # a broken plate fails below, with its reason
            if failure := read_groundwork_failure(dataset.plate(plate_id)):
                attempts[plate_id] = failure.attempts
    return attempts


def _result(dataset: Dataset, outcome: PlateOutcome[Groundwork], failed_before: int) -> PlateResult:
    made = outcome.sealed
    if outcome.status == "withdrawn":
        return PlateResult(outcome.plate_id, "withdrawn", outcome.error.message if outcome.error else "")
    if made is None:
        return PlateResult(outcome.plate_id, "failed", outcome.reason)
    plate, is_reused = dataset.plate(outcome.plate_id), outcome.status == "reused"
    return PlateResult(
        plate.id,
        outcome.status,
        failed_before=0 if is_reused else failed_before,
        data_version=data_version(MEASURE_VERSION, made.input_image.source_sha256),
        metadata=lambda: _shown(plate, made, is_reused=is_reused),
        findings=chain(unsound_groundwork(made.input_image, made.histograms), changed_source(plate)),
    )


def _shown(plate: Plate, made: Groundwork, *, is_reused: bool) -> Metadata:
    return [{"reused": is_reused, **metadata} for metadata in groundwork_metadata(plate, made).values()]


def groundwork_metadata(plate: Plate, made: Groundwork) -> dict[dg.AssetKey, dict[str, Any]]:
    """What the UI shows of a plate's groundwork, by asset."""
    return {
        INPUT_IMAGE_KEY: _image_metadata(plate, made.input_image),
        HISTOGRAMS_KEY: _histogram_metadata(plate, made.histograms),
    }


def _image_metadata(plate: Plate, facts: InputImage) -> dict[str, Any]:
    return {
        **picture_metadata(plate.id, plate.thumbnail()),
        "width": facts.width,
        "height": facts.height,
        "format": facts.format,
        "mode": facts.mode,
        "luminance_mean": facts.luminance_mean,
        "background_ratio": facts.background_ratio,
        "colour_policy": facts.colour_policy.model_dump(),
        "file": plate.derived_path(INPUT_IMAGE_NAME),
    }


def _histogram_metadata(plate: Plate, facts: ColorHistograms) -> dict[str, Any]:
    plot = histogram_plot(facts.red, facts.green, facts.blue, facts.luminance)
    colours = " ".join(f"`{colour.srgb_hex}` {colour.share:.0%}" for colour in facts.dominant_colours)
    return {
        **picture_metadata(plate.id, plot),
        "pixel_count": facts.pixel_count,
        "paper_ratio": facts.paper.paper_ratio,
        "dominant_colours": Markdown(colours),
        "file": plate.derived_path(HISTOGRAMS_NAME),
    }

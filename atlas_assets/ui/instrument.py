"""What the UI shows of an instrument: its description, each plate's result, and how far a run is."""

import time
from typing import Any

import dagster as dg
import polars as pl

from atlas_assets.ui.metadata import picture_metadata
from atlas_assets.ui.segments import segment_metadata
from atlas_resources.instruments.instrument_identity import InstrumentIdentity
from atlas_resources.instruments.spec.output import MasksOutput, ScoresOutput, VectorOutput
from atlas_resources.instruments.spec.pins import revision_url
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.plates.contracts import RunManifest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.batches import PlateOutcome, failed_plates
from atlas_resources.runs.sealed import read_metrics, read_preview

PROGRESS_SECONDS = 5.0


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


def outcome_metadata(
    dataset: Dataset, manifest: RunManifest, *, is_reused: bool, is_drawn_on_plate: bool
) -> dict[str, Any]:
    """What the UI shows of one plate's result. Reads the sealed run, so a reused plate shows the same as a new one.

    Where the preview is drawn on the plate itself, its thumbnail is not shown beside it. Of one whose sealed files
    cannot be read it says that; the check `sound` fails.
    """
    known = {"run_id": manifest.run_id, "reused": is_reused}
    try:
        return {**_sealed_metadata(dataset, manifest, is_drawn_on_plate), **known}
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        return {**known, "unreadable": f"{type(error).__name__}: {error}"}


def _sealed_metadata(dataset: Dataset, manifest: RunManifest, is_drawn_on_plate: bool) -> dict[str, Any]:
    preview, thumbnail = read_preview(dataset, manifest), dataset.plate(manifest.plate_id).thumbnail()
    metrics = read_metrics(dataset, manifest).values
    return {
        **picture_metadata(manifest.plate_id, preview or thumbnail, None if is_drawn_on_plate else thumbnail),
        **{name: value for name, value in metrics.items() if value is not None},
        **(segment_metadata(dataset, manifest) if manifest.instrument.role == "segmentation" else {}),
        "folder": dg.MetadataValue.path(dataset.plate(manifest.plate_id).runs_folder / manifest.run_id),
    }


class RunProgress:
    """Says in the run's log, every few seconds, how far it is."""

    def __init__(self, context: dg.AssetExecutionContext, asked: int):
        self.context = context
        self.asked = asked
        self.counts = {"complete": 0, "reused": 0, "failed": 0}
        self.started = self.said = time.monotonic()

    def add(self, outcome: PlateOutcome) -> None:
        """Counts a plate; the reason of one that failed is said at once."""
        self.counts[outcome.status] += 1
        if outcome.status == "failed":
            ((plate_id, reason),) = failed_plates([outcome])
            self.context.log.error(f"{plate_id}: {reason}")
        if time.monotonic() - self.said >= PROGRESS_SECONDS:
            self.say()

    def say(self) -> None:
        """Says the counts so far."""
        self.said = time.monotonic()
        rate = self.counts["complete"] / max(self.said - self.started, 1e-9)
        counts = ", ".join(f"{number} {status}" for status, number in self.counts.items())
        self.context.log.info(f"{sum(self.counts.values())} of {self.asked} plates: {counts}; {rate:.1f} plates/s")

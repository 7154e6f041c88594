"""What the UI shows of an instrument: its description, and each plate's result."""

from typing import Any

import polars as pl

from atlas_assets.ui.metadata import picture_metadata
from atlas_assets.ui.segments import segment_metadata
from atlas_assets.ui.texts import text_metadata
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.roles import ROLES
from atlas_resources.instruments.spec.input import REFERENCES
from atlas_resources.instruments.spec.output import MasksOutput, ScoresOutput, TextOutput, VectorOutput
from atlas_resources.instruments.spec.pins import revision_url
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.sealed import read_metrics, read_preview


def describe(instrument: Instrument) -> str:
    """The asset's description in Markdown: its purpose, output, pins, licence, failure modes and notes."""
    spec, identity = instrument.spec, instrument.identity
    steps = spec.preprocessing
    url = revision_url(spec)
    revision = f"[`{identity.model_sha}`]({url})" if url else f"`{identity.model_sha}`"
    weights = (
        f"weights sha256 `{identity.weights_sha256}`" if identity.weights_sha256 else "an algorithm without weights"
    )
    licence = f"{identity.licence} ({spec.licence.source})" if spec.licence else identity.licence
    facts = {
        "Output": _output(spec),
        "Training objective": spec.objective and spec.objective.replace("_", " "),
        "Parameters": spec.parameter_count and f"{spec.parameter_count:,}",
        "Model": f"`{identity.model_id}` at {revision}, {weights}",
        "Licence": f"{licence}; commercial use of its results: {identity.commercial_use}",
        "Preprocessing": f"`{identity.preprocess_tag}`",
        "Its reference": steps and steps.reference and REFERENCES[steps.reference],
    }
    lists = {
        "Known failure modes": [f"{mode.fact} ({mode.source})" for mode in spec.failure_modes],
        "Notes": spec.notes,
        "Sources": spec.sources,
    }
    return "\n\n".join(
        [
            f"**{spec.title}.** {spec.description}",
            "\n".join(f"- {name}: {fact}" for name, fact in facts.items() if fact),
            *(f"{name}:\n" + "\n".join(f"- {line}" for line in lines) for name, lines in lists.items() if lines),
        ]
    )


def _output(spec: Spec) -> str:
    match spec.output:
        case VectorOutput(dim=dim, pooled_feature=feature):
            return f"vector of {dim} numbers, {feature.replace('_', ' ')}"
        case ScoresOutput(count=count, calibration=calibration):
            return f"{count} scores, {calibration}"
        case MasksOutput(classes=classes):
            return f"masks of the classes {', '.join(classes)}" if classes else "class-agnostic masks"
        case TextOutput(form=form):
            return f"text: {form.replace('_', ' ')}"
    return spec.output.kind if spec.output else "not declared"


def result_metadata(plate: Plate, manifest: RunManifest, *, is_reused: bool) -> dict[str, Any]:
    """What the UI shows of one plate's result. Reads the sealed run, so a reused plate shows the same as a new one.

    If the sealed files cannot be read, the metadata shows why, and the check `sound` fails.
    """
    known = {"run_id": manifest.run_id, "reused": is_reused}
    try:
        return {**_sealed_metadata(plate, manifest), **known}
    except (OSError, ValueError, pl.exceptions.PolarsError) as error:
        return {**known, "unreadable": f"{type(error).__name__}: {error}"}


def _sealed_metadata(plate: Plate, manifest: RunManifest) -> dict[str, Any]:
    preview, thumbnail = read_preview(plate, manifest), plate.thumbnail()
    # If the preview is drawn on the plate, the thumbnail would show the same again.
    glance = None if ROLES[manifest.instrument.role].is_drawn_on_plate else thumbnail
    metrics = read_metrics(plate, manifest)
    seconds = metrics.seconds and sum(metrics.seconds.model_dump().values())
    return {
        **picture_metadata(plate.id, preview or thumbnail, glance),
        **{name: value for name, value in metrics.values.items() if value is not None},
        **({} if seconds is None else {"seconds": seconds}),
        **(segment_metadata(plate, manifest) if manifest.instrument.role == "segmentation" else {}),
        **(text_metadata(plate, manifest) if manifest.instrument.role == "text" else {}),
        "sealed_bytes": sum(output.size_bytes for output in manifest.outputs),
        "folder": plate.runs_folder / manifest.run_id,
    }

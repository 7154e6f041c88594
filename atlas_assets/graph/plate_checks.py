"""The check `sound` of each plate asset: what lies on disk of a plate is held against what it says it is.

Recorded per plate as it is made or reused, one event each; what may be wrong in rows is in `soundness`, and in
`region_soundness` for what is derived from masks.
"""

import io
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import islice

import dagster as dg
import polars as pl

from atlas_resources.files.digests import sha256_of
from atlas_resources.instruments.spec.output import VectorOutput
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.plates.contracts import InputImage, RunManifest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import read_json
from atlas_resources.tables.ledgers import PLATES
from atlas_resources.tables.region_soundness import unsound_colours, unsound_outlines, unsound_verdicts
from atlas_resources.tables.results import FILE_OF_ROLE
from atlas_resources.tables.soundness import unsound_boxes, unsound_masks, unsound_scores, unsound_vectors

CHECK_NAME = "sound"
MEND = "Delete the plate's run folder and materialise the plate again; restore a source that changed."
SHOWN = 20


def sound_spec(key: dg.AssetKey, description: str) -> dg.AssetCheckSpec:
    """The check as the asset declares it."""
    return dg.AssetCheckSpec(CHECK_NAME, asset=key, description=f"{description} Recorded per plate.")


def _unsound_embedding(dataset: Dataset, spec: Spec, rows: pl.DataFrame) -> Iterator[str]:
    return unsound_vectors(rows, {spec.key: spec.output.dim} if isinstance(spec.output, VectorOutput) else {})


def _unsound_detection(dataset: Dataset, spec: Spec, rows: pl.DataFrame) -> Iterator[str]:
    """Boxes are held against their plate's size where its groundwork is done; the ledger's check holds the others."""
    sizes = []
    for plate_id in rows["plate_id"].unique():
        path = dataset.plate(plate_id).derived_path("input_image.json")
        if path.is_file():
            facts = read_json(path, InputImage)
            sizes.append({"plate_id": plate_id, "width": facts.width, "height": facts.height})
    return unsound_boxes(rows, pl.DataFrame(sizes, schema=PLATES.schema))


ROW_CHECKS: dict[str, Callable[[Dataset, Spec, pl.DataFrame], Iterator[str]]] = {
    "embedding": _unsound_embedding,
    "probe": lambda dataset, spec, rows: unsound_scores(rows),
    "segmentation": lambda dataset, spec, rows: unsound_masks(rows),
    "detection": _unsound_detection,
    "pruning": lambda dataset, spec, rows: unsound_verdicts(rows),
    "palette": lambda dataset, spec, rows: unsound_colours(rows),
    "outline": lambda dataset, spec, rows: unsound_outlines(rows),
}
"""What is held against the rows of a role, beside their file's digest."""


def unsound_result(dataset: Dataset, spec: Spec, manifest: RunManifest) -> Iterator[str]:
    """What is wrong in a plate's sealed result: files that changed since, unsound rows, a source that changed."""
    plate_dir = dataset.plate(manifest.plate_id).folder
    for output in manifest.outputs:
        path = plate_dir / output.path
        content = path.read_bytes() if path.is_file() else b""
        if not path.is_file() or sha256(content).hexdigest() != output.sha256:
            yield f"{output.path}: {'changed since it was sealed' if content else 'is gone or empty'}"
        elif path.name == FILE_OF_ROLE.get(spec.role):
            yield from ROW_CHECKS[spec.role](dataset, spec, pl.read_parquet(io.BytesIO(content)))
    yield from changed_source(dataset, manifest.plate_id)


def changed_source(dataset: Dataset, plate_id: str) -> Iterator[str]:
    """A line if the source is not the registered file.

    A source is written before its `source.sha256`, and never again: only one with a later time of change is hashed.
    """
    path = dataset.plate(plate_id).source_path()
    if not path.is_file():
        yield f"{path} is gone"
    elif path.stat().st_ctime_ns >= (dataset.plate(plate_id).folder / "source.sha256").stat().st_mtime_ns:
        registered, found = dataset.plate(plate_id).source_sha256(), sha256_of(path)
        if found != registered:
            yield f"{path} has changed: expected sha256 {registered}, found {found}"


class PlateChecks:
    """What the check `sound` of one asset finds, plate by plate, as events for its step to yield.

    Dagster (1.13) shows the event that came last as the check's state: those of unsound plates come after the others.
    """

    def __init__(self, context: dg.AssetExecutionContext, key: dg.AssetKey):
        self.context = context
        self.key = key
        self.plates_count = 0
        self.unsound: dict[str, list[str]] = {}

    def evaluated(self, plate_id: str, findings: Iterator[str]) -> Iterator[dg.AssetCheckEvaluation]:
        """The event of a plate in which nothing is found. Whatever cannot be read is a finding."""
        try:
            lines = list(islice(findings, SHOWN))
        except (OSError, ValueError, LookupError, pl.exceptions.PolarsError) as error:
            lines = [f"{plate_id}: {type(error).__name__}: {error}"]
        self.plates_count += 1
        for line in lines:
            self.context.log.error(f"unsound: {line}")
        if lines:
            self.unsound[plate_id] = lines
        else:
            yield self._event(plate_id, lines)

    def concluded(self) -> Iterator[dg.AssetCheckEvaluation | dg.AssetCheckResult]:
        """The events of unsound plates, and what the check comes to over all plates of the run."""
        for plate_id, lines in self.unsound.items():
            yield self._event(plate_id, lines)
        wrong = [line for lines in self.unsound.values() for line in lines]
        yield dg.AssetCheckResult(
            asset_key=self.key,
            check_name=CHECK_NAME,
            passed=not wrong,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata={"plates": self.plates_count, "unsound": len(self.unsound), **_metadata(wrong[:SHOWN])},
        )

    def _event(self, plate_id: str, lines: list[str]) -> dg.AssetCheckEvaluation:
        return dg.AssetCheckEvaluation(
            asset_key=self.key,
            check_name=CHECK_NAME,
            passed=not lines,
            severity=dg.AssetCheckSeverity.ERROR,
            metadata=_metadata(lines),
            partition=plate_id,
        )


def _metadata(lines: list[str]) -> dict[str, dg.MetadataValue]:
    if not lines:
        return {}
    wrong = "\n".join(f"- {line}" for line in lines)
    return {"wrong": dg.MetadataValue.md(wrong), "mend": dg.MetadataValue.text(MEND)}

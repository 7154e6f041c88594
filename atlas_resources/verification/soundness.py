"""Whether a plate's sealed result is unchanged and its rows are consistent."""

import io
from collections.abc import Callable, Iterator, Mapping

import polars as pl

from atlas_resources.plates.contracts import InputImage
from atlas_resources.plates.groundwork import INPUT_IMAGE_NAME
from atlas_resources.plates.json_files import DatasetBroken, read_json
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.sealed import read_output, result_path
from atlas_resources.tables.ledgers import PLATES
from atlas_resources.tables.region_soundness import unsound_colours, unsound_outlines, unsound_verdicts
from atlas_resources.tables.soundness import (
    unsound_boxes,
    unsound_masks,
    unsound_scores,
    unsound_texts,
    unsound_vectors,
)

Dims = Mapping[str, int]
RowCheck = Callable[[Plate, Dims, pl.DataFrame], Iterator[str]]


def _size_of(plate: Plate) -> pl.DataFrame:
    """The plate's row with its size, with which boxes are compared; no row if its groundwork is not done."""
    sizes, path = [], plate.derived_path(INPUT_IMAGE_NAME)
    if path.is_file():
        facts = read_json(path, InputImage)
        sizes.append({"plate_id": plate.id, "width": facts.width, "height": facts.height})
    return PLATES.frame(sizes)


ROW_CHECKS: dict[str, RowCheck] = {
    "embedding": lambda plate, dims, rows: unsound_vectors(rows, dims),
    "probe": lambda plate, dims, rows: unsound_scores(rows),
    "segmentation": lambda plate, dims, rows: unsound_masks(rows),
    "detection": lambda plate, dims, rows: unsound_boxes(rows, _size_of(plate)),
    "text": lambda plate, dims, rows: unsound_texts(rows, _size_of(plate)),
    "pruning": lambda plate, dims, rows: unsound_verdicts(rows),
    "palette": lambda plate, dims, rows: unsound_colours(rows),
    "outline": lambda plate, dims, rows: unsound_outlines(rows),
}
"""The check of each role's rows, in addition to the digest of their file."""


def unsound_result(plate: Plate, manifest: RunManifest, dims: Dims) -> Iterator[str]:
    """Yields what is wrong with a plate's sealed result: changed files, unsound rows, a changed source.

    Args:
        plate: the plate.
        manifest: of the sealed run.
        dims: declared length of a vector, by instrument.
    """
    rows_path = result_path(plate, manifest)
    for output in manifest.outputs:
        try:
            content = read_output(plate, manifest, output)
        except DatasetBroken as error:
            yield f"{plate.id}: {error}"
            continue
        if plate.folder / output.path == rows_path:
            yield from ROW_CHECKS[manifest.instrument.role](plate, dims, pl.read_parquet(io.BytesIO(content)))
    yield from changed_source(plate)


def changed_source(plate: Plate) -> Iterator[str]:
    """Yields one line if the source differs from the registered file."""
    change = plate.source_change()
    if change is not None:
        yield change

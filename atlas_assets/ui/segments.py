"""What the UI shows of a plate's set of segments beside its overlay: sizes, and what makes it suspicious."""

from typing import Any

import dagster as dg
import polars as pl

from atlas_assets.ui.masks import area_histogram
from atlas_assets.ui.plots import data_uri_markdown
from atlas_resources.ledgers.segment_sets import set_warnings
from atlas_resources.plates.contracts import RunManifest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.results import FILE_OF_ROLE


def segment_metadata(dataset: Dataset, manifest: RunManifest) -> dict[str, Any]:
    """The histogram of areas, and a warning where the set is empty or has exploded, from the sealed run."""
    path = dataset.plate(manifest.plate_id).runs_folder / manifest.run_id / FILE_OF_ROLE["segmentation"]
    areas = pl.read_parquet(path, columns=["area_ratio"])["area_ratio"].to_list()
    metadata: dict[str, Any] = {}
    if areas:
        picture = area_histogram(areas)
        metadata["areas"] = dg.MetadataValue.md(data_uri_markdown(picture, f"{manifest.plate_id} areas of segments"))
    if warnings := set_warnings(len(areas)):
        metadata["warning"] = dg.MetadataValue.text(" ".join(warnings))
    return metadata

"""Metadata of a plate's set of segments: a histogram of areas, and warnings."""

from typing import Any

import polars as pl

from atlas_assets.ui.masks import area_histogram
from atlas_assets.ui.metadata import Markdown
from atlas_assets.ui.plots import data_uri_markdown
from atlas_resources.ledgers.segment_sets import set_warnings
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.run_contracts import RunManifest
from atlas_resources.runs.sealed import result_path


def segment_metadata(plate: Plate, manifest: RunManifest) -> dict[str, Any]:
    """The histogram of areas, and a warning if the set is empty or very large, from the sealed run."""
    areas = pl.read_parquet(result_path(plate, manifest), columns=["area_ratio"])["area_ratio"].to_list()
    metadata: dict[str, Any] = {}
    if areas:
        metadata["areas"] = Markdown(data_uri_markdown(area_histogram(areas), f"{plate.id} areas of segments"))
    if warnings := set_warnings(len(areas)):
        metadata["warning"] = " ".join(warnings)
    return metadata

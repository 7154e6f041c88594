"""The page as an asset: unpartitioned, made from the catalogue as it is."""

import time
from collections.abc import Sequence

import dagster as dg

from atlas_assets.graph.ledgers import CATALOGUE_KEY
from atlas_assets.graph.published.preview import thumbnail_sheet
from atlas_assets.ui.metadata import markdown_list
from atlas_assets.ui.plots import data_uri_markdown
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource

PAGE_KEY = dg.AssetKey("page")
SHOWN = 24
"""Plates whose thumbnails are shown with each materialisation."""


def build_page_asset() -> dg.AssetsDefinition:
    """The asset `page`: `page/` in the dataset, brought up to date with the catalogue."""

    @dg.asset(
        key=PAGE_KEY,
        deps=[CATALOGUE_KEY],
        group_name="catalogue",
        description="The atlas as files that a curator opens from disk: the plates in the spaces of the encoders, and "
        "for each plate its segments, texts, neighbours and origins, each with the SQL that gives it. `atlas page` "
        "makes the same, also elsewhere.",
        kinds={"html", "typescript"},
        owners=["team:atlas"],
    )
    def page(context: dg.AssetExecutionContext, dataset: DatasetResource) -> dg.MaterializeResult:
        from atlas_resources.page.making import make_page  # traces outlines, which imports scikit-image

        opened, started = dataset.open(), time.monotonic()
        made = make_page(opened, is_commercial=None)
        for notice in made.notices:
            context.log.warning(notice)
        metadata = {
            "dagster/uri": made.index.as_uri(),
            "path": dg.MetadataValue.path(made.index),
            "plates": made.plate_count,
            "size_bytes": made.size_bytes,
            "pictures_made_count": made.picture_count,
            "files_written_count": made.written_count,
            "files_removed_count": made.removed_count,
            "seconds": time.monotonic() - started,
        }
        if made.notices:
            metadata["left_out"] = dg.MetadataValue.md(markdown_list(made.notices))
        if sheet := thumbnail_sheet(_thumbnails(opened, made.plate_ids[:SHOWN])):
            metadata["preview"] = dg.MetadataValue.md(data_uri_markdown(sheet, f"{made.plate_count} plates"))
        return dg.MaterializeResult(metadata=metadata)

    return page


def _thumbnails(dataset: Dataset, plate_ids: Sequence[str]) -> list[bytes]:
    return [found for plate_id in plate_ids if (found := dataset.plate(plate_id).thumbnail())]

"""`atlas export-regions`: plates for viewers of images."""

from pathlib import Path
from typing import Annotated

import typer

from atlas_assets.cli.exports.saying import say_left_out
from atlas_assets.cli.output import console, counted, fail, warn


def export_regions(
    folder: Annotated[Path, typer.Argument(help="Folder to write to, outside the dataset.")],
    segmenter: Annotated[str, typer.Option(help="The segmenter whose kept segments are exported.")] = "otsu_luma",
    base_url: Annotated[
        str, typer.Option(help="URL the folder will be served from; IIIF identifies everything by URL.")
    ] = "http://127.0.0.1:8000",
    commercial: Annotated[
        bool, typer.Option("--commercial", help="Leave out regions whose licences do not clearly allow commercial use.")
    ] = False,
) -> None:
    """Write plates with regions and texts for viewers: GeoJSON, W3C Web Annotations and a IIIF manifest per plate.

    Lines that models read on them, and captions, keywords and descriptions that models wrote, are further pages of
    annotations, marked as machine-made. Coordinates are pixels of the upright source: x right, y down. Plates without
    polygons have their texts alone; to make polygons: atlas run 'key:"regions/otsu_luma/polygons"', then
    atlas run @ledgers

    What people rejected is left out, and what they corrected is shown beside the machine's words, with their name.
    collection.json is a IIIF collection of all plates, which says what was left out.
    """
    from atlas_resources.export.viewers.regions import earlier_plates, find_publishable, no_polygons
    from atlas_resources.export.viewers.regions import export_regions as write_regions
    from atlas_resources.plates.dataset import Dataset, dataset_root

    try:
        dataset = Dataset(dataset_root())
        found = find_publishable(dataset, segmenter, commercial=commercial)
        for plate in write_regions(dataset, folder, found, base_url):
            counts = {"region": plate.regions_count, "line of text": plate.lines_count, "answer": plate.answers_count}
            said = ", ".join(counted(count, one) for one, count in counts.items() if count)
            console.print(f"{plate.manifest}: {said}", markup=False, highlight=False, soft_wrap=True)
    except (FileNotFoundError, ValueError) as error:
        raise fail(str(error)) from None
    if not found.has_polygons:
        warn(no_polygons(dataset, segmenter))
    for earlier in earlier_plates(folder, found):
        warn(f"{earlier}: of an earlier export, and not in this one. Remove it if it is no longer to be served")
    say_left_out(found.sentences)

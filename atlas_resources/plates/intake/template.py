"""The registered plates as a CSV to fill in: a row per plate with all its index data, which `update_plates` reads."""

import csv
from collections import Counter
from io import StringIO

from atlas_resources.plates.contracts import PlateManifest
from atlas_resources.plates.dataset import Dataset

COLUMNS = ("plate_id", "file", "source_page", "plate_number", "title", "slug", "download_url", "licence")


def build_template(dataset: Dataset) -> bytes:
    """A CSV with the columns of COLUMNS and every further column of any plate, in order of registration.

    It is UTF-8 with a byte order mark, without which spreadsheet programs take it for another encoding. `file` is the
    source's name, or the path that the scan was registered from where two plates have sources of one name.
    """
    manifests = [dataset.plate(plate_id).manifest() for plate_id in dataset.plate_ids()]
    extra = list(dict.fromkeys(key for manifest in manifests for key in manifest.extra))
    files = Counter(manifest.source_image for manifest in manifests)
    text = StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow([*COLUMNS, *extra])
    for manifest in manifests:
        file = manifest.source_image if files[manifest.source_image] == 1 else manifest.registered_from
        writer.writerow([*fixed_cells(manifest, file), *(manifest.extra.get(key, "") for key in extra)])
    return text.getvalue().encode("utf-8-sig")


def fixed_cells(manifest: PlateManifest, file: str) -> tuple[object, ...]:
    """The values of COLUMNS."""
    return (
        manifest.plate_id,
        file,
        manifest.source_page,
        manifest.plate_number,
        manifest.title,
        manifest.slug,
        manifest.download_url,
        manifest.license,
    )

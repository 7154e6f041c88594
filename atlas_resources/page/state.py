"""Whether a folder is a page, for whom, and whether the dataset's page shows the present catalogue."""

import json
from pathlib import Path

from atlas_resources.files.stated_digests import stated_digest_path
from atlas_resources.plates.dataset import Dataset

MARK = ".atlas-page"
"""A file that says that its folder is a page that Atlas writes, and for whom. Also the lock on the folder."""
FOR_COMMERCIAL_USE = b"for commercial use\n"
"""Content of the mark where what may not be used commercially is left out; else it is empty."""
RECORD = "data/made.json"
"""What the page was made from. Missing while a page is being written, or was and the process was killed."""
MAKE = "atlas page"


def is_page(folder: Path) -> bool:
    """Whether Atlas writes a page to the folder."""
    return (folder / MARK).is_file()


def is_for_commercial_use(folder: Path) -> bool:
    """Whether a page that leaves out what may not be used commercially is there."""
    return is_page(folder) and (folder / MARK).read_bytes() == FOR_COMMERCIAL_USE


def catalogue_digest(dataset: Dataset) -> str | None:
    """The digest that is stated of the catalogue; None if none is."""
    path = stated_digest_path(dataset.catalogue_path)
    return path.read_text(encoding="ascii").split()[0] if path.is_file() else None


def record_bytes(dataset: Dataset) -> bytes:
    """The record of a page that is made from the present catalogue."""
    return (json.dumps({"catalogue_sha256": catalogue_digest(dataset)}) + "\n").encode()


def why_behind(dataset: Dataset) -> str:
    """Why the dataset's own page is not what would be made now; empty if it is, or if there is none."""
    if not is_page(dataset.page_dir):
        return ""
    try:
        record = (dataset.page_dir / RECORD).read_bytes()
    except FileNotFoundError:
        return "it is not written to its end"
    return "" if record == record_bytes(dataset) else "the catalogue was built since"

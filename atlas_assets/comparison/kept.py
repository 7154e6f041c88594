"""The pages of comparisons that a dataset keeps, each with its digest beside it."""

from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path

from atlas_resources.files.durable import write_bytes_atomically
from atlas_resources.files.stated_digests import state_digest, stated_digest_problem
from atlas_resources.plates.dataset import Dataset

PAGE = "*.html"
FILE_NAME = "%Y%m%d-%H%M%S-%fZ.html"


@dataclass(frozen=True)
class Kept:
    """A page on disk; `is_new` is False where the newest page had these bytes already."""

    path: Path
    sha256: str
    is_new: bool


def pair_name(first: str, second: str) -> str:
    """The name of a pair of encoders, in keys of assets and in paths."""
    return f"{first}_and_{second}"


def keep_page(dataset: Dataset, name: str, page: str) -> Kept:
    """Keeps a page as `comparisons/<pair>/<UTC>.html`, with its digest as `sha256sum` reads it.

    Nothing is written if the newest page has the same bytes. An older page is never written over.

    Args:
        dataset: the library.
        name: of the pair, see `pair_name`.
        page: HTML.
    """
    folder, content = dataset.comparisons_dir / name, page.encode()
    digest = sha256(content).hexdigest()
    newest = max(folder.glob(PAGE), default=None)
    if newest is not None and newest.read_bytes() == content and stated_digest_problem(newest) is None:
        return Kept(newest, digest, is_new=False)
    path = folder / f"{datetime.now(UTC):{FILE_NAME}}"
    write_bytes_atomically(path, content)
    state_digest(path)
    return Kept(path, digest, is_new=True)

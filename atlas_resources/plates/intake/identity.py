"""Which plate a scan is already, and the identity of a new one. Opens no image and writes nothing."""

import hashlib
import os
import re
import unicodedata
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from atlas_resources.files.hosts.freshness import refresh
from atlas_resources.plates.contracts import PlateManifest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index.facts import PLATE_ID
from atlas_resources.plates.intake.index.rows import IndexRow, number_of_id, numbered_id
from atlas_resources.plates.intake.placing import RegistrationRefused
from atlas_resources.plates.intake.scan_plan import FoundRow, Scan
from atlas_resources.plates.refused_scans import staged_path

Content = tuple[str, int | None]
"""sha256 of a source, and the page: None for the first or only one."""


@dataclass
class KnownPlates:
    """The registered plates, updated while registering.

    Attributes:
        content_of_id: Digest and page of each plate's source.
        id_of_content: The first plate registered with these bytes and this page.
        id_of_scan: Plate registered from each path and page. Of paths it has digests; see `path_digests`.
        highest_number: Largest plate number among the plates and the rows of the indexes read; 0 for none.
    """

    content_of_id: dict[str, Content] = field(default_factory=dict)
    id_of_content: dict[Content, str] = field(default_factory=dict)
    id_of_scan: dict[tuple[str, int | None], str] = field(default_factory=dict)
    highest_number: int = 0

    def add(self, manifest: PlateManifest, sha256: str) -> None:
        """Add a plate that is registered."""
        content = (sha256, manifest.source_page)
        self.content_of_id[manifest.plate_id] = content
        self.id_of_content.setdefault(content, manifest.plate_id)
        # Without a digest, it was registered before digests were kept, from an absolute path; or it was downloaded.
        digest = manifest.registered_path_sha256 or digest_of_path(manifest.registered_from)
        self.id_of_scan[digest, manifest.source_page] = manifest.plate_id
        self.reserve(manifest.plate_number)
        self.reserve(number_of_id(manifest.plate_id))

    def reserve(self, number: int | None) -> None:
        """Keep this number from being given to a scan without a number."""
        self.highest_number = max(self.highest_number, number or 0)


def read_known_plates(dataset: Dataset) -> KnownPlates:
    """The identity of every registered plate, and the numbers of other folders that have a plate's name."""
    known = KnownPlates()
    for plate_id in dataset.plate_ids():
        known.add(dataset.plate(plate_id).manifest(), dataset.plate(plate_id).source_sha256())
    add_new_plates(dataset, known)
    return known


def add_new_plates(dataset: Dataset, known: KnownPlates) -> None:
    """Add the plates that were registered meanwhile, and the numbers of other folders that have a plate's name."""
    refresh(dataset.plates_dir)
    for name in sorted(os.listdir(dataset.plates_dir)) if dataset.plates_dir.is_dir() else []:
        known.reserve(number_of_id(name))
        if name not in known.content_of_id and PLATE_ID.fullmatch(name) and dataset.plate(name).manifest_path.is_file():
            known.add(dataset.plate(name).manifest(), dataset.plate(name).source_sha256())


def row_of_page(scan: Scan, page: int | None) -> FoundRow | None:
    """The row of a page; for a further page without one, that of its file, with an id and a title of its own.

    Page 3 of the file that is plate-013 is plate-013-page-3. Raises RowRefused.
    """
    found = scan.find_row(page)
    if found is not None or page is None:
        return found
    of_file = scan.find_row()
    if of_file is None:
        return None
    index, row = of_file
    own = replace(
        row,
        page=page,
        given_id=None if row.plate_id is None else f"{row.plate_id}-page-{page}",
        plate=None,
        title=None if row.title is None else f"{row.title}, page {page}",
        slug=None,
    )
    return index, own


def find_registered(
    known: KnownPlates,
    scan: Scan,
    digests: tuple[str, ...],
    row: IndexRow | None,
    *,
    sha256: str,
    page: int | None = None,
) -> str | None:
    """The plate that this page is already, or None. Raises RegistrationRefused if its bytes or id would change.

    Args:
        known: The registered plates.
        scan: The scan.
        digests: Those of its path, from `path_digests`.
        row: Its row of an index.
        sha256: Digest of its bytes.
        page: Counted from 1; None for the first or only page.
    """
    wanted = row.plate_id if row else None
    by_path = None if scan.origin else next(filter(None, (known.id_of_scan.get((d, page)) for d in digests)), None)
    registered_id = wanted if wanted in known.content_of_id else by_path
    if registered_id is None:
        return known.id_of_content.get((sha256, page)) if wanted is None else None
    expected, expected_page = known.content_of_id[registered_id]
    if expected != sha256:
        raise RegistrationRefused(
            f"is plate {registered_id}: expected the registered sha256 {expected}, found {sha256}. A source never"
            f" changes. Fix: put the registered file back, or give the new scan another name and another id"
        )
    if expected_page != page:
        raise RegistrationRefused(
            f"page {page or 1} is plate {registered_id} by its index, which is page {expected_page or 1}. Fix: give it"
            f" another plate"
        )
    if wanted is not None and wanted != registered_id:
        raise RegistrationRefused(
            f"is registered as {registered_id}, but its index now names it {wanted}. An id never changes. Fix: write"
            f" plate {registered_id} into {row.where if row else 'its row'} of the index"
        )
    return registered_id


def path_digests(dataset: Dataset, scan: Path) -> tuple[str, ...]:
    """By which a scan is recognised where it was added from: the first is that of a new manifest.

    A staged scan has that of its path in the dataset, which may be moved; every scan has that of its absolute path.
    """
    staged = staged_path(dataset, scan)
    paths = [scan.resolve()] if staged is None else [Path("plates") / staged, scan.resolve()]
    return tuple(digest_of_path(os.fsdecode(path)) for path in paths)


def digest_of_path(path: str) -> str:
    """sha256 of a path's bytes."""
    return hashlib.sha256(os.fsencode(path)).hexdigest()


def build_manifest(
    dataset: Dataset, known: KnownPlates, scan: Scan, row: IndexRow | None, page: int | None = None
) -> PlateManifest:
    """The identity of a new plate: from its row, else from the next number and the file's name."""
    row = row or IndexRow("")
    plate_id = row.plate_id
    number = row.stated_number if plate_id else known.highest_number + 1
    plate_id = plate_id or numbered_id(number or 0)
    path = scan.path
    try:
        str(path.resolve()).encode()
        str(path).encode()
    except UnicodeEncodeError as error:
        raise RegistrationRefused("has a path that is not UTF-8. Fix: rename it") from error
    title = row.title or (path.stem if page is None else f"{path.stem}, page {page}")
    staged = None if scan.origin else staged_path(dataset, path)
    return PlateManifest(
        plate_id=plate_id,
        plate_number=number,
        title=title,
        slug=slugify(row.slug or title) or plate_id,
        source_image=path.name if is_safe_name(path.name) else f"{plate_id}{path.suffix.lower()}",
        registered_from=path.name if scan.origin else (staged or scan.path_in_folder or Path(path.name)).as_posix(),
        registered_path_sha256=None if scan.origin else path_digests(dataset, path)[0],
        download_url=row.download,
        license=row.licence,
        created_at=datetime.now(UTC),
        extra=dict(row.extra),
        source_page=page,
        origin=scan.origin,
    )


def slugify(text: str) -> str:
    """ASCII slug: accents are dropped, and other characters become single hyphens. May be empty."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")


def is_safe_name(name: str) -> bool:
    """Whether a file name is not hidden, is printable and has no backslash, so that `sha256sum` need not escape it."""
    return not name.startswith(".") and "\\" not in name and name.isprintable()

"""Registering scans: which plate each becomes, or why it is refused."""

import os
import re
import unicodedata
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from atlas_resources.files.digests import sha256_of
from atlas_resources.files.read_ahead import THREADS, ahead
from atlas_resources.plates.contracts import PlateManifest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import MAX_PIXELS, ImageRefused, require_decodable
from atlas_resources.plates.intake.placing import RegistrationRefused, open_incoming, place_plate
from atlas_resources.plates.intake.scan_index import number_of_id, numbered_id
from atlas_resources.plates.intake.scan_plan import Scan, plan_scans


@dataclass(frozen=True)
class Registration:
    """The result for one scan.

    Attributes:
        path: The scan, or an index that cannot be read. No scan that this index describes is registered.
        status: `already_registered` if a plate has these bytes already. Nothing was written.
        plate_id: None for a refused scan.
        reason: Why the scan is refused, one line without its name; else None.
    """

    path: Path
    status: Literal["registered", "already_registered", "refused"]
    plate_id: str | None
    reason: str | None


@dataclass(frozen=True)
class Validated:
    """Digest of a scan's bytes, or why they are refused."""

    sha256: str | None
    refusal: str | None


@dataclass
class KnownPlates:
    """The registered plates, updated while registering.

    Attributes:
        sha256_of_id: Digest of each plate's source.
        id_of_sha256: The first plate registered with these bytes.
        id_of_scan: Plate registered from each absolute path.
        highest_number: Largest plate number among the plates and the rows of the indexes read; 0 for none.
    """

    sha256_of_id: dict[str, str] = field(default_factory=dict)
    id_of_sha256: dict[str, str] = field(default_factory=dict)
    id_of_scan: dict[str, str] = field(default_factory=dict)
    highest_number: int = 0

    def add(self, manifest: PlateManifest, sha256: str) -> None:
        """Add a plate that was just registered."""
        self.sha256_of_id[manifest.plate_id] = sha256
        self.id_of_sha256.setdefault(sha256, manifest.plate_id)
        self.id_of_scan[manifest.registered_from] = manifest.plate_id
        self.reserve(manifest.plate_number)
        self.reserve(number_of_id(manifest.plate_id))

    def reserve(self, number: int | None) -> None:
        """Keep this number from being given to a scan without a number."""
        self.highest_number = max(self.highest_number, number or 0)


def register_scans(
    dataset: Dataset,
    paths: list[Path],
    max_pixels: int = MAX_PIXELS,
    is_wanted: Callable[[Path], bool] = lambda path: True,
) -> Generator[Registration, None, None]:
    """Register files, and the scans in folders and their subfolders, in the order given; within a folder, by name.

    Each scan is decoded once to check that it can be, ahead on two threads, and its pixels are not kept. A refused
    scan does not affect the others. Scans are only read. If the iteration is abandoned, what is registered stays so.

    Args:
        dataset: Its folders are created if they are missing.
        paths: Files and folders. In a folder, hidden files and files without an image's suffix are skipped.
        max_pixels: Largest width times height of a scan.
        is_wanted: Scans for which it returns False are skipped unread; they keep their rows in an index.

    Yields:
        One Registration for each scan as soon as it is done, and one for each index that cannot be read.

    Raises:
        DatasetBroken: The manifest or digest of a registered plate cannot be read. Nothing is registered.
    """
    dataset.ensure()
    scans, indexes = plan_scans(paths)
    known = read_known_plates(dataset)
    for index in indexes:
        for row in index.rows:
            known.reserve(row.plate_number)
    registered = frozenset(known.id_of_sha256)
    wanted = [scan for scan in scans if is_wanted(scan.path)]
    validated_scans = ahead(lambda scan: (scan, validate(scan, registered, max_pixels)), wanted, 2 * THREADS)
    with open_incoming(dataset) as incoming, closing(validated_scans):
        for scan, validated in validated_scans:
            try:
                yield register_scan(dataset, incoming, known, scan, validated)
            except RegistrationRefused as refusal:
                yield Registration(scan.path, "refused", None, str(refusal))


def read_known_plates(dataset: Dataset) -> KnownPlates:
    """The identity of every registered plate, and the numbers of other folders that have a plate's name."""
    known = KnownPlates()
    for plate_id in dataset.plate_ids():
        known.add(dataset.plate(plate_id).manifest(), dataset.plate(plate_id).source_sha256())
    for name in os.listdir(dataset.plates_dir):
        known.reserve(number_of_id(name))
    return known


def validate(scan: Scan, registered: frozenset[str], max_pixels: int) -> Validated:
    """The digest of a scan that decodes, or why it is refused. Bytes that are registered already are only hashed."""
    if scan.refusal is not None:
        return Validated(None, scan.refusal)
    try:
        if scan.path.is_file() and (sha256 := sha256_of(scan.path)) in registered:
            return Validated(sha256, None)
        return Validated(require_decodable(scan.path, max_pixels), None)
    except ImageRefused as refusal:
        return Validated(None, refusal.reason)
    except OSError as error:
        return Validated(None, f"cannot be read: {error.strerror}")


def register_scan(
    dataset: Dataset, incoming: Path, known: KnownPlates, scan: Scan, validated: Validated
) -> Registration:
    """Register one validated scan, or find that it is registered. Raises RegistrationRefused."""
    if validated.sha256 is None:
        raise RegistrationRefused(validated.refusal)
    registered_id = find_registered(known, scan, validated.sha256)
    if registered_id is not None:
        return Registration(scan.path, "already_registered", registered_id, None)
    manifest = build_manifest(known, scan)
    try:
        place_plate(dataset, incoming, manifest, scan.path, validated.sha256)
    except OSError as error:
        if dataset.plate(manifest.plate_id).folder.exists():
            raise RegistrationRefused(
                f"{dataset.plate(manifest.plate_id).folder} exists already, from another registration or made by hand."
                f" Fix: if it is not a plate, move it away; then add the scan again"
            ) from error
        raise RegistrationRefused(f"cannot be stored as {manifest.plate_id}: {error.strerror or error}") from error
    known.add(manifest, validated.sha256)
    return Registration(scan.path, "registered", manifest.plate_id, None)


def find_registered(known: KnownPlates, scan: Scan, sha256: str) -> str | None:
    """The plate that this scan is already, or None. Raises RegistrationRefused if its bytes or id would change."""
    wanted = scan.row.plate_id if scan.row else None
    by_path = known.id_of_scan.get(str(scan.path.resolve()))
    registered_id = wanted if wanted in known.sha256_of_id else by_path
    if registered_id is None:
        return known.id_of_sha256.get(sha256) if wanted is None else None
    expected = known.sha256_of_id[registered_id]
    if expected != sha256:
        raise RegistrationRefused(
            f"is plate {registered_id}: expected the registered sha256 {expected}, found {sha256}. A source never"
            f" changes. Fix: put the registered file back, or give the new scan another name and another id"
        )
    if wanted is not None and wanted != registered_id:
        raise RegistrationRefused(
            f"is registered as {registered_id}, but its index now names it {wanted}. An id never changes. Fix: write"
            f" plate {registered_id} into {scan.row.where if scan.row else 'its row'} of the index"
        )
    return registered_id


def build_manifest(known: KnownPlates, scan: Scan) -> PlateManifest:
    """The identity of a new plate: from its row, else from the next number and the file's name."""
    row = scan.row
    plate_id = row.plate_id if row else None
    number = number_of_id(plate_id) if plate_id else known.highest_number + 1
    plate_id = plate_id or numbered_id(number or 0)
    name = scan.path.name
    try:
        name.encode()
        registered_from = str(scan.path.resolve())
        registered_from.encode()
    except UnicodeEncodeError as error:
        raise RegistrationRefused("has a path that is not UTF-8. Fix: rename it") from error
    title = (row.name if row else None) or scan.path.stem
    return PlateManifest(
        plate_id=plate_id,
        plate_number=number,
        title=title,
        slug=slugify((row.slug if row else None) or title) or plate_id,
        source_image=name if is_safe_name(name) else f"{plate_id}{scan.path.suffix.lower()}",
        registered_from=registered_from,
        download_url=row.download if row else None,
        license=row.license if row else None,
        created_at=datetime.now(UTC),
    )


def slugify(text: str) -> str:
    """ASCII slug: accents are dropped, and other characters become single hyphens. May be empty."""
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")


def is_safe_name(name: str) -> bool:
    """Whether a file name is not hidden, is printable and has no backslash, so that `sha256sum` need not escape it."""
    return not name.startswith(".") and "\\" not in name and name.isprintable()

"""Registering scans: which plate each becomes, or why it is refused."""

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from atlas_resources.files.digests import sha256_of
from atlas_resources.files.read_ahead import THREADS, ahead
from atlas_resources.plates.contracts import PlateManifest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import MAX_PIXELS, ImageRefused, list_pages, require_decodable
from atlas_resources.plates.header import EXPORT
from atlas_resources.plates.intake.corrections import correct_plate
from atlas_resources.plates.intake.identity import (
    Content,
    KnownPlates,
    add_new_plates,
    build_manifest,
    find_registered,
    path_digests,
    read_known_plates,
    row_of_page,
)
from atlas_resources.plates.intake.index.rows import IndexRow, RowRefused
from atlas_resources.plates.intake.placing import (
    RegistrationRefused,
    open_incoming,
    place_plate,
    registration_gate,
    registration_turn,
)
from atlas_resources.plates.intake.scan_plan import FoundRow, Plan, Scan, plan_scans
from atlas_resources.plates.refused_scans import read_refused_scans, record_refusals


@dataclass(frozen=True)
class Registration:
    """The result for one page of a scan.

    Attributes:
        path: The scan, or an index that cannot be read. No scan that this index describes is registered.
        status: `already_registered` if a plate has these bytes already, and nothing was written. `corrected` if its
            index data are now a new version of its manifest.
        plate_id: None for a refused scan.
        reason: Why the scan is refused, one line without its name; else None.
        title: The plate's present title; None for a refused scan.
        differing: Of a plate that is registered already: the fields in which its index differs from its manifest.
        note: What a person should know besides, one line; empty if nothing.
        page: Page of the scan, counted from 1; None for its first or only page.
    """

    path: Path
    status: Literal["registered", "already_registered", "corrected", "refused"]
    plate_id: str | None
    reason: str | None
    title: str | None = None
    differing: tuple[str, ...] = ()
    note: str = ""
    page: int | None = None


@dataclass(frozen=True)
class Options:
    """How scans are registered.

    Attributes:
        max_pixels: Largest width times height of a scan.
        is_correcting: Plates that are registered already take over what their index states now.
        is_dry: Nothing is written; the results are those of a registration.
        has_pages: Each further page of a TIFF becomes a plate of its own. Its source is a copy of the whole file.
    """

    max_pixels: int = MAX_PIXELS
    is_correcting: bool = False
    is_dry: bool = False
    has_pages: bool = False


@dataclass(frozen=True)
class Session:
    """One registration of many scans. `incoming` is the folder to build plates in; None in a dry run."""

    dataset: Dataset
    known: KnownPlates
    options: Options
    incoming: Path | None


@dataclass(frozen=True)
class Validated:
    """What was found out about a scan before it is registered.

    Attributes:
        sha256: Digest of its bytes; None if it is refused.
        refusal: Why it is refused; else None.
        note: That it has further pages which are not to be registered; else empty.
        further: Its further pages that are, counted from 1, and why each is refused.
    """

    sha256: str | None = None
    refusal: str | None = None
    note: str = ""
    further: Mapping[int, str | None] = field(default_factory=dict)


def register_scans(
    dataset: Dataset,
    paths: list[Path],
    max_pixels: int = MAX_PIXELS,
    is_wanted: Callable[[Path], bool] = lambda path: True,
) -> Generator[Registration, None, None]:
    """Register files, and the scans in folders and their subfolders; see `register_plan`."""
    yield from register_plan(dataset, plan_scans(paths), Options(max_pixels), is_wanted)


def register_plan(
    dataset: Dataset, plan: Plan, options: Options, is_wanted: Callable[[Path], bool] = lambda path: True
) -> Generator[Registration, None, None]:
    """Register the scans of a plan in its order: that of the paths given; within a folder, by name.

    Each scan is decoded once to check that it can be, ahead on two threads, and its pixels are not kept. A refused
    scan does not affect the others. Scans are only read. If the iteration is abandoned, what is registered stays so.
    At its end, `refused_scans.json` states what is refused.

    Args:
        dataset: Its folders are created if they are missing.
        plan: What to register.
        options: How.
        is_wanted: Scans for which it returns False are skipped unread; they keep their rows in an index.

    Yields:
        One Registration for each scan as soon as it is done, and one for each index that cannot be read.

    Raises:
        DatasetBroken: The manifest or digest of a registered plate, which are read if a scan is wanted, or the list of
            refused scans cannot be read. Nothing is registered.
    """
    if not options.is_dry:
        dataset.ensure()
    wanted = [scan for scan in plan.scans if is_wanted(scan.path)]
    read_refused_scans(dataset)
    with nullcontext(None) if options.is_dry else open_incoming(dataset) as incoming:
        # After opening: what others place from here on is told. Every manifest: not for a tick without new scans.
        known = read_known_plates(dataset) if wanted else KnownPlates()
        for index in plan.indexes:
            for row in index.rows:
                known.reserve(row.plate_number)
        yield from register_wanted(Session(dataset, known, options, incoming), plan, wanted)


def register_wanted(session: Session, plan: Plan, wanted: list[Scan]) -> Generator[Registration, None, None]:
    """Register scans, and state in `refused_scans.json` which are refused."""
    registered, options = frozenset(session.known.id_of_content), session.options
    refusals: dict[Path, str | None] = {report.path: None for report in plan.reports}
    validated_scans = ahead(lambda scan: (scan, validate(scan, registered, options)), wanted, 2 * THREADS)
    try:
        with closing(validated_scans):
            for scan, validated in validated_scans:
                for registration in register_pages(session, scan, validated):
                    refusals[scan.path] = refusals.get(scan.path) or registration.reason
                    yield registration
    finally:
        if not options.is_dry:
            with registration_gate(session.dataset):
                record_refusals(session.dataset, refusals)


def validate(scan: Scan, registered: frozenset[Content], options: Options) -> Validated:
    """Digest and pages of a scan that decodes, or why it is refused. What is registered already is only hashed."""
    if scan.refusal is not None:
        return Validated(refusal=scan.refusal)
    try:
        if scan.path.is_file() and scan.path.stat().st_size == 0:  # also a device that would never end
            return Validated(refusal=f"is empty (0 bytes). {EXPORT}")
        sha256 = sha256_of(scan.path) if scan.path.is_file() else ""
        is_known = (sha256, None) in registered
        if not is_known:
            sha256 = require_decodable(scan.path, options.max_pixels)
        if not options.has_pages:
            return Validated(sha256, note="" if is_known else note_pages(scan.path))
        further = {
            page: None if (sha256, page) in registered else page_refusal(scan.path, options.max_pixels, page)
            for page in list_pages(scan.path)[1:]
        }
        return Validated(sha256, further=further)
    except ImageRefused as refusal:
        return Validated(refusal=refusal.reason)
    except OSError as error:
        return Validated(refusal=f"cannot be read: {error.strerror}")


def note_pages(path: Path) -> str:
    """That a file has further pages, and how to register them; empty if it has none."""
    try:
        count = len(list_pages(path))
    except ImageRefused as refusal:
        return refusal.reason
    return f"has {count} pages, and this is the first. To register all: --pages" if count > 1 else ""


def page_refusal(path: Path, max_pixels: int, page: int) -> str | None:
    """Why a further page cannot be decoded; None if it can be."""
    try:
        require_decodable(path, max_pixels, page)
    except ImageRefused as refusal:
        return f"page {page} {refusal.reason}"
    return None


def register_pages(session: Session, scan: Scan, validated: Validated) -> Iterator[Registration]:
    """Register one validated scan, and its further pages if they are wanted."""
    for page, refusal in [(None, validated.refusal), *validated.further.items()]:
        try:
            if validated.sha256 is None or refusal is not None:
                raise RegistrationRefused(refusal)
            registration = register_page(session, scan, validated.sha256, page)
        except (RegistrationRefused, RowRefused) as refused:
            yield Registration(scan.path, "refused", None, str(refused), page=page)
            continue
        yield replace(registration, note=validated.note)


def register_page(session: Session, scan: Scan, sha256: str, page: int | None) -> Registration:
    """Register one page, or find that it is registered. Raises RegistrationRefused and RowRefused."""
    found = row_of_page(scan, page)
    row = found[1] if found else None
    digests = path_digests(session.dataset, scan.path)

    def find() -> str | None:
        return find_registered(session.known, scan, digests, row, sha256=sha256, page=page)

    registered_id = find()
    if registered_id is None:
        with take_turn(session):
            registered_id = find()
            if registered_id is None:
                manifest = place_new(session, scan, sha256, row, page)
                return Registration(scan.path, "registered", manifest.plate_id, None, manifest.title, page=page)
    return replace(compare_with_index(session, scan.path, registered_id, found), page=page)


@contextmanager
def take_turn(session: Session) -> Iterator[None]:
    """Holds the registration lock, with `known` brought up to date, so that no scan is registered twice."""
    if session.incoming is None:
        yield
        return
    with registration_turn(session.dataset, session.incoming) as may_be_outdated:
        if may_be_outdated:
            add_new_plates(session.dataset, session.known)
        yield


def place_new(session: Session, scan: Scan, sha256: str, row: IndexRow | None, page: int | None) -> PlateManifest:
    """Give a page its identity as a new plate, and place it. Raises RegistrationRefused."""
    manifest = build_manifest(session.dataset, session.known, scan, row, page)
    if session.incoming is not None:
        place(session.dataset, session.incoming, manifest, scan.path, sha256)
    session.known.add(manifest, sha256)
    return manifest


def place(dataset: Dataset, incoming: Path, manifest: PlateManifest, scan: Path, sha256: str) -> None:
    """Write the plate's folder. Raises RegistrationRefused if it cannot be written, or if there is one already."""
    try:
        place_plate(dataset, incoming, manifest, scan, sha256)
    except OSError as error:
        if dataset.plate(manifest.plate_id).folder.exists():
            raise RegistrationRefused(
                f"{dataset.plate(manifest.plate_id).folder} exists already, from another registration or made by hand."
                f" Fix: if it is not a plate, move it away; then add the scan again"
            ) from error
        raise RegistrationRefused(f"cannot be stored as {manifest.plate_id}: {error.strerror or error}") from error


def compare_with_index(session: Session, scan: Path, plate_id: str, found: FoundRow | None) -> Registration:
    """A plate that is registered already, corrected by its row of the index if that is asked for."""
    plate = session.dataset.plate(plate_id)
    if found is None or not plate.manifest_path.is_file():  # the latter in a dry run, of an earlier scan in it
        return Registration(scan, "already_registered", plate_id, None)
    index, row = found
    options = session.options
    is_dry = options.is_dry or not options.is_correcting
    differing = correct_plate(session.dataset, plate_id, index.columns, row, is_dry)
    status = "corrected" if differing and options.is_correcting else "already_registered"
    return Registration(scan, status, plate_id, None, plate.manifest().title, differing)

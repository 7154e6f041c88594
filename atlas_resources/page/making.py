"""Making the page of a dataset: from its catalogue to a folder of files that opens from disk."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atlas_resources.catalogue.build import connect
from atlas_resources.export.left_out import require_present_entries
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.page.contract.library import Library
from atlas_resources.page.details.nearest import NearestSegments, find_embedders, find_nearest
from atlas_resources.page.details.plate import PLATES_AT_ONCE, DetailReader
from atlas_resources.page.details.segments import OldPath, SegmentReader
from atlas_resources.page.folder.files import PageFolder, open_folder, require_page_folder
from atlas_resources.page.folder.pictures import Pictures, make_pictures, wanted_pictures
from atlas_resources.page.folder.sprites import make_sheets
from atlas_resources.page.library.whole import About, made_by_this, read_library
from atlas_resources.page.shown import Shown, find_shown
from atlas_resources.page.state import RECORD, is_for_commercial_use, record_bytes
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.records.tags import TAGS
from atlas_resources.tables.records.withdrawals import WITHDRAWALS

if TYPE_CHECKING:
    import duckdb

BUILT = Path(__file__).parent / "built"
"""What draws the page, built from `web/`."""
INDEX = "index.html"
BUILD = "atlas run @ledgers"
UNFINISHED = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>Atlas</title>
<p>This page is being written. If no program is writing it, make it again: <code>atlas page</code></p></html>
"""
"""Stands for the page while plates come or go: data of the old and of the new one count plates differently."""
OnStep = Callable[[str, int, int], None]
"""Called with what is being made, how many are, and how many there are."""


@dataclass(frozen=True)
class MadePage:
    """A page that was made.

    Attributes:
        folder: its folder.
        plate_ids: plates on it, in order.
        picture_count: pictures that were made now.
        written_count: files that were written now.
        removed_count: files of an earlier page that were removed.
        size_bytes: of all its files.
        notices: what is left out and why, in sentences.
    """

    folder: Path
    plate_ids: tuple[str, ...]
    picture_count: int
    written_count: int
    removed_count: int
    size_bytes: int
    notices: tuple[str, ...]

    @property
    def plate_count(self) -> int:
        """Number of plates on it."""
        return len(self.plate_ids)

    @property
    def index(self) -> Path:
        """The file that a browser opens."""
        return self.folder / INDEX


def make_page(
    dataset: Dataset,
    folder: Path | None = None,
    *,
    title: str | None = None,
    is_commercial: bool | None = False,
    on_step: OnStep = lambda what, done, total: None,
    built: Path = BUILT,
) -> MadePage:
    """Makes the page of a dataset, or brings it up to date: only files whose content differs are written.

    Each file is replaced whole, what draws the page last. A process that is killed leaves the page before, or one that
    the next call completes.

    Args:
        dataset: the dataset, with its catalogue.
        folder: where to; by default `page` in the dataset.
        title: shown at its top; by default that of the page that is there, or `Atlas`.
        is_commercial: leave out what may not be used commercially, as `atlas export --commercial` does. None: as on
            the page that is there.
        on_step: told of the progress.
        built: what draws the page.

    Raises:
        FileNotFoundError: the catalogue, or what draws the page, is not there.
        ValueError: the folder is not for a page, the catalogue is behind, or there is no plate to show.
    """
    folder = (folder or dataset.page_dir).absolute()
    if folder != dataset.page_dir.absolute() and folder.resolve().is_relative_to(dataset.root.resolve()):
        raise ValueError(
            f"{folder}: expected a folder outside the dataset {dataset.root}, or its own {dataset.page_dir.name}/, "
            "found another one in it"
        )
    is_commercial = is_for_commercial_use(folder) if is_commercial is None else is_commercial
    require_page_folder(folder, is_commercial)
    if not (built / INDEX).is_file():
        raise FileNotFoundError(
            f"{built / INDEX}: expected what draws the page. Fix: make page, in the source of Atlas"
        )
    with connect(dataset) as catalogue:
        require_present(dataset, catalogue)
        shown = find_shown(catalogue, is_commercial)
        if not shown.index:
            raise ValueError(" ".join(("no plate to show.", *shown.notices, "Fix: atlas plates add PATH; atlas run")))
        with open_folder(folder, is_commercial) as opened:
            return write_page(dataset, shown, opened, title=title, on_step=on_step, built=built)


def require_present(dataset: Dataset, catalogue: "duckdb.DuckDBPyConnection") -> None:
    """Raises ValueError for a catalogue that lacks a table, or is behind what is withdrawn or judged by now."""
    present = {name for (name,) in catalogue.execute("SELECT table_name FROM duckdb_tables()").fetchall()}
    if missing := sorted({"coordinates", "neighbours", "tags", "withdrawals"} - present):
        raise ValueError(
            f"{dataset.catalogue_path}: expected tables {', '.join(missing)}, found those of an earlier release."
            f" Fix: {BUILD}"
        )
    require_present_entries(dataset)
    for table in (WITHDRAWALS, TAGS):
        columns = ("number", "file_sha256")
        known = catalogue.execute(f"SELECT DISTINCT {', '.join(columns)} FROM {table.name}").fetchall()
        if set(known) != set(read_ledger(dataset, table, columns).iter_rows()):
            raise ValueError(f"{dataset.catalogue_path} is behind the ledger {table.name}. Fix: {BUILD}")


def write_page(
    dataset: Dataset, shown: Shown, folder: PageFolder, *, title: str | None, on_step: OnStep, built: Path
) -> MadePage:
    """Writes what is shown of a catalogue. As `make_page`, which says what the arguments are."""
    old, made_by, ids = folder.read_value("library") or {}, made_by_this(), list(shown.index)
    pictures = make_pictures(dataset, wanted_pictures(shown), folder, lambda *step: on_step("pictures", *step))
    if old.get("plates", {}).get("plate_id") not in (None, ids):
        folder.write(INDEX, UNFINISHED)
    sheets = make_sheets(dataset, ids, folder, lambda *step: on_step("sheets of thumbnails", *step))
    nearest = _nearest(shown, on_step)
    old_path = _old_paths(folder, pictures) if old.get("made_by") == made_by else lambda *segment: None
    reader = DetailReader(shown, pictures.by_plate, SegmentReader(shown, pictures.sizes, nearest, old_path))
    for start in range(0, len(ids), PLATES_AT_ONCE):
        for detail in reader.read(ids[start : start + PLATES_AT_ONCE]):
            folder.write_value(f"plates/{detail.plate_id}", detail.model_dump())
        on_step("plates", min(start + PLATES_AT_ONCE, len(ids)), len(ids))
    about = About(title or old.get("title") or "Atlas", made_by, dataset.catalogue_path.name)
    library = read_library(shown, about, sheets, pictures.problems)
    removed = _finish(dataset, folder, library, old, built)
    return MadePage(
        folder=folder.path,
        plate_ids=tuple(ids),
        picture_count=pictures.made_count,
        written_count=folder.written_count,
        removed_count=removed,
        size_bytes=folder.size_bytes,
        notices=tuple(library.notices),
    )


def _finish(dataset: Dataset, folder: PageFolder, library: Library, old: Any, built: Path) -> int:
    """Writes what the page opens with, the index last, then removes what it does not have any more, and counts that."""
    assets = {path.relative_to(built).as_posix(): path for path in sorted(built.rglob("*")) if path.is_file()}
    index = assets.pop(INDEX)
    for name, path in assets.items():
        folder.write(name, path.read_bytes())
    value = library.model_dump()
    if {**value, "made_at": None} == {**old, "made_at": None}:
        value["made_at"] = old["made_at"]  # nothing has changed since
    folder.write_value("library", value)
    folder.write(INDEX, index.read_bytes())
    removed = folder.remove_others()
    folder.write(RECORD, record_bytes(dataset))
    return removed


def _nearest(shown: Shown, on_step: OnStep) -> dict[str, NearestSegments]:
    """The nearest segments by segmenter."""
    embedders = find_embedders(shown)
    found = {}
    for done, (segmenter, embedder) in enumerate(embedders.items(), start=1):
        found[segmenter] = find_nearest(shown, embedder)
        on_step("nearest segments", done, len(embedders))
    return {segmenter: one for segmenter, one in found.items() if one.names}


def _old_paths(folder: PageFolder, pictures: Pictures) -> OldPath:
    """Finds paths on the page that is there already: tracing a mask again would give the same one.

    The file of the plate that was asked for last is remembered.
    """
    last: dict[str, dict[tuple[str, str], str]] = {}

    def find(plate_id: str, run_id: str, segment_id: str) -> str | None:
        if plate_id not in last:
            last.clear()
            last[plate_id] = _paths(folder.read_value(f"plates/{plate_id}"), pictures.by_plate.get(plate_id))
        return last[plate_id].get((run_id, segment_id))

    return find


def _paths(detail: Any, picture: Any) -> dict[tuple[str, str], str]:
    """The path of each run and segment in a data file; none if its picture is of another size."""
    if not detail or picture is None or detail["picture"] != picture.model_dump():
        return {}
    return {
        (segments["run_id"], segment["segment_id"]): segment["path"]
        for segments in detail["segmentations"]
        for segment in segments["segments"]
    }

"""Corrections of what an index states about a plate: each is a new, dated version of the plate's manifest."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from atlas_resources.files.durable import write_json_atomically
from atlas_resources.plates.contracts import PlateManifest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.identity import digest_of_path, slugify
from atlas_resources.plates.intake.index.choice import require_file_column
from atlas_resources.plates.intake.index.columns import Columns, comparable
from atlas_resources.plates.intake.index.reading import read_table
from atlas_resources.plates.intake.index.rows import IndexRow, RowRefused, ScanIndex, build_index, listed
from atlas_resources.plates.intake.index.table import IndexBroken
from atlas_resources.plates.intake.placing import registration_gate
from atlas_resources.plates.plate import Plate


@dataclass(frozen=True)
class Correction:
    """The result for one row of an index.

    Attributes:
        where: The row: "line 4".
        plate_id: None if the row is refused.
        changed: Names of the fields that differ, further columns by their own name; empty if none does.
        reason: Why the row is refused, one line; else None.
    """

    where: str
    plate_id: str | None
    changed: tuple[str, ...] = ()
    reason: str | None = None


def update_plates(dataset: Dataset, path: Path, is_dry: bool = False) -> tuple[ScanIndex, Iterator[Correction]]:
    """Correct registered plates by an index. No scan is needed: a row names its plate by plate id, number or file.

    Columns that the index lacks are left as they are. An empty cell removes its value, except the title and the slug.

    Args:
        dataset: The dataset.
        path: The index.
        is_dry: Only find out what differs.

    Returns:
        The index, and a Correction for each row, made while it is iterated over.

    Raises:
        IndexBroken: The index cannot be read, or its rows name no plate in any way.
        DatasetBroken: A plate's manifest cannot be read.
    """
    if not path.is_file():
        raise IndexBroken(path, "is not a file. Fix: name an existing CSV, TSV, JSON or XLSX file")
    plates = {plate_id: dataset.plate(plate_id) for plate_id in dataset.plate_ids()}
    ids_of_name = names_of_plates(plates)
    index = build_index(read_table(path), lambda name: bool(ids_named(ids_of_name, name)))
    if not {"plate_id", "plate"} & set(index.columns.of_field):
        require_file_column(index)
    return index, (correct_by_row(dataset, index, row, ids_of_name, is_dry) for row in index.rows)


def names_of_plates(plates: dict[str, Plate]) -> dict[str, list[str]]:
    """Plate ids by the names of their sources, and by the name, path and path's digest of what they were made from."""
    ids: dict[str, list[str]] = {}
    for plate_id, plate in plates.items():
        identity = plate.identity()
        scan = Path(identity.registered_from)
        names = {comparable(one) for one in (identity.source_image, str(scan), scan.name)}
        for name in names | {identity.registered_path_sha256 or ""}:
            ids.setdefault(name, []).append(plate_id)
    return ids


def ids_named(ids_of_name: dict[str, list[str]], name: str) -> list[str]:
    """Ids of the plates whose file has this name or path. Of an absolute path, a manifest has only the digest."""
    return ids_of_name.get(name) or (ids_of_name.get(digest_of_path(name), []) if name.startswith("/") else [])


def correct_by_row(
    dataset: Dataset, index: ScanIndex, row: IndexRow, ids_of_name: dict[str, list[str]], is_dry: bool
) -> Correction:
    """Correct the plate that a row names, unless nothing differs."""
    try:
        plate_id = plate_of_row(dataset, row, ids_of_name)
        index.require_sole_claim(row)
        changed = correct_plate(dataset, plate_id, index.columns, row, is_dry)
    except RowRefused as refusal:
        return Correction(row.where, None, reason=str(refusal))
    return Correction(row.where, plate_id, changed)


def plate_of_row(dataset: Dataset, row: IndexRow, ids_of_name: dict[str, list[str]]) -> str:
    """The registered plate that a row names. Raises RowRefused if there is none, or several."""
    if row.plate_id is not None:
        if not dataset.plate(row.plate_id).manifest_path.is_file():
            raise RowRefused(f"{row.plate_id} is not registered. Fix: register its scan first: atlas plates add")
        return row.plate_id
    if row.file_name is None:
        raise RowRefused("names no plate. Fix: write its plate id or its file")
    ids = [
        plate_id
        for plate_id in ids_named(ids_of_name, row.file_name)
        if dataset.plate(plate_id).identity().source_page in {row.page, None if row.page == 1 else row.page}
    ]
    if len(ids) != 1:
        raise RowRefused(
            f"{row.file_name} is the file of {listed(ids) or 'no plate'}: expected one plate. Fix: write its plate id"
        )
    return ids[0]


def correct_plate(dataset: Dataset, plate_id: str, columns: Columns, row: IndexRow, is_dry: bool) -> tuple[str, ...]:
    """Write the next version of a plate's manifest if its row differs from the present one.

    One process at a time writes a version. A killed one leaves the version whole or absent.

    Returns:
        Names of the fields that differ.

    Raises:
        RowRefused: The row cannot be what a plate states.
        DatasetBroken: The plate's manifest cannot be read.
    """
    plate = dataset.plate(plate_id)
    versions = plate.manifest_versions()
    changed = differing_fields(versions[-1], corrected(versions, columns, row))
    if not changed or is_dry:
        return changed
    with registration_gate(dataset):
        versions = plate.manifest_versions()  # again: another process may have written a version meanwhile
        wanted = corrected(versions, columns, row)
        changed = differing_fields(versions[-1], wanted)
        if changed:
            write_json_atomically(plate.manifest_version_path(wanted), wanted)
    return changed


def corrected(versions: list[PlateManifest], columns: Columns, row: IndexRow) -> PlateManifest:
    """The version after the last of a plate's, with what the row states in the columns that the index has."""
    present = versions[-1]
    fields: dict[str, Any] = {"extra": corrected_extra(present, columns, row)}
    if row.title:
        fields["title"] = row.title
    if row.slug and row.slug not in {present.slug, *outdated_slugs(versions, row.title)}:
        fields["slug"] = slugify(row.slug) or present.plate_id
    elif row.title and present.slug == derived_slug(present, present.title):  # derived then, so it is derived now
        fields["slug"] = derived_slug(present, row.title)
    if "download" in columns.of_field:
        fields["download_url"] = row.download
    if "licence" in columns.of_field:
        fields["license"] = row.licence
    if {"plate", "plate_id"} <= set(columns.of_field):
        fields["plate_number"] = row.stated_number if row.plate else None
    fields |= {"manifest_version": present.manifest_version + 1, "updated_at": datetime.now(UTC)}
    try:
        return PlateManifest.model_validate(present.model_dump() | fields)
    except ValidationError as error:
        raise RowRefused(f"{present.plate_id}: {error.errors()[0]['msg']}. Fix: shorten the row") from error


def derived_slug(manifest: PlateManifest, title: str) -> str:
    """The slug of a plate with this title, unless one is given."""
    return slugify(title) or manifest.plate_id


def outdated_slugs(versions: list[PlateManifest], title: str | None) -> set[str]:
    """Slugs derived from the plate's earlier titles.

    A table that was exported before a title was corrected has one of them beside the new title: nobody has set it.
    """
    of_titles = {derived_slug(version, version.title) for version in versions}
    return of_titles - {derived_slug(versions[-1], title or versions[-1].title)}


def corrected_extra(present: PlateManifest, columns: Columns, row: IndexRow) -> dict[str, str | int]:
    """The further columns: those of the index as the row has them, the others as they are; new ones last."""
    kept = {key: row.extra.get(key) if key in columns.further else value for key, value in present.extra.items()}
    merged = kept | dict(row.extra)
    return {key: value for key, value in merged.items() if value is not None}


def differing_fields(present: PlateManifest, wanted: PlateManifest) -> tuple[str, ...]:
    """Names of the index data that differ, further columns by their own name."""
    fields = ("plate_number", "title", "slug", "download_url", "license")
    changed = [field for field in fields if getattr(present, field) != getattr(wanted, field)]
    keys = dict.fromkeys([*present.extra, *wanted.extra])
    return (*changed, *(key for key in keys if present.extra.get(key) != wanted.extra.get(key)))

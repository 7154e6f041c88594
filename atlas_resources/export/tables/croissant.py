"""A description of exported tables in Croissant 1.1, the vocabulary for data sets of machine learning. Nothing is read.

https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html. Loaders such as `mlcroissant` open the files by it.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import polars as pl

from atlas_resources.export._licences import spdx_address
from atlas_resources.tables.ledgers import MODELS, PLATES, RUNS
from atlas_resources.tables.table import Column, Table

CROISSANT_NAME = "croissant.json"
CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
PARQUET = "application/x-parquet"  # of the spec's own tools; the registered type is not known to them
# The context of the specification's appendix 1, with the terms that are used here.
CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "dct": "http://purl.org/dc/terms/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "description": {"@container": "@language"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": {"@container": "@language"},
    **{
        term: f"cr:{term}"
        for term in (
            *("annotation", "arrayShape", "citeAs", "column", "containedIn", "equivalentProperty", "extract", "field"),
            *("fileObject", "fileProperty", "fileSet", "format", "includes", "isArray", "isLiveDataset", "jsonPath"),
            *("key", "md5", "parentField", "path", "recordSet", "references", "regex", "repeated", "replace"),
            *("samplingRate", "sdVersion", "separator", "source", "subField", "transform"),
        )
    },
}
TYPES: tuple[tuple[type[pl.DataType], str], ...] = (
    (pl.String, "sc:Text"),
    (pl.Boolean, "sc:Boolean"),
    (pl.Datetime, "sc:DateTime"),
    (pl.Int32, "sc:Integer"),
    (pl.Int64, "sc:Integer"),
    (pl.Float32, "sc:Float"),
    (pl.Float64, "sc:Float"),
)
REFERENCES = {
    "plate_id": (PLATES.name, "plate_id"),
    "neighbour_id": (PLATES.name, "plate_id"),
    "first_plate": (PLATES.name, "plate_id"),
    "second_plate": (PLATES.name, "plate_id"),
    "instrument": (MODELS.name, "instrument"),
    "foreground_instrument": (MODELS.name, "instrument"),
}
"""The table and column that values of a column are from, if all of them are there."""

UnitOf = Callable[[str, str], str | None]
"""The unit of a table's column, or of a field of it, such as `palette[].share`; None if it has none."""


@dataclass(frozen=True)
class DescribedFile:
    """A Parquet file of an export: its table, its rows, and what is known of its bytes."""

    table: Table
    rows: pl.DataFrame
    name: str
    sha256: str
    size_bytes: int


@dataclass(frozen=True)
class About:
    """What is said of an export as a whole.

    Attributes:
        creator: who exports.
        exported_at: when, UTC.
        project_version: of this project, MAJOR.MINOR.PATCH.
        left_out: what the export has not, and why, a line each.
        notices: further files of the export, with name, digest and size, such as the list of licences.
    """

    creator: str
    exported_at: datetime
    project_version: str
    left_out: Sequence[str] = ()
    notices: Sequence[tuple[str, str, int]] = ()


def croissant_document(files: Sequence[DescribedFile], about: About, unit_of: UnitOf) -> dict[str, Any]:
    """The description of an export: every file with its digest, and every column with type, meaning and unit.

    A key is stated where it names each row of the file; a reference, where the other table has all values.

    Args:
        files: the Parquet files.
        about: what is said of them as a whole.
        unit_of: the unit of a number.
    """
    digest = hashlib.sha256("".join(f"{file.sha256}  {file.name}\n" for file in files).encode()).hexdigest()
    kept = {file.table.name: file.rows for file in files}
    gone = " ".join(f"Left out: {line}." for line in about.left_out) or "Nothing was left out."
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": "Atlas ledgers",
        "description": "Measurements of scanned plates by pinned models, a Parquet file per table. Every row names the "
        f"sealed run that it comes from. {gone}",
        "url": f"urn:sha256:{digest}",
        "citeAs": f"Atlas ledgers of {kept[PLATES.name].height} plates, exported {about.exported_at:%Y-%m-%d} "
        f"with Atlas {about.project_version}. urn:sha256:{digest}",
        "version": f"{about.project_version}+{digest[:12]}",
        "license": licences(kept),
        "creator": {"@type": "sc:Person", "name": about.creator},
        "datePublished": about.exported_at.date().isoformat(),
        "isLiveDataset": False,
        "distribution": [*map(_distribution, files), *(_notice(*notice) for notice in about.notices)],
        "recordSet": [_record_set(file, kept, unit_of) for file in files],
    }


def licences(tables: Mapping[str, pl.DataFrame]) -> list[str | dict[str, str]]:
    """The licences of the scans and of the models that rows are from: addresses where there are any, else words."""
    plates, runs = tables[PLATES.name], tables[RUNS.name]
    of_scans = plates.select(pl.coalesce("rights_uri", "licence").fill_null("not stated")).to_series()
    of_models = runs["licence"].fill_null("unknown")
    found = [_licence(text, "scans") for text in of_scans.unique().sort()]
    found += [_licence(text, "models") for text in of_models.unique().sort()]
    return found or [_licence("not stated", "scans")]


def _licence(text: str, whose: str) -> str | dict[str, str]:
    if text.startswith(("http://", "https://")):
        return text
    if whose == "models" and (address := spdx_address(text)):
        return address
    return {"@type": "sc:CreativeWork", "name": text, "description": f"Licence of {whose}, as stated: {text}"}


def _distribution(file: DescribedFile) -> dict[str, Any]:
    return _file(file.name, file.sha256, file.size_bytes, PARQUET, file.table.meaning)


def _notice(name: str, sha256: str, size_bytes: int) -> dict[str, Any]:
    meaning = "Licence and credit of each plate; which plates and rows were left out, and why."
    return _file(name, sha256, size_bytes, "text/plain", meaning)


def _file(name: str, sha256: str, size_bytes: int, kind: str, meaning: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "description": meaning,
        "contentUrl": name,
        "contentSize": f"{size_bytes} B",
        "encodingFormat": kind,
        "sha256": sha256,
    }


def _record_set(file: DescribedFile, kept: Mapping[str, pl.DataFrame], unit_of: UnitOf) -> dict[str, Any]:
    table = file.table
    fields = []
    for column in table.columns:
        field = _field(file, column, unit_of)
        if target := _reference(table, column, kept):
            field["references"] = {"field": {"@id": target}}
        fields.append(field)
    found: dict[str, Any] = {
        "@type": "cr:RecordSet",
        "@id": table.name,
        "name": table.name,
        "description": table.meaning,
    }
    if names_each_row(file.rows, table.order_by):
        found["key"] = [{"@id": f"{table.name}/{name}"} for name in table.order_by]
    return {**found, "field": fields}


def names_each_row(rows: pl.DataFrame, columns: Sequence[str]) -> bool:
    """Whether no two rows have the same values in these columns, and none is null. Of no rows nothing is known."""
    key = rows.select(columns)
    return rows.height > 0 and not key.is_duplicated().any() and key.null_count().sum_horizontal().item() == 0


def _reference(table: Table, column: Column, kept: Mapping[str, pl.DataFrame]) -> str | None:
    """The field that all values of a column are from, if there are values."""
    other, name = REFERENCES.get(column.name, ("", ""))
    if other not in kept or other == table.name:
        return None
    values = kept[table.name][column.name].drop_nulls().unique()
    targets = kept[other][name]
    known = targets.null_count() == 0 and not targets.is_duplicated().any()
    return f"{other}/{name}" if values.len() and known and values.is_in(targets.implode()).all() else None


def _field(file: DescribedFile, column: Column, unit_of: UnitOf) -> dict[str, Any]:
    source = {"fileObject": {"@id": file.name}, "extract": {"column": column.name}}
    own = f"{file.table.name}/{column.name}"
    field = {"@type": "cr:Field", "@id": own, "name": column.name, "description": column.meaning}
    shape, inner = _shape(column.dtype)
    if shape:
        field |= {"isArray": True, "arrayShape": shape}
    if isinstance(inner, pl.Struct):
        return {**field, "subField": list(_sub_fields(file, column, own, inner, unit_of))}
    return {**field, **_typed(file, column.name, own, inner, unit_of), "source": source}


def _sub_fields(
    file: DescribedFile, column: Column, own: str, struct: pl.Struct, unit_of: UnitOf
) -> Iterator[dict[str, Any]]:
    """The fields of a struct, or of each struct of a list."""
    mark = "[]" if isinstance(column.dtype, pl.List) else ""
    for part in struct.fields:
        shape, inner = _shape(part.dtype)
        source = {
            "fileObject": {"@id": file.name},
            "extract": {"column": column.name},
            "transform": {"jsonPath": part.name},
        }
        identity = f"{own}/{part.name}"
        field = {"@type": "cr:Field", "@id": identity, "name": part.name, "description": f"{part.name}: see the field"}
        if shape:
            field |= {"isArray": True, "arrayShape": shape}
        yield {**field, **_typed(file, f"{column.name}{mark}.{part.name}", identity, inner, unit_of), "source": source}


def _shape(dtype: Any) -> tuple[str, Any]:
    """The shape of a list, as Croissant writes it, and the type in it; no shape for anything else."""
    if isinstance(dtype, pl.List):
        return "-1", dtype.inner
    return "", dtype


def _typed(file: DescribedFile, path: str, own: str, dtype: Any, unit_of: UnitOf) -> dict[str, Any]:
    """The type of a field, and its unit as an annotation with a constant value."""
    kind = next(name for known, name in TYPES if dtype == known)
    found: dict[str, Any] = {"dataType": kind}
    unit = unit_of(file.table.name, path) if kind in ("sc:Integer", "sc:Float") else None
    if unit:
        found["annotation"] = {
            "@type": "cr:Field",
            "@id": f"{own}/unit",
            "name": "unit",
            "description": "Unit of the values.",
            "dataType": "sc:Text",
            "equivalentProperty": "sc:unitText",
            "value": unit,
        }
    return found

"""What registration leaves in the ledgers: manifests as rows of `plates`, and the ledger of refused scans."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from atlas_resources.ledgers.parquet import read_ledger, write_ledger
from atlas_resources.plates.contracts import PlateManifest
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index.facts import Identity
from atlas_resources.plates.refused_scans import read_refused_scans
from atlas_resources.plates.rights.stated import rights_of
from atlas_resources.tables.intake import REFUSED_SCANS


def manifest_row(manifest: PlateManifest) -> dict[str, Any]:
    """A plate's present manifest as columns of `plates`, by name."""
    rights = rights_of(manifest)
    return {
        **manifest.model_dump(exclude={"extra", "origin"}),
        **{f"origin_{name}": value for name, value in (manifest.origin or {})},
        "licence": manifest.license,
        "rights_uri": rights.uri,
        "attribution": rights.attribution,
        "commercial_use": rights.commercial_use,
        "no_ai": rights.no_ai,
        "registered_from": shown_path(manifest.registered_from),
        "extra": json.dumps(manifest.extra, ensure_ascii=False),
        "manifest_updated_at": manifest.updated_at or manifest.created_at,
    }


def shown_path(registered_from: str) -> str:
    """The path as it is; of an absolute one, which older manifests have, the file's name."""
    return Path(registered_from).name if Path(registered_from).is_absolute() else registered_from


def build_refused_scans(dataset: Dataset) -> pl.DataFrame:
    """`ledger/refused_scans`, from `refused_scans.json`. No image is opened."""
    rows = [scan.model_dump() for scan in read_refused_scans(dataset)]
    return write_ledger(dataset, REFUSED_SCANS, REFUSED_SCANS.frame(rows))


def changed_manifests(identities: Mapping[str, Identity], rows: pl.DataFrame) -> Iterator[str]:
    """Why `ledger/plates` is behind the manifests of some plates.

    Args:
        identities: of the plates.
        rows: what the ledger has of them.
    """
    present = {(plate_id, one.manifest_version) for plate_id, one in identities.items() if one.fault is None}
    known = set(rows.select("plate_id", "manifest_version").iter_rows())
    if corrected := {plate_id for plate_id, _ in known ^ present}:
        # The reason is part of a run key: another digest requests another refresh.
        yield f"index data of {len(corrected)} plates changed ({_digest(present)})"


def changed_refusals(dataset: Dataset) -> Iterator[str]:
    """Why `ledger/refused_scans` is behind the list of refused scans."""
    refused = REFUSED_SCANS.conform(REFUSED_SCANS.frame(scan.model_dump() for scan in read_refused_scans(dataset)))
    if not refused.equals(read_ledger(dataset, REFUSED_SCANS)):
        yield f"the list of refused scans changed ({_digest(refused.rows())})"


def _digest(values: object) -> str:
    shown = repr(sorted(values)) if isinstance(values, set) else repr(values)
    return hashlib.sha256(shown.encode()).hexdigest()[:8]

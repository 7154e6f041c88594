"""`plates` and `models` as they were: manifests by version, facts by digest, instruments by their recorded specs."""

from typing import Any

import polars as pl
from pydantic import ValidationError

from atlas_resources.catalogue.as_of.then import Then
from atlas_resources.files.digests import sha256_of
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.ledgers.intake import manifest_row
from atlas_resources.ledgers.models import admitted_row
from atlas_resources.plates.contracts import PlateManifest
from atlas_resources.plates.groundwork import COST_NAME, INPUT_IMAGE_NAME
from atlas_resources.plates.json_files import DatasetBroken, read_json
from atlas_resources.plates.records.snapshot import SnapshotPlate
from atlas_resources.tables.groundwork import FACTS
from atlas_resources.tables.ledgers import MODELS, PLATES
from atlas_resources.tables.records.withdrawals import WITHDRAWN_BY

FACT_NAMES = [column.name for column in FACTS]
COST_NAMES = [name for name in FACT_NAMES if name.startswith("groundwork_")]
IDENTITY_NAMES = PLATES.schema.keys() - {"plate_id", "source_sha256", *FACT_NAMES}


def plates_then(then: Then) -> pl.DataFrame:
    """`plates`: a row per plate of the snapshot, with its withdrawal of then.

    Facts that were measured again since are null, with a warning.
    """
    present = {row["plate_id"]: row for row in then.now(PLATES).to_dicts()}
    entries = {number for (number,) in then.rows(then.entries)}
    rows, gone, remeasured = [], [], []
    for plate in then.snapshot.plates:
        row = present.get(plate.plate_id)
        if row is None:
            gone.append(plate.plate_id)
            continue
        row |= {"source_sha256": plate.source_sha256, **_manifest_then(then, plate, row)}
        row[WITHDRAWN_BY.name] = row[WITHDRAWN_BY.name] if row[WITHDRAWN_BY.name] in entries else None
        facts, cost = (then.leaf(plate.plate_id, f"derived/{name}") for name in (INPUT_IMAGE_NAME, COST_NAME))
        if row["input_image_sha256"] != facts:
            row |= dict.fromkeys(FACT_NAMES)
            remeasured += [plate.plate_id] if facts else []
        elif facts:
            of_then = (then.snapshot.measure_version, plate.source_sha256)
            is_present = (row["measure_version"], row["measured_source_sha256"]) == of_then
            row["is_current"] = is_present and row[WITHDRAWN_BY.name] is None
        if row["groundwork_sha256"] != cost:
            row |= dict.fromkeys(COST_NAMES)
        rows.append(row)
    _warn(then, gone, "plates are gone, or not in the catalogue")
    _warn(then, remeasured, "plates were measured again since; their facts then are null")
    return PLATES.conform(PLATES.frame(rows))


def _manifest_then(then: Then, plate: SnapshotPlate, row: dict[str, Any]) -> dict[str, Any]:
    """What the manifest of then states, as columns; empty if the present one is the same."""
    if row["manifest_version"] == plate.manifest_version:
        return {}
    folder = then.dataset.plate(plate.plate_id)
    begin = f"manifest-{plate.manifest_version:06d}-"
    paths = [path for path in folder.manifest_version_paths() if path.name.startswith(begin)]
    path = folder.manifest_path if plate.manifest_version == 1 else next(iter(paths), None)
    try:
        if path is None or sha256_of(path) != then.leaf(plate.plate_id, path.relative_to(folder.folder).as_posix()):
            raise DatasetBroken(folder.folder / "manifests" / begin, "is gone or was changed", kind="missing")
        return manifest_row(read_json(path, PlateManifest))
    except (DatasetBroken, OSError) as error:
        then.warnings.append(f"{plate.plate_id}: its manifest then cannot be read, and is null: {error}")
        return dict.fromkeys(IDENTITY_NAMES)


def models_then(then: Then) -> pl.DataFrame:
    """`models`: the instruments that were admitted, as their specs declared them."""
    rows = []
    for one in then.snapshot.instruments:
        try:
            rows.append(admitted_row(Spec.model_validate(one.spec), one.identity))
        except ValidationError:
            then.warnings.append(f"{one.identity.key}: its spec has another form in this release; its prose is null")
            rows.append({"instrument": one.identity.key, "status": "admitted", **one.identity.model_dump()})
    return MODELS.conform(MODELS.frame(rows))


def _warn(then: Then, plate_ids: list[str], what: str) -> None:
    if plate_ids:
        more = ", ..." if len(plate_ids) > 5 else ""
        then.warnings.append(f"{len(plate_ids)} {what}: {', '.join(plate_ids[:5])}{more}")

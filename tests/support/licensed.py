"""Plates whose index states a licence, as if they had been registered so."""

from atlas_resources.plates.dataset import Dataset
from support.rewritten import rewrite_json


def license_plates(dataset: Dataset, licence: str | None, *plate_ids: str, **extra: str | int) -> None:
    """States a licence, and further columns, for plates; all by default."""
    for plate_id in plate_ids or dataset.plate_ids():
        rewrite_json(dataset.plate(plate_id).manifest_path, license=licence, extra=extra)

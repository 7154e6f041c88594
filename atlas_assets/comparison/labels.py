"""Labels of plates from a CSV: which plates belong together, as somebody who knows them says."""

import csv
from pathlib import Path

from atlas_resources.plates.dataset import Dataset

COLUMNS = ("plate_id", "label")
MOST_BYTES = 50_000_000


class LabelsRefused(ValueError):
    """A file of labels that cannot be used; the message has its name and the row."""


def read_labels(path: Path, dataset: Dataset) -> dict[str, str]:
    """The label of each plate, from a CSV in UTF-8 with the columns `plate_id` and `label`; others are not read.

    Raises:
        LabelsRefused: unreadable, without these columns, an empty label, a plate that is not registered or has two
            rows, or no row at all.
    """
    known, labels = set(dataset.plate_ids()), dict[str, str]()
    try:
        if path.stat().st_size > MOST_BYTES:
            raise LabelsRefused(f"{path}: expected at most {MOST_BYTES:,} bytes, found {path.stat().st_size:,}")
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            if missing := [name for name in COLUMNS if name not in (reader.fieldnames or [])]:
                found = ", ".join(reader.fieldnames or []) or "nothing"
                raise LabelsRefused(f"{path}: expected a column {missing[0]}, found {found}. Fix: plate_id,label")
            for row in reader:
                plate_id, label = ((row[name] or "").strip() for name in COLUMNS)
                where = f"{path}, line {reader.line_num}"
                if plate_id not in known:
                    raise LabelsRefused(f"{where}: no plate {plate_id!r}. `atlas plates list` shows the plates")
                if not label:
                    raise LabelsRefused(f"{where}: expected a label of {plate_id}, found none. Fix: remove the row")
                if plate_id in labels:
                    raise LabelsRefused(f"{where}: expected one row of {plate_id}, found a second. Fix: remove one")
                labels[plate_id] = label
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise LabelsRefused(f"{path}: expected a CSV in UTF-8: {error}") from None
    if not labels:
        raise LabelsRefused(f"{path}: expected a row for each plate with its label, found none")
    return labels

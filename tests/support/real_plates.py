"""Real scans in the folder `shared` next to the repository. Tests that need them are skipped without it."""

import csv
from pathlib import Path

import pytest

from support.shared import SHARED

FOLDER = SHARED / "plates"
MANIFEST = FOLDER / "manifest.csv"

wants_real_plates = pytest.mark.skipif(not MANIFEST.is_file(), reason=f"no real plates: {MANIFEST} is absent")


def rows() -> list[dict[str, str]]:
    """The manifest's rows; empty if it is absent."""
    if not MANIFEST.is_file():
        return []
    with MANIFEST.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def one_of_each_family() -> list[Path]:
    """The first plate of every family, which differ in size, paper and print."""
    first = {row["family"]: row["file"] for row in reversed(rows())}
    return [FOLDER / file for file in sorted(first.values())]

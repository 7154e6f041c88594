"""What the page shows before a plate is opened, put together."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

from atlas_resources.page.contract.library import Library
from atlas_resources.page.folder.sprites import Sheets
from atlas_resources.page.library import plates, records, spaces
from atlas_resources.page.shown import Shown
from atlas_resources.page.values import without_folders
from atlas_resources.runs.provenance import code_version

DISTRIBUTION = "atlas-plates"
MOST_NAMED = 10
"""Plates without a picture that are named; further ones are counted."""


@dataclass(frozen=True)
class About:
    """The page's title, what made it, and the name of the catalogue."""

    title: str
    made_by: str
    catalogue: str


def made_by_this() -> str:
    """This version of Atlas and its commit."""
    code = code_version()
    commit = f", commit {code.git_sha[:12]}{' with changes' if code.is_dirty else ''}" if code.git_sha else ""
    return f"Atlas {version(DISTRIBUTION)}{commit}"


def read_library(shown: Shown, about: About, sheets: Sheets, problems: Mapping[str, str]) -> Library:
    """What the page shows before a plate is opened.

    Args:
        shown: what is shown.
        about: title and origin.
        sheets: the thumbnails.
        problems: why plates have no picture.
    """
    return Library(
        schema_version=1,
        title=about.title,
        made_at=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        made_by=about.made_by,
        catalogue=about.catalogue,
        notices=[*shown.notices, *_unmade(problems, sheets)],
        plates=plates.plate_columns(shown, sheets.sizes),
        sprites=sheets.sprites,
        spaces=spaces.read_spaces(shown),
        agreement=spaces.read_agreement(shown),
        instruments=records.read_instruments(shown),
        tags=records.read_tags(shown),
        failures=records.read_failures(shown),
        refused_scans=records.read_refused_scans(shown),
        duplicates=records.read_duplicates(shown),
        plates_sql=plates.plates_sql(shown),
        agreement_sql=spaces.AGREEMENT_SQL,
        failures_sql=records.FAILURES_SQL,
    )


def _unmade(problems: Mapping[str, str], sheets: Sheets) -> list[str]:
    """Which plates have no picture and why, and how many have no thumbnail."""
    found = [
        f"{plate_id} has no picture: {without_folders(reason)}"
        for plate_id, reason in list(problems.items())[:MOST_NAMED]
    ]
    if len(problems) > MOST_NAMED:
        found.append(f"{len(problems) - MOST_NAMED} further plates have no picture.")
    if count := sum(size == (0, 0) for size in sheets.sizes.values()):
        found.append(f"{count} plate{'' if count == 1 else 's'} without a thumbnail: the groundwork makes it.")
    return found

"""The documentation's links and paths exist; decision records are numbered without gaps and indexed."""

import re
from pathlib import Path

import pytest

from atlas_resources.files.project import PROJECT_ROOT

DECISIONS = PROJECT_ROOT / "docs" / "decisions"
PAGES = sorted([*PROJECT_ROOT.glob("*.md"), *PROJECT_ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED_PATH = re.compile(r"`((?:atlas_assets|atlas_resources|benchmarks|docs|tests)/[^`\s<*]*)`")
SECTIONS = ["## Context", "## Decision", "## Consequences"]


def broken_links(page: Path, text: str) -> list[str]:
    """Relative links of a page to files that do not exist."""
    links = [link.partition("#")[0] for link in LINK.findall(text) if "://" not in link]
    return [link for link in links if link and not (page.parent / link).exists()]


def unknown_paths(text: str) -> list[str]:
    """Paths of the project in backticks that do not exist."""
    return [name for name in NAMED_PATH.findall(text) if not (PROJECT_ROOT / name).exists()]


def test_all_pages_are_found():
    assert {"README.md", "CONTRIBUTING.md"} <= {page.name for page in PAGES}
    assert len(PAGES) > 25


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT_ROOT)))
def test_links_and_paths_of_a_page_exist(page: Path):
    text = page.read_text(encoding="utf-8")
    assert broken_links(page, text) == []
    assert unknown_paths(text) == []


def test_a_broken_link_and_an_unknown_path_are_found():
    text = "[gone](docs/gone.md), [there](README.md#try-it), `atlas_assets/gone.py`, `atlas_assets/definitions.py`"
    assert broken_links(PROJECT_ROOT / "README.md", text) == ["docs/gone.md"]
    assert unknown_paths(text) == ["atlas_assets/gone.py"]


def test_decision_records_are_numbered_without_gaps_and_indexed_in_order():
    records = sorted(DECISIONS.glob("[0-9]*.md"))
    assert [record.name[:4] for record in records] == [f"{number:04d}" for number in range(1, len(records) + 1)]
    index = (DECISIONS / "README.md").read_text(encoding="utf-8")
    titles = [record.read_text(encoding="utf-8").splitlines()[0].partition(". ")[2] for record in records]
    assert re.findall(r"^\| \[\d{4}\. (.+?)\]\((.+?)\)", index, flags=re.MULTILINE) == [
        (title, record.name) for title, record in zip(titles, records, strict=True)
    ]


@pytest.mark.parametrize("record", sorted(DECISIONS.glob("[0-9]*.md")), ids=lambda record: record.name[:4])
def test_a_decision_record_has_status_context_decision_and_consequences(record: Path):
    text = record.read_text(encoding="utf-8")
    assert text.startswith(f"# {int(record.name[:4])}. ")
    assert "\nStatus: accepted" in text
    assert re.findall(r"^## .+$", text, flags=re.MULTILINE) == SECTIONS

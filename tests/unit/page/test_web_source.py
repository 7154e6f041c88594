"""The files that draw the page are what their source in `web/` gives, and its own tests pass."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support.web_source import BUILT, WEB, install_packages, run_node

from atlas_resources.files.project import PROJECT_ROOT

FILES = ["atlas.css", "atlas.js", "index.html", "licences.txt"]
MOST_LINES = 300


@pytest.fixture(scope="module")
def _packages() -> None:
    if problem := install_packages():
        pytest.skip(problem)


@pytest.mark.usefixtures("_packages")
def test_the_built_files_are_what_the_source_gives(tmp_path: Path):
    run_node("tools/build.mjs", tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(path.name for path in BUILT.iterdir()) == FILES
    outdated = [name for name in FILES if (tmp_path / name).read_bytes() != (BUILT / name).read_bytes()]
    assert outdated == [], "Fix: make web"


@pytest.mark.usefixtures("_packages")
def test_the_types_are_those_of_the_contract():
    schema = subprocess.run(
        [sys.executable, WEB / "tools" / "schema.py"], cwd=PROJECT_ROOT, capture_output=True, text=True, check=True
    )
    assert run_node("tools/contract.mjs", text=schema.stdout) == (WEB / "src" / "contract.ts").read_text(), (
        "Fix: make web"
    )


@pytest.mark.usefixtures("_packages")
def test_the_source_has_no_fault_of_types():
    assert run_node("node_modules/typescript/bin/tsc", "--noEmit") == ""  # the compiler prints only faults


@pytest.mark.usefixtures("_packages")
def test_the_sources_own_tests_pass():
    assert re.search(r"^# fail 0$", run_node("tools/test.mjs"), re.MULTILINE)


def test_the_page_may_load_its_own_files_only_and_runs_no_text_as_code():
    page = (BUILT / "index.html").read_text(encoding="utf-8")
    (policy,) = re.findall(r'content="(default-src [^"]+)"', page)
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "connect-src 'none'" in policy
    assert "unsafe" not in policy
    assert re.findall(r'(?:src|href)="([^"]+)"', page) == ["data:,", "atlas.css", "atlas.js"]


def test_no_markup_is_made_of_texts():
    found = {
        path.name: words
        for path in (WEB / "src").rglob("*.ts*")
        if (
            words := re.findall(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function", path.read_text()
            )
        )
    }
    assert found == {}


def test_packages_are_pinned_exactly_and_no_registry_is_named():
    package = json.loads((WEB / "package.json").read_text(encoding="utf-8"))
    versions = {**package["dependencies"], **package["devDependencies"]}
    assert {name: version for name, version in versions.items() if not re.fullmatch(r"\d+\.\d+\.\d+", version)} == {}
    lock = json.loads((WEB / "package-lock.json").read_text(encoding="utf-8"))
    assert [name for name, entry in lock["packages"].items() if "resolved" in entry] == []
    bundled = (BUILT / "licences.txt").read_text(encoding="utf-8")
    assert [
        name for name in package["dependencies"] if not re.search(rf"^{re.escape(name)} \d", bundled, re.MULTILINE)
    ] == []


def test_modules_are_short_and_say_what_they_are():
    sources = [path for path in (WEB / "src").rglob("*.ts*") if path.name not in ("contract.ts", "styles.d.ts")]
    assert len(sources) > 40
    texts = {path.name: path.read_text(encoding="utf-8") for path in sources}
    assert [name for name, text in texts.items() if not text.startswith("/** ")] == []
    assert [name for name, text in texts.items() if text.count("\n") > MOST_LINES] == []
    assert [name for name, text in texts.items() if re.search(r":\s*any\b|\bas any\b|<any>", text)] == []

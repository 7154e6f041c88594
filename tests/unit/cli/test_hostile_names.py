"""Names and indexes that look like markup or are made to be large are shown whole, or cut with a count."""

import json
import os
from pathlib import Path

import pytest
from support.made_datasets import draw_scans
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli

pytestmark = pytest.mark.timeout(60)


@pytest.fixture(autouse=True)
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path / "atlas [/] [red]"))


def add(folder: Path) -> Result:
    return CliRunner().invoke(cli.app, ["plates", "add", str(folder)])


@pytest.mark.parametrize("name", ["[/]", "ends in [", "[red]", "[/bold]", "\\[a]", ":smile:", "[link=http://a]b"])
def test_a_name_that_looks_like_markup_is_shown_as_it_is(name: str, tmp_path: Path):
    folder = tmp_path / name.replace("/", "∕") / name.split("/", maxsplit=1)[0]
    (scan,) = draw_scans(folder, "red")
    odd = scan.rename(folder / f"{name.replace('/', '∕')}.png")
    (folder / f"broken {name.replace('/', '∕')}.png").write_bytes(b"x")
    result = add(folder)
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert str(odd) in result.output
    assert f"refused {folder}/broken {name.replace('/', '∕')}.png: is not an image" in result.output
    listed = CliRunner().invoke(cli.app, ["plates", "list"], env={"COLUMNS": "300"})
    assert listed.exit_code == 0
    assert odd.stem in listed.output


def test_a_folder_named_as_a_closing_tag_is_no_traceback(tmp_path: Path):
    folder = tmp_path / "a[" / "]"
    draw_scans(folder, "red")
    result = add(tmp_path / "a[")
    assert result.exit_code == 0
    assert str(folder) in result.output


def test_a_message_keeps_its_pattern(tmp_path: Path):
    (scan,) = draw_scans(tmp_path / "scans", "red")
    (scan.parent / "plates.csv").write_text(f"file,plate\n{scan.name},[not a slug]\n")
    result = add(scan.parent)
    assert result.exit_code == 1
    assert (
        "plate id '[not a slug]' (line 2 of the index) is not a slug: expected a number or ^[a-z0-9]" in result.output
    )


def test_twenty_thousand_rows_of_one_scan_are_counted_and_not_listed(tmp_path: Path):
    (scan,) = draw_scans(tmp_path / "scans", "red")
    (scan.parent / "plates.csv").write_text("file,title\n" + f"{scan.name},Red\n" * 20_000)
    result = add(scan.parent)
    assert result.exit_code == 1
    assert "has 20000 rows for" in result.output
    assert "and 19997 more" in result.output
    assert len(result.output) < 2000


HOSTILE = {
    "a million brackets": b"[" * 1_000_000,
    "a million objects": b'{"a":' * 200_000,
    "a number of 5,000 digits": b'[{"file": "a.png", "plate": ' + b"9" * 5000 + b"}]",
    "a lone surrogate": json.dumps([{"file": "\ud800.png"}]).encode(),
    "a cell that is nested": b'[{"file": ' + b"[" * 500 + b"]" * 500 + b"}]",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_index_is_refused_in_a_line(case: str, tmp_path: Path):
    (scan,) = draw_scans(tmp_path / "scans", "red")
    (scan.parent / "data.json").write_bytes(HOSTILE[case])
    result = add(scan.parent)
    assert result.exit_code in {0, 1}
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "data.json" in result.output
    assert len(result.output) < 2000


def test_an_index_that_is_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path):
    (scan,) = draw_scans(tmp_path / "scans", "red")
    os.mkfifo(scan.parent / "pipe.csv")
    (scan.parent / "zero.json").symlink_to("/dev/zero")
    (scan.parent / "kernel.csv").symlink_to("/proc/kmsg")
    result = add(scan.parent)
    assert result.exit_code == 0
    assert "kernel.csv is not used as an index: is empty" in result.output

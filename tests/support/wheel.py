"""The wheel of the checkout, installed into a folder, and its commands."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from atlas_resources.files.locking import locked
from atlas_resources.files.project import PROJECT_ROOT


def installed_wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the project's packages as the wheel has them, made once for all processes of the tests.

    What the packages depend on is that of the tests' own environment.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with locked(folder / "wheel.lock"):
        if not (folder / "wheel" / "installed").is_file():
            _install(folder / "wheel")
            (folder / "wheel" / "installed").touch()
    return folder / "wheel" / "site"


def _install(folder: Path) -> None:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    source = folder / "source"
    subprocess.run(["git", "clone", "--quiet", str(PROJECT_ROOT), str(source)], check=True)
    subprocess.run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(source)], check=True)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(folder / "site"), str(wheel)], check=True)


def atlas(packages: Path, folder: Path, *arguments: str) -> str:
    """Runs `atlas` from the wheel's packages in a folder; gives its output."""
    return run(packages, folder, sys.executable, "-m", "atlas_assets.cli.app", *arguments)


def run(packages: Path, folder: Path, *command: str | Path) -> str:
    """Runs a command with the wheel's packages in a folder; gives its output."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("ATLAS_", "DAGSTER_"))}
    cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # where the weights are
    own = {
        "PYTHONPATH": str(packages),
        "HOME": str(folder),
        "XDG_CACHE_HOME": cache,
        "VIRTUAL_ENV": sys.prefix,
        "COLUMNS": "200",
    }
    result = subprocess.run(
        command,
        cwd=folder,
        env={**environment, **own},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr

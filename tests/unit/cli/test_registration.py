"""Commands are registered in `app.py` alone; the version and the help are printed without heavy imports."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import typer
from typer.testing import CliRunner

from atlas_assets.cli.app import COMMANDS, GROUPS, app
from atlas_resources.files.project import PROJECT_ROOT

HEAVY = ("dagster", "torch", "polars", "duckdb", "transformers", "numpy", "yaml")


def typed_commands(group: typer.Typer, prefix: str = "") -> set[str]:
    """Every command that can be typed, such as "plates add"."""
    own = {f"{prefix}{command.name}" for command in group.registered_commands}
    for each in group.registered_groups:
        assert each.typer_instance is not None
        own |= typed_commands(each.typer_instance, f"{prefix}{each.name} ")
    return own


def test_every_command_is_a_line_of_the_table():
    typed = typed_commands(app)
    assert {"run", "query", "ui", "demo", "export-regions", "plates add", "models prompts list"} <= typed
    assert len(typed) == len(COMMANDS) == len({function for _, _, function in COMMANDS})
    assert {name for _, name, _ in GROUPS} == {"plates", "models", "prompts", "snapshot", "store", "tags"}


def test_no_other_module_registers_a_command():
    folder = PROJECT_ROOT / "atlas_assets" / "cli"
    modules = [path for path in folder.rglob("*.py") if path.name != "app.py"]
    assert len(modules) > 10
    for path in modules:
        text = path.read_text(encoding="utf-8")
        assert "typer.Typer(" not in text, path
        assert ".command(" not in text, path


def test_the_version_is_the_distribution_s():
    result = CliRunner().invoke(app, ["--version"])
    assert (result.exit_code, result.output) == (0, f"atlas {importlib.metadata.version('atlas-plates')}\n")


def loaded_by(arguments: list[str], folder: Path) -> set[str]:
    """Which heavy packages a fresh `atlas` process imports."""
    script = (
        "import sys\n"
        "from atlas_assets.cli.app import app\n"
        f"app({arguments!r}, standalone_mode=False)\n"
        f"print('loaded:', *(name for name in {HEAVY!r} if name in sys.modules))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=folder)
    return set(done.stdout.splitlines()[-1].removeprefix("loaded:").split())


def test_help_imports_nothing_heavy(tmp_path: Path):
    assert loaded_by(["--help"], tmp_path) == set()
    assert loaded_by(["models", "pull", "--help"], tmp_path) == set()


def test_a_command_that_needs_them_does(tmp_path: Path):
    """The check above can fail: listing the instruments reads YAML."""
    assert "yaml" in loaded_by(["models", "list"], tmp_path)

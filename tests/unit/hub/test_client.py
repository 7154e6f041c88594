"""Only one module imports what makes requests; others import constants, paths, locks, types and errors."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.hub import client

TALKING = {"httpx2", "httpx", "requests", "aiohttp"}
HARMLESS = {
    "httpx2.SyncByteStream",
    "httpx2.TransportError",
    "huggingface_hub.constants",
    "huggingface_hub.errors",
    "huggingface_hub.file_download.repo_folder_name",
    "huggingface_hub.utils.WeakFileLock",
}
MODULES = [
    path
    for folder in ("atlas_assets", "atlas_resources")
    for path in sorted((PROJECT_ROOT / folder).rglob("*.py"))
    if path != Path(client.__file__)
]


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names of everything that a module imports at any depth, except for types alone."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imports(node)


def talks(name: str) -> bool:
    library = name.partition(".")[0]
    return name not in HARMLESS and library in {*TALKING, "huggingface_hub"}


def test_the_client_is_found_to_make_requests():
    assert any(map(talks, imports(ast.parse(Path(client.__file__).read_text(encoding="utf-8")))))


def test_all_other_modules_are_examined():
    """With an empty list every test below would pass."""
    assert len(MODULES) > 150
    assert {path.parent.name for path in MODULES} > {"hub", "models", "runs", "plates", "cli"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PROJECT_ROOT).as_posix())
def test_no_other_module_imports_what_makes_requests(path: Path):
    assert [name for name in imports(ast.parse(path.read_text(encoding="utf-8"))) if talks(name)] == []

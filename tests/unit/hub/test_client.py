"""Only few modules import what makes requests: clients of the hub, scans, servers, buckets, mail, and Dagster's."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from atlas_resources.files.project import PROJECT_ROOT

TALKING = {"httpx2", "httpx", "requests", "aiohttp", "urllib3", "ftplib", "smtplib", "obstore", "tritonclient"}
TALKING_MODULES = ("urllib.request", "http.client")
HARMLESS = {
    "httpx2.SyncByteStream",
    "httpx2.TransportError",
    "huggingface_hub.constants",
    "huggingface_hub.errors",
    "huggingface_hub.file_download.repo_folder_name",
    "huggingface_hub.utils.WeakFileLock",
    "tritonclient.grpc.model_config_pb2.ModelConfig",
}
CLIENTS = [
    PROJECT_ROOT / "atlas_assets" / "automation" / "watching" / "channels.py",
    PROJECT_ROOT / "atlas_assets" / "automation" / "server.py",
    PROJECT_ROOT / "atlas_resources" / "downloads" / "client.py",
    PROJECT_ROOT / "atlas_resources" / "hub" / "client.py",
    PROJECT_ROOT / "atlas_resources" / "models" / "servers" / "connections.py",
    PROJECT_ROOT / "atlas_resources" / "models" / "servers" / "running.py",
    PROJECT_ROOT / "atlas_resources" / "models" / "servers" / "triton_client.py",
    PROJECT_ROOT / "atlas_resources" / "serving" / "starting.py",
    PROJECT_ROOT / "atlas_resources" / "store" / "address.py",
    PROJECT_ROOT / "atlas_resources" / "store" / "objects.py",
    PROJECT_ROOT / "atlas_resources" / "watching" / "sending.py",
]
MODULES = [
    path
    for folder in ("atlas_assets", "atlas_resources")
    for path in sorted((PROJECT_ROOT / folder).rglob("*.py"))
    if path not in CLIENTS
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
    is_module = name.startswith(TALKING_MODULES)
    return name not in HARMLESS and (is_module or library in {*TALKING, "huggingface_hub"})


@pytest.mark.parametrize("path", CLIENTS, ids=lambda path: path.parent.name)
def test_a_client_is_found_to_make_requests(path: Path):
    assert any(map(talks, imports(ast.parse(path.read_text(encoding="utf-8")))))


def test_all_other_modules_are_examined():
    """With an empty list every test below would pass."""
    assert len(MODULES) > 150
    assert {path.parent.name for path in MODULES} > {
        "acquisition",
        "downloads",
        "hub",
        "models",
        "runs",
        "plates",
        "cli",
    }


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PROJECT_ROOT).as_posix())
def test_no_other_module_imports_what_makes_requests(path: Path):
    assert [name for name in imports(ast.parse(path.read_text(encoding="utf-8"))) if talks(name)] == []

"""The rooms are the same in pyproject.toml, in docs/architecture.md and on disk; modules and functions stay short."""

import ast
import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from atlas_resources.files.project import PROJECT_ROOT

PACKAGES = ("atlas_assets", "atlas_resources")
MOST_MODULES, MOST_MODULE_LINES, MOST_FUNCTION_LINES = 10, 300, 50
LONG_FOR_A_REASON = re.compile(r"# long: \S")

Floors = dict[str, list[set[str]]]
"""Rooms by package and floor, the top floor first."""


def floors_of_contracts(text: str) -> Floors:
    """The layers of the contracts "Floors of <package>" in pyproject.toml."""
    contracts = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    named = {contract["name"].removeprefix("Floors of "): contract for contract in contracts}
    return {
        package: [{room.strip() for room in floor.split("|")} for floor in named[package]["layers"]]
        for package in PACKAGES
    }


def floors_of_picture(page: str) -> Floors:
    """The nodes of each subgraph of the Mermaid picture, by the chain of thin arrows."""
    labels = dict(re.findall(r"\b([AR]_\w+)\[(\w+)\]", page))
    floors: Floors = {}
    for package in PACKAGES:
        (subgraph,) = re.findall(rf"subgraph {package}\n(.*?)\n  end\n", page, flags=re.DOTALL)
        floors[package] = []
        for line in subgraph.splitlines():
            for group in line.split("-->"):
                floor = {labels[node.partition("[")[0].strip()] for node in group.split("&")}
                if floor not in floors[package]:
                    floors[package].append(floor)
    return floors


def rooms_of_tables(page: str) -> dict[str, list[str]]:
    """The rooms of the two tables, in order."""
    tables = (page.partition(f"## Rooms of `{package}`")[2].partition("\n## ")[0] for package in PACKAGES)
    return {
        package: re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)
        for package, table in zip(PACKAGES, tables, strict=True)
    }


def rooms_on_disk(root: Path) -> dict[str, set[str]]:
    """Sub-packages and modules directly in each package."""
    return {
        package: {path.parent.name for path in (root / package).glob("*/__init__.py")}
        | {path.stem for path in (root / package).glob("*.py") if path.stem != "__init__"}
        for package in PACKAGES
    }


def differences(contracts: str, page: str, on_disk: dict[str, set[str]]) -> list[str]:
    """Where the contracts differ from the picture, the tables and the disk, a line each."""
    floors, picture, tables = floors_of_contracts(contracts), floors_of_picture(page), rooms_of_tables(page)
    found = []
    for package in PACKAGES:
        rooms = set().union(*floors[package])
        if picture[package] != floors[package]:
            found.append(f"{package}: the picture's floors are not those of the contract")
        if set(tables[package]) != rooms or len(tables[package]) != len(rooms):
            found.append(f"{package}: the table lists other rooms than the contract")
        elif [next(n for n, floor in enumerate(floors[package]) if room in floor) for room in tables[package]] != [
            number for number, floor in enumerate(floors[package]) for _ in floor
        ]:
            found.append(f"{package}: the table's order is not that of the floors")
        if on_disk[package] != rooms:
            found.append(f"{package}: the disk has other rooms than the contract: {on_disk[package] ^ rooms}")
    return found


CONTRACTS = (PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8")
PAGE = (PROJECT_ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")


def test_contracts_page_and_disk_have_the_same_rooms_in_the_same_order():
    assert differences(CONTRACTS, PAGE, rooms_on_disk(PROJECT_ROOT)) == []


Change = Callable[[str], str]


def replaced(old: str, new: str) -> Change:
    return lambda text: text.replace(old, new)


@pytest.mark.parametrize(
    "change",
    [
        replaced('"automation", "graph"', '"graph", "automation"'),
        replaced('"demo", ', ""),
        replaced('"roles", "ui"]', '"roles", "ui", "cellar"]'),
        replaced('    "runs",\n    "watching",', '    "watching",\n    "runs",'),
        replaced('"export | catalogue"', '"export",\n    "catalogue"'),
        replaced('    "tables",', '    "columns",'),
    ],
)
def test_a_changed_contract_is_found(change: Change):
    assert change(CONTRACTS) != CONTRACTS
    assert differences(change(CONTRACTS), PAGE, rooms_on_disk(PROJECT_ROOT))


@pytest.mark.parametrize(
    "change",
    [
        replaced("A_cli[cli] --> A_demo[demo]", "A_demo[demo] --> A_cli[cli]"),
        replaced("A_demo[demo] --> ", ""),
        replaced("R_tables[tables]", "R_tables[columns]"),
        replaced("R_runs[runs] -->", "R_runs[runs] --> R_cellar[cellar] -->"),
        lambda page: re.sub(r"\| `hub` \|.*\n", "", page),
        lambda page: re.sub(r"(\| `runs` \|.*\n)(\| `watching` \|.*\n)", r"\2\1", page),
        replaced("| `files` |", "| `bytes` |"),
        replaced("| `files` |", "| `cellar` | wine |\n| `files` |"),
    ],
)
def test_a_changed_page_is_found(change: Change):
    assert change(PAGE) != PAGE
    assert differences(CONTRACTS, change(PAGE), rooms_on_disk(PROJECT_ROOT))


@pytest.mark.parametrize("package", PACKAGES)
def test_a_folder_or_module_more_or_less_is_found(package: str):
    on_disk = rooms_on_disk(PROJECT_ROOT)
    assert differences(CONTRACTS, PAGE, {**on_disk, package: on_disk[package] | {"cellar"}})
    assert differences(CONTRACTS, PAGE, {**on_disk, package: on_disk[package] - {min(on_disk[package])}})


def modules(root: Path) -> list[Path]:
    return sorted(path for package in PACKAGES for path in (root / package).rglob("*.py"))


def faults_of_init(path: Path) -> list[str]:
    """An `__init__.py` has a docstring and nothing else."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    faults = [] if ast.get_docstring(tree) else [f"{path}: no docstring"]
    return faults + [f"{path}:{node.lineno}: code in __init__.py" for node in tree.body[1:]]


def faults_of_rooms(root: Path) -> Iterator[str]:
    """Folders with more than ten modules."""
    for folder in sorted({path.parent for path in modules(root)}):
        count = sum(path.name != "__init__.py" for path in folder.glob("*.py"))
        if count > MOST_MODULES:
            yield f"{folder}: {count} modules, expected at most {MOST_MODULES}"


def faults_of_length(path: Path) -> Iterator[str]:
    """A module of more than 300 lines, and functions of more than 50 without a reason on the `def` line."""
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) > MOST_MODULE_LINES:
        yield f"{path}: {len(lines)} lines, expected at most {MOST_MODULE_LINES}"
    for node in ast.walk(ast.parse("\n".join(lines))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MOST_FUNCTION_LINES and not LONG_FOR_A_REASON.search(lines[node.lineno - 1]):
                yield f"{path}:{node.lineno}: {node.name} has {length} lines, expected at most {MOST_FUNCTION_LINES}"


def imports_of(path: Path) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything of the project that a module imports, names of imported modules included."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(PACKAGES):
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names if alias.name.startswith(PACKAGES))


def faults_of_private_modules(root: Path) -> Iterator[str]:
    """Imports of a module that begins with `_` from outside its room, and of a private name of another module."""
    for path in modules(root):
        room = path.parent.relative_to(root).as_posix().replace("/", ".")
        for line, name in imports_of(path):
            parts = name.split(".")
            private = next((number for number, part in enumerate(parts) if part.startswith("_")), None)
            if private is None:
                continue
            owner = ".".join(parts[:private])
            is_module = root.joinpath(*parts[: private + 1]).with_suffix(".py").is_file()
            if not is_module or not (room == owner or room.startswith(f"{owner}.")):
                yield f"{path}:{line}: {name} is private to {owner}"


def test_private_modules_are_imported_in_their_own_room_only():
    assert list(faults_of_private_modules(PROJECT_ROOT)) == []


def test_an_import_of_a_private_module_from_another_room_is_found(tmp_path: Path):
    for name, text in {
        "atlas_assets/graph/_step.py": "def run(): ...\ndef _helper(): ...\n",
        "atlas_assets/graph/plates.py": "from atlas_assets.graph._step import run\n",
        "atlas_assets/graph/inner/deep.py": "from atlas_assets.graph import _step\n",
        "atlas_assets/cli/run.py": "def f():\n    from atlas_assets.graph._step import run\n",
        "atlas_assets/graph/other.py": "from atlas_assets.graph.plates import _private\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = [fault.removeprefix(f"{tmp_path}/") for fault in faults_of_private_modules(tmp_path)]
    assert found == [
        "atlas_assets/cli/run.py:2: atlas_assets.graph._step.run is private to atlas_assets.graph",
        "atlas_assets/graph/other.py:1: atlas_assets.graph.plates._private is private to atlas_assets.graph.plates",
    ]


def test_every_init_has_a_docstring_and_no_code():
    inits = [path for path in modules(PROJECT_ROOT) if path.name == "__init__.py"]
    assert len(inits) > 20
    assert [fault for path in inits for fault in faults_of_init(path)] == []


def test_no_room_has_more_than_ten_modules():
    assert list(faults_of_rooms(PROJECT_ROOT)) == []


def test_no_module_and_no_function_is_too_long():
    assert [fault for path in modules(PROJECT_ROOT) for fault in faults_of_length(path)] == []


def test_an_init_without_docstring_or_with_code_is_found(tmp_path: Path):
    path = tmp_path / "__init__.py"
    path.write_text('"""A room."""\n', encoding="utf-8")
    assert faults_of_init(path) == []
    path.write_text("", encoding="utf-8")
    assert faults_of_init(path) == [f"{path}: no docstring"]
    path.write_text('"""A room."""\nfrom os import path\n', encoding="utf-8")
    assert faults_of_init(path) == [f"{path}:2: code in __init__.py"]


def test_a_room_of_eleven_modules_is_found_and_its_sub_rooms_count_apart(tmp_path: Path):
    room = tmp_path / "atlas_assets" / "room"
    (room / "inner").mkdir(parents=True)
    for number in range(10):
        (room / f"module{number}.py").touch()
        (room / "inner" / f"module{number}.py").touch()
    (room / "__init__.py").touch()
    assert list(faults_of_rooms(tmp_path)) == []
    (room / "_module10.py").touch()
    assert list(faults_of_rooms(tmp_path)) == [f"{room}: 11 modules, expected at most 10"]


def test_a_long_module_and_a_long_function_without_a_reason_are_found(tmp_path: Path):
    path = tmp_path / "module.py"
    body = "    pass\n" * 50
    path.write_text(f"def long():\n{body}" + "\n" * 250, encoding="utf-8")
    assert list(faults_of_length(path)) == [
        f"{path}: 301 lines, expected at most 300",
        f"{path}:1: long has 51 lines, expected at most 50",
    ]
    path.write_text(f"def long():  # long: one table\n{body}", encoding="utf-8")
    assert list(faults_of_length(path)) == []
    path.write_text(f"def long():  # long:\n{body}", encoding="utf-8")
    assert list(faults_of_length(path)) == [f"{path}:1: long has 51 lines, expected at most 50"]

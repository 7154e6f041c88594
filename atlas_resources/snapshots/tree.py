"""The digest of a library: a Merkle tree of the sha256 of its files, per plate and over all plates.

Leaves are the JSON files and thumbnails of the plates, `source.sha256`, which states the source's digest, the manifest
of each sealed run, which states those of its files, and the JSON files of `reports/` and other folders of records.
Sources, sealed files, ledgers and the catalogue are not read. A node is the sha256 of its children's lines, as
`sha256sum` writes them, sorted by path:

    cd plates_structured/plate-001; export LC_ALL=C
    sha256sum manifest.json source.sha256 manifests/* derived/* runs/*/run.manifest.json | sort -k 2 | sha256sum
"""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from atlas_resources.files.digests import sha256_of
from atlas_resources.files.read_ahead import THREADS, ahead
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.plate import Plate

RECORDS = ("reports", "withdrawals", "reproductions")
"""Folders of the dataset whose JSON files are part of its state, besides the plates."""
DEPTH = 16 * THREADS
PLATES = "plates_structured/"
_ESCAPE = "\\"
_ESCAPES = {ord("\\"): "\\\\", ord("\n"): "\\n", ord("\r"): "\\r"}
_ESCAPED_AS = {escaped: chr(character) for character, escaped in _ESCAPES.items()}
_ESCAPED = re.compile(r"\\[\\nr]")
_LINE = re.compile(r"(\\?)([0-9a-f]{64})  (.+)")


@dataclass(frozen=True)
class Tree:
    """The digests of a library.

    Attributes:
        root_sha256: over all nodes.
        nodes: digest of each plate, by `plates_structured/<plate_id>`, and of each folder of records, by its name.
        leaves: digest of each file, by its path relative to the dataset's root.
    """

    root_sha256: str
    nodes: Mapping[str, str]
    leaves: Mapping[str, str]

    def listing(self) -> str:
        """The leaves as `sha256sum --check` reads them in the dataset's root."""
        return lines_of(self.leaves)


def lines_of(digests: Mapping[str, str]) -> str:
    """Lines as `sha256sum` writes them, sorted by the bytes of the paths."""
    return "".join(_line(path, digests[path]) for path in sorted(digests, key=os.fsencode))


def _line(path: str, sha256: str) -> str:
    """One line. A path with a backslash or a line break is escaped, and the line then begins with a backslash."""
    escaped = path.translate(_ESCAPES)
    return f"{'' if escaped == path else _ESCAPE}{sha256}  {escaped}\n"


def read_lines(listing: str) -> dict[str, str]:
    """The digest of each path of a listing, as `lines_of` writes it.

    Raises:
        ValueError: a line is not `<64 hex digits>  <path>`, or a path occurs twice.
    """
    digests: dict[str, str] = {}
    for number, line in enumerate(listing.split("\n")[:-1], start=1):
        found = _LINE.fullmatch(line)
        if found is None:
            raise ValueError(f"line {number}: expected `<64 hex digits>  <path>`, found {line[:80]!r}")
        path = _ESCAPED.sub(lambda one: _ESCAPED_AS[one[0]], found[3]) if found[1] else found[3]
        if path in digests:
            raise ValueError(f"line {number}: {path!r} is listed twice")
        digests[path] = found[2]
    if listing and not listing.endswith("\n"):
        raise ValueError("expected a line break at its end")
    return digests


def node_sha256(digests: Mapping[str, str]) -> str:
    """sha256 of a node, from the digests of its children by name."""
    return hashlib.sha256(os.fsencode(lines_of(digests))).hexdigest()


def plate_leaves(plate: Plate) -> list[Path]:
    """The files of a plate that are leaves of the tree, sorted by path."""
    folder = plate.folder
    found = [path for path in (plate.manifest_path, folder / "source.sha256") if path.is_file()]
    for name, pattern in (("manifests", "*.json"), ("derived", "*"), ("runs", "*/run.manifest.json")):
        found += [path for path in (folder / name).glob(pattern) if not _is_hidden(path, folder) and path.is_file()]
    return sorted(found)


def record_leaves(dataset: Dataset, name: str) -> list[Path]:
    """The JSON files of a folder of records, sorted by path."""
    folder = dataset.root / name
    return sorted(path for path in folder.rglob("*.json") if not _is_hidden(path, folder) and path.is_file())


def read_tree(dataset: Dataset) -> Tree:
    """The tree of a dataset as it is on disk. Hashes every leaf, on threads.

    Raises:
        OSError: a file cannot be read.
    """
    paths = [path for members in _groups(dataset) for path in members]
    digests = ahead(sha256_of, paths, DEPTH)
    return tree_of({path.relative_to(dataset.root).as_posix(): next(digests) for path in paths})


def tree_of(leaves: Mapping[str, str]) -> Tree:
    """The tree with these leaves, by their paths relative to the dataset's root."""
    members: dict[str, dict[str, str]] = {}
    for path, digest in leaves.items():
        node = "/".join(path.split("/", 2)[:2]) if path.startswith(PLATES) else path.partition("/")[0]
        members.setdefault(node, {})[path.removeprefix(f"{node}/")] = digest
    nodes = {name: node_sha256(of_node) for name, of_node in members.items()}
    return Tree(node_sha256(nodes), nodes, leaves)


def _groups(dataset: Dataset) -> Iterator[list[Path]]:
    """The leaves of each node: plates, then the folders of records."""
    for plate in dataset.plates():
        yield plate_leaves(plate)
    for name in RECORDS:
        yield record_leaves(dataset, name)


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> Iterable[str]:
    """The names whose digests differ, or that only one side has, sorted."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))

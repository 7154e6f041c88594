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

from atlas_resources.plates.dataset import Dataset

RECORDS = ("reports", "withdrawals", "reproductions", "benchmarks", "tags")
"""Folders of the dataset whose JSON files are part of its state, besides the plates."""
PLATES = "plates_structured/"
RUN_MANIFEST = "run.manifest.json"
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


def read_tree(dataset: Dataset) -> Tree:
    """The tree of a dataset as it is on disk. Hashes every leaf.

    Works on names as text, without threads: of thousands of small files, paths and threads cost more than the hashing.

    Raises:
        OSError: a file cannot be read.
    """
    root = f"{dataset.root}/"
    return tree_of({path: _sha256(root + path) for path in _leaves(dataset)})


def _sha256(path: str) -> str:
    with open(path, "rb", buffering=0) as file:
        return hashlib.sha256(file.readall()).hexdigest()


def _leaves(dataset: Dataset) -> Iterator[str]:
    """The paths of all leaves relative to the root: of plates in order of registration, then of records."""
    root = f"{dataset.root}/"
    for plate_id in dataset.plate_ids():
        folder = f"{PLATES}{plate_id}/"
        for path in (f"{folder}manifest.json", f"{folder}source.sha256"):
            if os.path.isfile(root + path):
                yield path
        yield from (path for path in _files(root, f"{folder}manifests/") if path.endswith(".json"))
        yield from _files(root, f"{folder}derived/")
        for run in _names(root + f"{folder}runs"):
            path = f"{folder}runs/{run}/{RUN_MANIFEST}"
            if os.path.isfile(root + path):
                yield path
    for name in RECORDS:
        yield from _json_files(root, f"{name}/")


def _names(folder: str) -> list[str]:
    """The names in a folder that are not hidden; none if it is not there."""
    try:
        return [name for name in os.listdir(folder) if not name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _files(root: str, folder: str) -> Iterator[str]:
    """The files in a folder that are not hidden."""
    for name in _names(root + folder):
        if os.path.isfile(root + folder + name):
            yield folder + name


def _json_files(root: str, folder: str) -> Iterator[str]:
    """The JSON files in a folder and its folders, without hidden ones. Links to folders are not followed."""
    for name in _names(root + folder):
        path = folder + name
        if os.path.isdir(root + path):
            if not os.path.islink(root + path):
                yield from _json_files(root, f"{path}/")
        elif name.endswith(".json") and os.path.isfile(root + path):
            yield path


def tree_of(leaves: Mapping[str, str]) -> Tree:
    """The tree with these leaves, by their paths relative to the dataset's root."""
    members: dict[str, dict[str, str]] = {}
    for path, digest in leaves.items():
        node = "/".join(path.split("/", 2)[:2]) if path.startswith(PLATES) else path.partition("/")[0]
        members.setdefault(node, {})[path.removeprefix(f"{node}/")] = digest
    nodes = {name: node_sha256(of_node) for name, of_node in members.items()}
    return Tree(node_sha256(nodes), nodes, leaves)


def differing(one: Mapping[str, str], other: Mapping[str, str]) -> Iterable[str]:
    """The names whose digests differ, or that only one side has, sorted."""
    return sorted(name for name in one.keys() | other.keys() if one.get(name) != other.get(name))

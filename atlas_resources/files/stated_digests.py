"""The digest of a derived file next to it, `<name>.sha256`, in one line as `sha256sum` writes and checks it.

A folder of parts has a line for each part there.
"""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from atlas_resources.files.digests import sha256_of
from atlas_resources.files.durable import write_bytes_atomically

PARTS = "part-*.parquet"
LINE = re.compile(r"([0-9a-f]{64})  ([^\n]+)\n")


def part_paths(path: Path) -> list[Path]:
    """The file itself, or each part of a folder of parts in order; none if there is neither."""
    if path.is_dir():
        return sorted(path.glob(PARTS))
    return [path] if path.is_file() else []


def stated_digest_path(path: Path) -> Path:
    """Where the digest of a file is stated."""
    return path.with_name(f"{path.name}.sha256")


def name_in_digest(path: Path, part: Path) -> str:
    """The name of a part in the stated digest: from the folder that the digest is in."""
    return part.relative_to(path.parent).as_posix()


def state_digest(path: Path, known: Mapping[str, str] | None = None) -> None:
    """States the digest of a file as it is now. A process that is killed before leaves the digest of the old file.

    Args:
        path: the file, or a folder of parts.
        known: digests of parts that need not be hashed, by their name in the digest.
    """
    known = known or {}
    names = {name_in_digest(path, part): part for part in part_paths(path)}
    lines = [f"{known.get(name) or sha256_of(part)}  {name}\n" for name, part in names.items()]
    write_bytes_atomically(stated_digest_path(path), "".join(lines).encode())


def stated_digests(path: Path) -> dict[str, str]:
    """The digest that is stated of a file or of each part, by name; none if it is not stated as `state_digest` does."""
    try:
        text = stated_digest_path(path).read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return {}
    lines = [LINE.fullmatch(line) for line in text.splitlines(keepends=True)]
    found = {line[2]: line[1] for line in lines if line}
    is_of_path = all(name == path.name or name.startswith(f"{path.name}/") for name in found)
    return found if None not in lines and is_of_path else {}


def stated_digest(path: Path) -> str | None:
    """The digest that is stated of a file, or one over those of all parts; None without one. The file is not read."""
    found = stated_digests(path)
    if list(found) == [path.name]:
        return found[path.name]
    return hashlib.sha256(repr(sorted(found.items())).encode()).hexdigest() if found else None


def stated_digest_problem(path: Path) -> str | None:
    """How a file differs from its stated digest, in one line; None if it does not. Hashes the file, or every part."""
    stated = stated_digest_path(path)
    if not stated.is_file():
        return f"has no stated digest, {stated.name}"
    expected = stated_digests(path)
    if not expected:
        return f"{stated.name} is not one line `<64 hex digits>  {path.name}`, or such a line for each part"
    parts = {name_in_digest(path, part): part for part in part_paths(path)}
    if not parts:
        return "is missing"
    if differing := sorted(expected.keys() ^ parts.keys()):
        return f"has other parts than {stated.name} states: {', '.join(differing)}"
    for name, part in parts.items():
        if (found := sha256_of(part)) != expected[name]:
            which = "" if name == path.name else f"{part.name} "
            return f"{which}changed since it was built: expected sha256 {expected[name]}, found {found}"
    return None

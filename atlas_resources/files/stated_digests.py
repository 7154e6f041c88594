"""The digest of a derived file next to it, `<name>.sha256`, in one line as `sha256sum` writes and checks it."""

import os
import re
from pathlib import Path

from atlas_resources.files.digests import sha256_of
from atlas_resources.files.durable import write_bytes_atomically

LINE = re.compile(r"([0-9a-f]{64})  ([^/\n]+)\n")


def stated_digest_path(path: Path) -> Path:
    """Where the digest of a file is stated."""
    return path.with_name(f"{path.name}.sha256")


def state_digest(path: Path) -> None:
    """States the digest of a file as it is now. A process that is killed before leaves the digest of the old file."""
    write_bytes_atomically(stated_digest_path(path), f"{sha256_of(path)}  {path.name}\n".encode())


def stated_digest(path: Path) -> str | None:
    """The digest that is stated of a file; None without one. The file is not read."""
    try:
        line = LINE.fullmatch(stated_digest_path(path).read_bytes().decode("utf-8", errors="replace"))
    except OSError:
        return None
    return line[1] if line and line[2] == path.name else None


def stated_digest_problem(path: Path) -> str | None:
    """How a file differs from its stated digest, in one line; None if it does not. Hashes the file."""
    stated = stated_digest_path(path)
    try:
        line = LINE.fullmatch(stated.read_bytes().decode("utf-8", errors="replace"))
    except FileNotFoundError:
        return f"has no stated digest, {stated.name}"
    if line is None or line[2] != path.name:
        return f"{stated.name} is not one line `<64 hex digits>  {path.name}`"
    if not os.path.lexists(path):
        return "is missing"
    found = sha256_of(path)
    return None if found == line[1] else f"changed since it was built: expected sha256 {line[1]}, found {found}"

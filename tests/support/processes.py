"""Processes as reported by the kernel: their descendants, and the addresses on which they listen."""

import socket
import struct
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

LISTENING = "0A"  # of the states in /proc/net/tcp, which proc(5) describes


def descendants(pid: int) -> list[int]:
    """The ids of a process's children and of all their descendants."""
    children = defaultdict(list)
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            continue
        children[parent].append(int(stat.parent.name))
    found = [pid]
    for one in found:
        found += children[one]
    return found[1:]


def listening_addresses(pids: Iterable[int]) -> set[str]:
    """Addresses on which the processes accept TCP connections; 0.0.0.0 and :: are all of them."""
    held = set()
    for pid in pids:
        with suppress(FileNotFoundError, ProcessLookupError):
            held |= {str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()}
    found = set()
    for table, family in (("tcp", socket.AF_INET), ("tcp6", socket.AF_INET6)):
        path = Path("/proc/net") / table
        for line in path.read_text().splitlines()[1:] if path.is_file() else []:
            fields = line.split()
            if fields[3] == LISTENING and f"socket:[{fields[9]}]" in held:
                found.add(socket.inet_ntop(family, _bytes_of(fields[1].partition(":")[0])))
    return found


def _bytes_of(address: str) -> bytes:
    """Parses an address of /proc/net, whose 32-bit words are in the machine's byte order."""
    words = [int(address[at : at + 8], 16) for at in range(0, len(address), 8)]
    return b"".join(struct.pack("=I", word) for word in words)

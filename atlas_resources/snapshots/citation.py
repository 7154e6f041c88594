"""How a paper cites a snapshot: a line of text, and an entry for BibTeX."""

import re

from atlas_resources.plates.records.snapshot import Snapshot


def citation(snapshot: Snapshot, file_sha256: str) -> str:
    """One line: name, date, contents, and both digests. The first names the files, the second also what was current.

    Args:
        snapshot: the snapshot.
        file_sha256: of its JSON file.
    """
    return (
        f"Atlas snapshot {snapshot.name}, {snapshot.created_at:%Y-%m-%d}: {contents(snapshot)}, measured with "
        f"{_software(snapshot)}. Library sha256:{snapshot.root_sha256}, snapshot sha256:{file_sha256}."
    )


def contents(snapshot: Snapshot) -> str:
    """Numbers of plates, instruments and current results, in words."""
    used = {key for plate in snapshot.plates for key in plate.runs}
    return f"{len(snapshot.plates)} plates, {len(used)} instruments, {snapshot.run_count} results"


def bibtex(snapshot: Snapshot, file_sha256: str) -> str:
    """An entry of the type misc, which every style of BibTeX has. Names are slugs, so that only `_` is escaped."""
    key = re.sub(r"[^a-z0-9]+", "-", f"atlas-{snapshot.name}")
    title = f"Atlas snapshot {snapshot.name}".replace("_", r"\_")
    return "\n".join(
        (
            f"@misc{{{key},",
            f"  title = {{{{{title}}}}},",
            f"  year = {{{snapshot.created_at:%Y}}},",
            f"  month = {snapshot.created_at:%b}".lower() + ",",
            f"  note = {{{contents(snapshot)}; {_software(snapshot)}; library sha256:{snapshot.root_sha256}, "
            f"snapshot sha256:{file_sha256}}}",
            "}",
        )
    )


def _software(snapshot: Snapshot) -> str:
    commit = f" ({snapshot.code.git_sha[:12]})" if snapshot.code.git_sha else ""
    return f"Atlas {snapshot.code.project}{commit}"

"""The record of every column and field with its type and the version of the files that brought it, and its promise.

A column or field is only added: none goes, none changes its type, and no field becomes required that older files lack.
The only exceptions are columns of ledgers that the project derives, named in `GONE` with the reason.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from atlas_assets.cli.dictionary.schemas import Part, Parts, file_parts, table_parts
from atlas_resources.files.contract import SCHEMA_VERSION
from atlas_resources.files.durable import write_bytes_atomically

RECORD_PATH = Path(__file__).with_name("versions.json")
KEEP = (
    "Files of earlier releases have it, and queries use it. Keep it as it was, null where there is nothing to say, and "
    "add another one beside it"
)
GONE: dict[str, dict[str, tuple[int, str]]] = {
    "plates": {
        "license": (1, "it is named `licence`"),
        "colour_policy as VARCHAR": (1, "it is a struct, and that text is `colour_policy.name`"),
    },
    "lineage": {
        **dict.fromkeys(("output_path", "output_sha256"), (2, "a row is an edge: the file is its `subject`")),
        **dict.fromkeys(("input_path", "input_sha256"), (2, "a row is an edge: the file is its `object`")),
        "weights_sha256": (2, "weights files are nodes, each with its own digest"),
        "fingerprint": (2, "instruments are nodes, named by their fingerprints"),
        "code_git_sha": (2, "commits are nodes"),
        "dagster_run_id": (2, "it is in `runs`"),
    },
}
"""Columns that were taken out of a derived ledger, by ledger: the version that has them no longer, and the reason.

Never of a table whose rows are sealed with the plates, and never a field of a JSON file: those are read for ever.
"""
RECORD_IT = "Fix: raise SCHEMA_VERSION if a release has had this version already; then: atlas dictionary"


@dataclass(frozen=True)
class Recorded:
    """What is recorded of a column or field.

    Attributes:
        part: its types, and whether it is required.
        since: the version of the files that brought it.
    """

    part: Part
    since: int


Record = dict[str, dict[str, dict[str, Recorded]]]
"""By kind (`tables` or `files`), then by table or file, then by path."""


def present_parts() -> dict[str, dict[str, Parts]]:
    """What this release has, in the record's form."""
    return {"tables": table_parts(), "files": file_parts()}


def read_record(path: Path = RECORD_PATH) -> Record:
    """The record as it is kept."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return {
        kind: {
            owner: {
                name: Recorded(Part(tuple(types.split(" | ")), presence == "required"), since)
                for name, (types, presence, since) in entries.items()
            }
            for owner, entries in owners.items()
        }
        for kind, owners in content.items()
    }


def write_record(record: Record, path: Path = RECORD_PATH) -> None:
    """Writes the record, a column or field a line."""
    kinds = []
    for kind, owners in record.items():
        blocks = []
        for owner, entries in owners.items():
            lines = [f"   {json.dumps(name)}: {json.dumps(_entry(one))}" for name, one in entries.items()]
            blocks.append(f"  {json.dumps(owner)}: {{\n" + ",\n".join(lines) + "\n  }")
        kinds.append(f" {json.dumps(kind)}: {{\n" + ",\n".join(blocks) + "\n }")
    write_bytes_atomically(path, ("{\n" + ",\n".join(kinds) + "\n}\n").encode())


def _entry(one: Recorded) -> tuple[str, str, int]:
    return " | ".join(one.part.types), "required" if one.part.is_required else "optional", one.since


def broken_promises(record: Record, present: Mapping[str, Mapping[str, Parts]]) -> Iterator[str]:
    """What of the record this release no longer keeps, a line each, with what to do about it."""
    for kind, owners in record.items():
        for owner, entries in owners.items():
            parts = present[kind].get(owner)
            if parts is None:
                yield f"{owner}: gone from {kind}. {KEEP}"
                continue
            for path, one in entries.items():
                if path not in parts and path in GONE.get(owner, {}):
                    continue
                if path not in parts:
                    yield f"{owner}.{path}: gone; it is there since version {one.since}. {KEEP}"
                elif lost := set(one.part.types) - set(parts[path].types):
                    expected, found = " and ".join(sorted(lost)), " | ".join(parts[path].types)
                    yield f"{owner}.{path}: expected {expected} among its types, found {found}. {KEEP}"
            yield from _newly_required(owner, entries, parts)


def _newly_required(owner: str, entries: Mapping[str, Recorded], parts: Parts) -> Iterator[str]:
    """Fields that are required now and are not in every file that is recorded."""
    for path, part in parts.items():
        if not part.is_required or path.endswith(("[]", "{}")):
            continue
        above = path.rpartition(".")[0]
        is_new = path not in entries and (not above or above in entries)
        if is_new or (path in entries and not entries[path].part.is_required):
            yield (
                f"{owner}.{path}: required, but files of earlier releases may lack it. Fix: give it a default, such as "
                "null, and say in its description what that means"
            )


def unrecorded(record: Record, present: Mapping[str, Mapping[str, Parts]]) -> Iterator[str]:
    """Columns, fields and types that this release adds to the record, a line each."""
    for kind, owners in present.items():
        for owner, parts in owners.items():
            entries = record.get(kind, {}).get(owner, {})
            for path, part in parts.items():
                one = entries.get(path)
                if one is None or set(part.types) - set(one.part.types) or one.part.is_required != part.is_required:
                    yield f"{owner}.{path}: {' | '.join(part.types)}, not recorded yet. {RECORD_IT}"


def updated(record: Record, present: Mapping[str, Mapping[str, Parts]]) -> Record:
    """The record with what this release adds, since its version.

    Raises:
        ValueError: this release breaks a promise of the record.
    """
    if broken := list(broken_promises(record, present)):
        raise ValueError("\n".join(broken))
    after: Record = {}
    for kind, owners in present.items():
        after[kind] = {}
        for owner, parts in owners.items():
            before = record.get(kind, {}).get(owner, {})
            found = {path: Recorded(part, _since(before.get(path))) for path, part in parts.items()}
            after[kind][owner] = found | {path: one for path, one in before.items() if path not in parts}
    return after


def _since(one: Recorded | None) -> int:
    return one.since if one else SCHEMA_VERSION

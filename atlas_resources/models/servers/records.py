"""The records of servers, a file each in this user's state folder: which there are, and whether one is as declared."""

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from atlas_resources.files.durable import make_folder, write_bytes_atomically
from atlas_resources.instruments.spec.pins import pinned_files
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.spec.weights import Algorithm
from atlas_resources.plates.run_contracts import ServerRecord


class ServerMissing(RuntimeError):
    """No server that runs is the one that the instrument declares."""


def records_folder() -> Path:
    """The folder of the records: of this user and this machine, whatever the dataset."""
    state = Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser()
    return state / "atlas" / "servers"


def server_sha256(record: ServerRecord) -> str:
    """Digest of a record: sha256 of its JSON."""
    return hashlib.sha256(record.model_dump_json().encode()).hexdigest()


def record_path(key: str) -> Path:
    """The file of the server that was started or probed for an instrument."""
    return records_folder() / f"{key}.json"


def write_record(key: str, record: ServerRecord) -> None:
    """Writes the record of the server of an instrument, whole or not at all, in a folder that only its user reads."""
    make_folder(records_folder())
    records_folder().chmod(0o700)
    write_bytes_atomically(record_path(key), f"{record.model_dump_json(indent=1)}\n".encode())


def read_records() -> dict[str, ServerRecord]:
    """The records by the instrument whose server they describe. A file that is no record is left out."""
    found = {}
    for path in sorted(records_folder().glob("*.json")):
        try:
            found[path.stem] = ServerRecord.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):  # removed meanwhile, or of another version of Atlas: no server to ask
            continue
    return found


def remove_record(key: str) -> None:
    """Removes the record of an instrument's server, if there is one."""
    record_path(key).unlink(missing_ok=True)


def pinned_digests(spec: Spec) -> dict[str, str | None]:
    """sha256 of every file that the spec names, by its path; None where it states none."""
    if spec.weights is None or isinstance(spec.weights, Algorithm):
        return {}
    return {file.path: file.sha256 for file in pinned_files(spec.weights)}


def is_version(declared: str, found: str) -> bool:
    """Whether a program has the declared version. A build's own mark is not part of it: 0.32.0+cpu is 0.32.0."""
    return found == declared or found.partition("+")[0] == declared


def differences(spec: Spec, record: ServerRecord) -> list[str]:
    """What of a record is not as the spec declares it, in words; empty if the server may answer for the instrument.

    A server that somebody else runs is compared by its address, its model's name and who vouches for it.
    """
    served = spec.served
    if served is None:
        return [f"{spec.key} declares no server"]
    declared = {
        "program": served.program,
        "model": spec.model_id,
        "flags": served.flags,
        "dtype": spec.numeric and spec.numeric.dtype,
        "device": spec.numeric and spec.numeric.device,
        "attested_by": served.attested_by,
    }
    found = {
        "program": record.program,
        "model": record.model_id,
        "flags": record.flags,
        "dtype": record.dtype,
        "device": record.device,
        "attested_by": record.attested_by,
    }
    if served.endpoint:
        declared |= {"endpoint": served.endpoint, "model_name": served.model_name}
        found |= {"endpoint": record.endpoint, "model_name": record.model_name}
    wrong = [f"{name} is {found[name]}, declared {value}" for name, value in declared.items() if value != found[name]]
    if not is_version(served.version, record.version):
        wrong.append(f"version is {record.version}, declared {served.version}")
    return wrong if served.endpoint else wrong + _other_files(pinned_digests(spec), record.files)


def _other_files(declared: Mapping[str, str | None], served: Mapping[str, str]) -> list[str]:
    wrong = []
    for path in sorted({*declared, *served}):
        if path not in served:
            wrong.append(f"{path} is not served")
        elif served[path] != declared.get(path):
            wrong.append(f"{path} has sha256 {served[path]}, declared {declared.get(path, 'no such file')}")
    return wrong


def start_command(spec: Spec) -> str:
    """The command that brings the server of an instrument."""
    if spec.served and spec.served.endpoint:
        return f"atlas models probe {spec.key}"
    return f"atlas models serve {spec.key}"


def why_unconstrained(spec: Spec, program: str) -> str:
    """Why a server that ignores schemas is refused, and what can be declared instead."""
    return (
        f"{spec.key}: {program} was found to ignore the JSON Schema of an answer, and the spec declares that answers "
        f"are kept to it. Fix: declare `is_constrained: false` under parameters, with a temperature and `attempts`: "
        f"answers are then validated and asked again"
    )


def without_secrets(words: str) -> str:
    """A line of a log without what looks like a key, for an error that a manifest may keep."""
    return re.sub(r"(?i)(bearer\s+|api[-_]?key\W+|token\W+)\S+", r"\1[removed]", words)

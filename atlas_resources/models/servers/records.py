"""The records of servers, a file each in this user's state folder, and the one that may answer for an instrument."""

import hashlib
import os
from pathlib import Path

from atlas_resources.instruments.spec.spec import Spec
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


def require_server(spec: Spec) -> ServerRecord:
    """Returns the record of the running server whose pins are those of the spec.

    Raises:
        ServerMissing: none was started, it has ended, or what runs is something else.
    """
    raise ServerMissing(f"{spec.key}: no server. Fix: `atlas models serve {spec.key}`")

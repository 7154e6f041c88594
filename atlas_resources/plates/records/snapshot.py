"""The JSON file of a snapshot: a named state of the library, and which runs were current in it."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import Field

from atlas_resources.files.contract import Contract, FileContract, Sha256
from atlas_resources.instruments.instrument import InstrumentIdentity
from atlas_resources.plates.contracts import Count, PlateId
from atlas_resources.plates.run_contracts import CodeVersion, RunId

SNAPSHOT_NAME_PATTERN = r"^[a-z0-9][a-z0-9._-]{0,63}$"
MOST_NOTE_CHARACTERS = 2000

SnapshotName = Annotated[str, Field(pattern=SNAPSHOT_NAME_PATTERN)]


class PreviousSnapshot(Contract):
    """The snapshot before this one, which makes a chain of them."""

    name: SnapshotName = Field(description="Its name.")
    sha256: Sha256 = Field(description="sha256 of its JSON file.")


class SnapshotPlate(Contract):
    """A plate in a snapshot."""

    plate_id: PlateId = Field(description="The plate.")
    node_sha256: Sha256 = Field(description="Digest of the plate's node in the tree.")
    source_sha256: Sha256 | None = Field(description="As registered. Null: source.sha256 could not be read.")
    manifest_version: int = Field(ge=1, description="The version of the manifest that was the present one.")
    runs: dict[str, RunId] = Field(description="The current run of each instrument that had one, by its key.")


class SnapshotInstrument(Contract):
    """An instrument that was admitted. Its current runs have its fingerprint."""

    identity: InstrumentIdentity = Field(description="What its sealed runs state of it.")
    spec: dict[str, Any] = Field(description="The whole spec as it was read.")


class Snapshot(FileContract):
    """`snapshots/<name>.json`: which runs were current, under the digest of the library. Never edited.

    Beside it are `<name>.sha256`, the digest of each file of the tree, and `<name>.sig`, if it is signed: the Ed25519
    signature of the bytes of this file.
    """

    name: SnapshotName = Field(description="The name of its files.")
    note: str = Field(max_length=MOST_NOTE_CHARACTERS, description="Remark of the person who created it.")
    created_at: datetime = Field(description="UTC time of creation.")
    root_sha256: Sha256 = Field(description="Digest of the library: the root of the tree.")
    listing_sha256: Sha256 = Field(description="sha256 of `<name>.sha256`.")
    previous: PreviousSnapshot | None = Field(description="Null: it is the first.")
    signed_by: Sha256 | None = Field(description="Public Ed25519 key of the signature, hex. Null: unsigned.")
    fault_count: Count = Field(description="Faults of `atlas verify --quick` in spite of which it was created.")
    code: CodeVersion = Field(description="The code that created it.")
    measure_version: str = Field(description="Present version of the groundwork's code.")
    instruments: list[SnapshotInstrument] = Field(description="Admitted instruments, by key.")
    plates: list[SnapshotPlate] = Field(description="In order of registration.")

    @property
    def run_count(self) -> int:
        """Number of current results."""
        return sum(len(plate.runs) for plate in self.plates)

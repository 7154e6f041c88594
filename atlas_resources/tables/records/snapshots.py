"""The tables of snapshots: which there are, and which runs were current in each."""

import polars as pl

from atlas_resources.tables.table import CODE_GIT_SHA, FINGERPRINT, INSTRUMENT, PLATE_ID, RUN_ID, Column, Table

SNAPSHOT = Column("snapshot", pl.String, "Name of the snapshot.")
SNAPSHOTS = Table(
    "snapshots",
    "One row per snapshot: a named state of the library, under the digest of everything that was registered and "
    "sealed. `as_of(snapshot)` has the runs that were current in it.",
    (
        SNAPSHOT,
        Column("note", pl.String, "Remark of the person who created it; empty if there is none."),
        Column("created_at", pl.Datetime("us", "UTC"), "Time of creation, UTC."),
        Column("root_sha256", pl.String, "Digest of the library: the root of the tree of its files' digests."),
        Column("file_sha256", pl.String, "sha256 of snapshots/<name>.json, which also says what was current."),
        Column("listing_sha256", pl.String, "sha256 of snapshots/<name>.sha256, which lists the files."),
        Column("previous", pl.String, "Name of the snapshot before it; null for the first."),
        Column("previous_sha256", pl.String, "sha256 of the JSON file of that snapshot."),
        Column("signed_by", pl.String, "Public Ed25519 key of its signature, hex; null if it is not signed."),
        Column("fault_count", pl.Int64, "Faults in spite of which it was created."),
        Column("plate_count", pl.Int64, "Number of plates."),
        Column("instrument_count", pl.Int64, "Number of instruments with a current result."),
        Column("run_count", pl.Int64, "Number of current results."),
        CODE_GIT_SHA,
        Column("code_is_dirty", pl.Boolean, "Whether the code differed from that commit."),
    ),
    ("created_at", "snapshot"),
)
SNAPSHOT_RUNS = Table(
    "snapshot_runs",
    "One row per snapshot, plate and instrument that had a current result: the run that it came from.",
    (
        SNAPSHOT,
        PLATE_ID,
        INSTRUMENT,
        Column(RUN_ID.name, pl.String, "Sealed run that was current. It may be gone since: see runs."),
        FINGERPRINT,
    ),
    ("snapshot", "instrument", "plate_id"),
)

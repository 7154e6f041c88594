"""The macro `as_of`: which results were current in a snapshot."""

from atlas_resources.catalogue._view import Macro
from atlas_resources.catalogue.macros.refusals import names_of, refusing, unknown_name

AS_OF = Macro(
    "as_of",
    ("snapshot_name",),
    refusing(
        "as_of",
        ("plate_id", "instrument", "run_id"),
        {"asked_snapshot": "snapshot_name::VARCHAR"},
        "SELECT plate_id, instrument, run_id FROM asked JOIN snapshot_runs ON snapshot = asked_snapshot",
        unknown_name(
            "snapshot",
            "asked_snapshot",
            "known_snapshots",
            names_of("snapshot", "FROM snapshots"),
            "' ' || len(known_snapshots) || ' snapshots are in the catalogue: FROM snapshots.'",
        ),
    ),
    "The runs that were current in a snapshot, by plate and instrument: join them with a table of results. "
    "`atlas query --snapshot NAME` answers whole questions as the library stood then.",
)

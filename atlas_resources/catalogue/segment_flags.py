"""Views of sets of segments: the ledger `segment_sets`, and which sets to look at before they are believed."""

from typing import TYPE_CHECKING

from atlas_resources.plates.dataset import Dataset

if TYPE_CHECKING:
    import duckdb
from atlas_resources.ledgers.segment_sets import (
    LEAST_COVERED,
    MOST_SEGMENTS,
    SHATTERED_FROM,
    SHATTERED_SHARE,
    _path,
    build_segment_sets,
)
from atlas_resources.tables.segment_sets import SEGMENT_SETS


def create_segment_sets(connection: "duckdb.DuckDBPyConnection", dataset: Dataset) -> None:
    """The table `segment_sets` and the view `segment_set_flags`, documented."""
    build_segment_sets(dataset)
    name = SEGMENT_SETS.name
    connection.execute(f"CREATE TABLE {name} AS SELECT * FROM read_parquet(?)", [str(_path(dataset))])
    flags = {
        "empty": ("segment_count = 0", "no segments"),
        "exploded": (f"segment_count > {MOST_SEGMENTS}", f"more than {MOST_SEGMENTS} segments"),
        "shattered": (
            f"foreground_segment_count >= {SHATTERED_FROM} AND largest_foreground_share < {SHATTERED_SHARE}",
            f"at least {SHATTERED_FROM} segments on the foreground, none of them {SHATTERED_SHARE:.0%} of it",
        ),
        "misses_foreground": (
            f"segment_count > 0 AND foreground_covered_ratio < {LEAST_COVERED}",
            f"segments on the foreground cover less than {LEAST_COVERED:.0%} of it",
        ),
    }
    parts = [
        f"SELECT '{flag}' AS flag, '{why}' AS why, * FROM {name} WHERE {rule}" for flag, (rule, why) in flags.items()
    ]
    connection.execute(f"CREATE VIEW segment_set_flags AS {' UNION ALL '.join(parts)}")
    connection.execute(f"COMMENT ON TABLE {name} IS '{SEGMENT_SETS.meaning}'")
    connection.execute("COMMENT ON VIEW segment_set_flags IS 'Sets of segments to look at before they are believed.'")
    for column in SEGMENT_SETS.columns:
        connection.execute(f"COMMENT ON COLUMN {name}.{column.name} IS '{column.meaning}'")

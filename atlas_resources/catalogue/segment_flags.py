"""The view of segment sets that a person should look at before using them."""

from atlas_resources.catalogue._view import View, literal, meanings
from atlas_resources.ledgers.segment_sets import LEAST_COVERED, MOST_SEGMENTS, SHATTERED_FROM, SHATTERED_SHARE
from atlas_resources.tables.ledgers import SEGMENT_SETS

_RULES = {
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
SEGMENT_SET_FLAGS = View(
    "segment_set_flags",
    " UNION ALL ".join(
        f"SELECT {literal(flag)} AS flag, {literal(why)} AS why, * FROM {SEGMENT_SETS.name} WHERE {rule}"
        for flag, (rule, why) in _RULES.items()
    ),
    "Segment sets to look at before they are used, with the reason. A set may have several flags.",
    meanings(
        SEGMENT_SETS,
        flag="empty, exploded, shattered or misses_foreground.",
        why="The rule that the set breaks.",
    ),
)

"""Which stored graphs of neighbours are of the present vectors: macros read those, and compare all vectors otherwise.

It is a table, found once as the catalogue is built. Asked by each macro anew, it would take longer than the neighbours.
"""

from atlas_resources.catalogue._view import View, literal
from atlas_resources.ledgers.topology.neighbours import MOST_NEIGHBOURS
from atlas_resources.ledgers.topology.spaces import COLOUR, VERSION


def _inputs(name: str, made_of: str) -> str:
    """SQL of `topology.spaces.inputs_of` as an aggregate over the plates of a space and what their vectors are of."""
    lines = f"string_agg(plate_id || ' ' || {made_of} || chr(10), '' ORDER BY plate_id, {made_of})"
    return f"sha256({literal(f'{VERSION} ')} || {name} || chr(10) || {lines})"


CURRENT_GRAPHS = View(
    "current_graphs",
    f"""
    SELECT space FROM (
        SELECT space, min(inputs_sha256) AS least, max(inputs_sha256) AS most FROM neighbours GROUP BY space
    )
    JOIN (
        SELECT instrument AS space, {_inputs("instrument", "run_id")} AS present FROM embeddings
        WHERE scope = 'plate' AND is_current AND l2_norm > 0 AND isfinite(l2_norm)
        GROUP BY instrument
        UNION ALL
        SELECT {literal(COLOUR)}, {_inputs(literal(COLOUR), "file_sha256")} FROM histograms WHERE is_current
    ) USING (space)
    WHERE least = present AND most = present
    ORDER BY space
    """,
    "Spaces whose neighbours were found among the vectors that are current here. nearest and histogram_nearest read "
    f"these for k of at most {MOST_NEIGHBOURS}, and compare all vectors otherwise.",
    {"space": "As in neighbours."},
)


def with_stored(space: str, stored: str, compared: str) -> str:
    """SQL query of what the stored graph gives, or of the comparison of all where it gives too little or is behind.

    Args:
        space: SQL of the space's name, in terms of `asked`.
        stored: SQL query of the neighbours of `asked_plate` in `near`, rows of the graph up to the count.
        compared: SQL query of all others; it reads `compared_all`, the rows of `asked` for which it is needed. Without
            any, DuckDB reads none of the vectors.
    """
    is_stored = f"coalesce(asked_count <= {MOST_NEIGHBOURS}, false) AND current_graphs.space IS NOT NULL"
    chosen = f"SELECT asked.* FROM asked LEFT JOIN current_graphs ON current_graphs.space = {space} WHERE"
    return f"""
        WITH stored_for AS ({chosen} {is_stored}), compared_all AS ({chosen} NOT ({is_stored})),
        near AS (
            SELECT neighbours.* FROM stored_for
            JOIN neighbours ON neighbours.space = {space} AND plate_id = asked_plate AND rank <= asked_count
        )
        SELECT * FROM ({stored}) UNION ALL SELECT * FROM ({compared})
    """

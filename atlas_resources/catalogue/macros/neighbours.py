"""Macros that find the nearest plates, tiles and segments: by the cosine of vectors, and by colour."""

from typing import Literal

from atlas_resources.catalogue._view import Macro, literal
from atlas_resources.catalogue.macros.current_graphs import with_stored
from atlas_resources.catalogue.macros.refusals import (
    COUNT,
    INSTRUMENT,
    NO_COUNT,
    PLATE,
    UNKNOWN_PLATE,
    Refusal,
    in_quotes,
    listed,
    most,
    names_of,
    refusing,
    unknown_name,
)
from atlas_resources.ledgers.topology.spaces import COLOUR

Scope = Literal["plate", "tile", "segment"]

_HAS_DIRECTION = "is_current AND l2_norm > 0 AND isfinite(l2_norm)"


def _vector_asked(condition: str, asked: str = "asked") -> str:
    """SQL query of the current vector of the plate and instrument asked for that meets a condition, if it has one."""
    return f"""
        SELECT {asked}.*, vector AS asked_vector
        FROM {asked} JOIN embeddings ON plate_id = asked_plate AND instrument = asked_instrument
        WHERE {condition} AND {_HAS_DIRECTION}
    """


def _cosines(query: str, scope: Scope | None = None, asked: str = "asked") -> str:
    """SQL query of the cosine between `asked_vector` and each current vector of the instrument asked for.

    Args:
        query: SQL query of the arguments with `asked_vector`.
        scope: what the vectors are of; None for all.
        asked: name of the arguments' query.
    """
    condition = "true" if scope is None else f"scope = {literal(scope)}"
    cosine = "list_cosine_similarity(one_vector.asked_vector::DOUBLE[], vector::DOUBLE[])"
    # The instrument is compared with the argument itself, and titles are joined to the cosines: if vectors were joined,
    # DuckDB would copy them into and out of hash tables, which takes longer than to compare them.
    return f"""
        SELECT * FROM (
            SELECT {asked}.*, others.* EXCLUDE (vector),
                   CASE WHEN len(one_vector.asked_vector) = len(vector) THEN {cosine} END AS cosine
            FROM (SELECT asked_vector FROM ({query})) AS one_vector
            CROSS JOIN {asked}
            CROSS JOIN embeddings AS others
            WHERE instrument = instrument_key::VARCHAR AND {condition} AND {_HAS_DIRECTION}
        )
        LEFT JOIN (SELECT plate_id, title FROM plates) AS named USING (plate_id)
    """


def _no_vectors(scope: Scope) -> Refusal:
    """Refuses an instrument without current vectors of a scope."""
    names = f"of_{scope}s"
    query = names_of("instrument", f"FROM embeddings WHERE is_current AND scope = {literal(scope)}")
    rest = f"' Instruments with current vectors of {scope}s: ' || {listed(names)} || '.'"
    unknown = unknown_name("instrument", "asked_instrument", names, query, rest)
    message = f"""
        CASE WHEN list_contains(declared, asked_instrument)
        THEN {in_quotes("asked_instrument")} || ' has no current vectors of {scope}s.' || {rest}
        ELSE {unknown.message} END
    """
    return Refusal(unknown.condition, message, {**unknown.known, "declared": names_of("instrument", "FROM models")})


def _unknown_part(kind: Literal["tile", "segment"]) -> Refusal:
    """Refuses a tile or segment of which the plate asked for has no current vector by the instrument."""
    names = f"{kind}s_of_plate"
    rows = "FROM embeddings WHERE plate_id = asked_plate AND instrument = asked_instrument AND is_current"
    query = names_of(f"{kind}_id", f"{rows} AND scope = {literal(kind)}")
    rest = (
        f"' ' || asked_plate || ' has vectors of ' || asked_instrument || ' of these {kind}s: ' || {listed(names)} "
        "|| '.'"
    )
    return unknown_name(kind, f"asked_{kind}", names, query, rest)


def _if_given(refusal: Refusal, asked: str) -> Refusal:
    """The refusal, but not of NULL."""
    return Refusal(f"{asked} IS NOT NULL AND ({refusal.condition})", refusal.message, refusal.known)


_VECTOR = {
    "given_vector": "query_vector::DOUBLE[]",
    "asked_vector": "CASE WHEN list_count(query_vector::DOUBLE[]) = len(query_vector::DOUBLE[]) "
    "THEN query_vector::DOUBLE[] END",
}
"""SQL of a vector as it is given, and NULL in its place if a number in it is NULL."""
_SUM_OF_SQUARES = "list_sum([x * x FOR x IN given_vector])"
_INVALID_VECTOR = (
    Refusal("given_vector IS NULL", "'expected a vector, found NULL.'"),
    Refusal(
        "len(given_vector) <> dim",
        "'expected a vector of ' || dim || ' numbers, as those of ' || asked_instrument || ', found ' "
        "|| len(given_vector) || '.'",
        {"dim": "SELECT max(vector_dim) FROM embeddings WHERE instrument = asked_instrument AND is_current"},
    ),
    Refusal("asked_vector IS NULL", "'expected a vector of numbers, found NULL in it.'"),
    Refusal(
        f"NOT coalesce({_SUM_OF_SQUARES} > 0 AND isfinite({_SUM_OF_SQUARES}), false)",
        "'expected a vector of finite numbers that are not all 0: one of zeros has no direction.'",
    ),
)
"""Refuses a vector that is NULL, of another length than those of the instrument, or without a direction."""

_BOX = ("x_min", "y_min", "x_max", "y_max")
_BY_COSINE = f"ORDER BY cosine DESC, plate_id LIMIT {most()}"
_COSINES_COLUMNS = ("plate_id", "title", "scope", "segment_id", "tile_id", *_BOX, "cosine")
COSINES = Macro(
    "cosines",
    ("query_vector", "instrument_key"),
    refusing(
        "cosines",
        _COSINES_COLUMNS,
        {**_VECTOR, **INSTRUMENT},
        f"SELECT {', '.join(_COSINES_COLUMNS)} FROM ({_cosines('FROM asked')})",
        unknown_name(
            "instrument with current vectors",
            "asked_instrument",
            "instruments",
            names_of("instrument", "FROM embeddings WHERE is_current"),
            f"' Those with: ' || {listed('instruments')} || '.'",
        ),
        *_INVALID_VECTOR,
    ),
    "Cosine between a vector and each current vector of an embedding instrument, of plates, segments and tiles. "
    "1 is the same direction. Vectors that are zero or not finite have no direction and are left out.",
)
_NEAREST = ("plate_id", "title", "cosine")
_ALL_PLATES = f"""
    SELECT plate_id, title, cosine
    FROM ({_cosines(_vector_asked("scope = 'plate'", "compared_all"), "plate", "compared_all")})
    WHERE plate_id <> asked_plate
"""
_STORED_PLATES = """
    SELECT neighbour_id AS plate_id, title, cosine FROM near
    LEFT JOIN (SELECT plate_id AS neighbour_id, title FROM plates) USING (neighbour_id)
"""


def _nearest(rows: str) -> Macro:
    return Macro(
        "nearest",
        ("plate", "instrument_key", "k"),
        refusing(
            "nearest",
            _NEAREST,
            {**PLATE, **INSTRUMENT, **COUNT},
            rows,
            UNKNOWN_PLATE,
            _no_vectors("plate"),
            NO_COUNT,
        )
        + _BY_COSINE,
        "The k plates nearest to a plate by cosine of an embedding instrument's vectors. No rows for a plate that the "
        "instrument has not measured.",
    )


NEAREST = _nearest(with_stored("asked_instrument", _STORED_PLATES, _ALL_PLATES))
NEAREST_TILES = Macro(
    "nearest_tiles",
    ("plate", "tile", "instrument_key", "k"),
    refusing(
        "nearest_tiles",
        ("plate_id", "title", "tile_id", *_BOX, "cosine"),
        {**PLATE, "asked_tile": "tile::VARCHAR", **INSTRUMENT, **COUNT},
        f"""
        SELECT plate_id, title, tile_id, {", ".join(_BOX)}, cosine
        FROM ({
            _cosines(_vector_asked("scope IN ('plate', 'tile') AND tile_id IS NOT DISTINCT FROM asked_tile"), "tile")
        })
        WHERE plate_id <> asked_plate
        """,
        UNKNOWN_PLATE,
        _no_vectors("tile"),
        _if_given(_unknown_part("tile"), "asked_tile"),
        NO_COUNT,
    )
    + f"ORDER BY cosine DESC, plate_id, tile_id LIMIT {most()}",
    "The k tiles of other plates nearest to a tile, or to the whole plate where the tile is NULL, by cosine of an "
    "embedding instrument that measures tiles.",
)
NEAREST_REGIONS = Macro(
    "nearest_regions",
    ("plate", "segment", "instrument_key", "k"),
    refusing(
        "nearest_regions",
        ("plate_id", "title", "segment_id", "cosine"),
        {**PLATE, "asked_segment": "segment::VARCHAR", **INSTRUMENT, **COUNT},
        f"""
        SELECT plate_id, title, segment_id, cosine
        FROM ({_cosines(_vector_asked("scope = 'segment' AND segment_id = asked_segment"), "segment")})
        WHERE plate_id <> asked_plate
        QUALIFY row_number() OVER (
            PARTITION BY asked_plate, asked_segment, plate_id ORDER BY cosine DESC, segment_id
        ) = 1
        """,
        UNKNOWN_PLATE,
        _no_vectors("segment"),
        _unknown_part("segment"),
        NO_COUNT,
    )
    + _BY_COSINE,
    "The k other plates nearest to a kept segment, each by its own nearest segment, by cosine of an instrument that "
    "embeds segments.",
)
TEXT_NEAREST = Macro(
    "text_nearest",
    ("query_vector", "instrument_key", "k"),
    refusing(
        "text_nearest",
        ("plate_id", "title", "cosine"),
        {**_VECTOR, **INSTRUMENT, **COUNT},
        f"SELECT plate_id, title, cosine FROM ({_cosines('FROM asked', 'plate')})",
        _no_vectors("plate"),
        *_INVALID_VECTOR,
        NO_COUNT,
    )
    + _BY_COSINE,
    "The k plates nearest to a text's vector by cosine of an embedding instrument of the same space. `atlas search` "
    "computes the vector.",
)
_ALL_COLOURS = """
    SELECT other.plate_id, title,
           sqrt(greatest(0.0, 1.0 - list_inner_product(query.root, other.root))) AS hellinger_distance
    FROM compared_all
    JOIN (SELECT plate_id, [sqrt(n / pixel_count) FOR n IN lab] AS root FROM histograms WHERE is_current) AS query
         ON query.plate_id = asked_plate
    JOIN (SELECT plate_id, [sqrt(n / pixel_count) FOR n IN lab] AS root FROM histograms WHERE is_current) AS other
         ON other.plate_id <> asked_plate
    LEFT JOIN plates ON plates.plate_id = other.plate_id
"""
_STORED_COLOURS = f"""
    SELECT plate_id, title, sqrt(greatest(0.0, 1.0 - cosine)) AS hellinger_distance FROM ({_STORED_PLATES})
"""


def _histogram_nearest(rows: str) -> Macro:
    return Macro(
        "histogram_nearest",
        ("plate", "k"),
        refusing(
            "histogram_nearest",
            ("plate_id", "title", "hellinger_distance"),
            {**PLATE, **COUNT},
            rows,
            UNKNOWN_PLATE,
            NO_COUNT,
        )
        + f"ORDER BY hellinger_distance, plate_id LIMIT {most()}",
        "The k plates nearest to a plate by colour: Hellinger distance of their Lab histograms, 0 (equal) to 1 "
        "(disjoint). No rows for a plate without groundwork of its present source and version.",
    )


HISTOGRAM_NEAREST = _histogram_nearest(with_stored(literal(COLOUR), _STORED_COLOURS, _ALL_COLOURS))
MACROS = (COSINES, NEAREST, NEAREST_TILES, NEAREST_REGIONS, TEXT_NEAREST, HISTOGRAM_NEAREST)
WITHOUT_GRAPH = tuple(
    make(f"WITH compared_all AS (FROM asked) {rows}")
    for make, rows in ((_nearest, _ALL_PLATES), (_histogram_nearest, _ALL_COLOURS))
)
"""The macros that read stored graphs, for a catalogue that has none: they compare all."""

"""Which rows may be used commercially: the same answer from Polars and from DuckDB."""

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas_resources.ledgers.terms import RULE, allowed_rows, why_not, withheld_rows

TERMS = st.sampled_from(["yes", "no", "unknown", None])
INSTRUMENTS = st.sampled_from(["clip", "sam", "retired"])


def results(*rows: tuple[str, str | None]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema={"instrument": pl.String, "commercial_use": pl.String}, orient="row")


def test_a_row_needs_its_own_terms_and_those_its_spec_declares_now():
    rows = results(
        ("clip", "yes"), ("clip", "no"), ("clip", None), ("sam", "yes"), ("u2net", "yes"), ("retired", "yes")
    )
    models = results(("clip", "yes"), ("sam", "no"), ("u2net", None))
    assert allowed_rows(rows, models).rows() == [("clip", "yes"), ("retired", "yes")]
    assert withheld_rows(rows, models).rows() == [("clip", "no"), ("clip", None), ("sam", "yes"), ("u2net", "yes")]


@settings(deadline=None)  # DuckDB's first connection takes longer than the others
@given(st.lists(st.tuples(INSTRUMENTS, TERMS)), st.dictionaries(INSTRUMENTS, TERMS))
def test_duckdb_and_polars_allow_the_same_rows_and_each_row_is_allowed_or_withheld(rows, models):
    results_frame = results(*rows).with_row_index("number")
    models_frame = results(*models.items())
    with duckdb.connect() as connection:
        connection.register("results", results_frame)
        connection.register("models", models_frame)
        numbers = connection.execute(f"SELECT number FROM results WHERE {RULE} ORDER BY number").fetchall()
    allowed = allowed_rows(results_frame, models_frame)
    assert allowed["number"].to_list() == [number for (number,) in numbers]
    withheld = withheld_rows(results_frame, models_frame)
    assert pl.concat([allowed, withheld]).sort("number").equals(results_frame)


@pytest.mark.parametrize(
    ("sealed", "present", "reason"),
    [
        (("CC-BY-NC-4.0", "no"), ("MIT", "yes"), "its licence, CC-BY-NC-4.0, forbids commercial use"),
        (("unknown", "unknown"), ("MIT", "yes"), "its licence, unknown, is not known to allow commercial use"),
        (("MIT", "yes"), ("X", "no"), "its licence, X, forbids commercial use, as its spec says now"),
        (
            ("MIT", "yes"),
            (None, None),
            "its licence, not stated, is not known to allow commercial use, as its spec says now",
        ),
    ],
)
def test_the_reason_names_the_licence_that_withholds_the_row(sealed, present, reason):
    assert why_not(*sealed, *present) == reason

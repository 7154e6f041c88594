"""Which rows may be used commercially: the same answer from Polars and from DuckDB."""

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas_resources.catalogue.commercial import commercial_views
from atlas_resources.ledgers.terms import RULE, allowed_rows, why_not, withheld_rows
from atlas_resources.tables.ledgers import RUNS
from atlas_resources.tables.results import INSTRUMENT_TABLES

TERMS = st.sampled_from(["yes", "no", "unknown", None])
INSTRUMENTS = st.sampled_from(["clip", "sam", "retired", None])


def results(*rows: tuple[str | None, str | None]) -> pl.DataFrame:
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


def test_a_row_without_an_instrument_is_withheld_and_a_model_without_one_withholds_nothing():
    rows = results(("clip", "yes"), (None, "yes"), ("sam", None))
    models = results((None, None), ("sam", "yes"))
    assert allowed_rows(rows, models).rows() == [("clip", "yes")]
    assert withheld_rows(rows, models).rows() == [(None, "yes"), ("sam", None)]


def test_the_two_views_together_count_every_row_also_those_with_nulls():
    """Two embeddings of each kind: allowed, no terms, no instrument, and terms that the spec denies now."""
    rows = [("clip", "yes"), ("clip", None), (None, "yes"), ("sam", "yes")] * 2
    models = results(("sam", None), (None, None))
    with duckdb.connect() as connection:
        for table in INSTRUMENT_TABLES.values():
            of_table = rows if table.name == "embeddings" else []
            content = [{"instrument": key, "commercial_use": terms} for key, terms in of_table]
            connection.register(table.name, table.frame(content))
        connection.register("models", models)
        connection.register("runs", RUNS.schema.to_frame())
        views = {view.name: view.sql for view in commercial_views()}
        inside, outside = (
            connection.execute(
                f"SELECT instrument, commercial_use, row_count FROM ({views[name]}) ORDER BY ALL"
            ).fetchall()
            for name in ("rows_for_commercial_use", "rows_not_for_commercial_use")
        )
        assert inside == [("clip", "yes", 2)]
        assert outside == [("clip", None, 2), ("sam", "yes", 2), (None, "yes", 2)]


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

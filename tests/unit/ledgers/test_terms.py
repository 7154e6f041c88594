"""Which rows may be used commercially: the same answer from Polars and from DuckDB."""

import duckdb
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atlas_resources.catalogue.commercial import commercial_views
from atlas_resources.ledgers.terms import RULE, allowed_rows, why_not, why_not_plate, withheld_plates, withheld_rows
from atlas_resources.tables.ledgers import RUNS
from atlas_resources.tables.results import INSTRUMENT_TABLES

TERMS = st.sampled_from(["yes", "no", "unknown", None])
PLATES = st.sampled_from(["free", "taken", None])
INSTRUMENTS = st.sampled_from(["clip", "sam", "retired", None])


PLATE_TERMS = {"plate_id": pl.String, "commercial_use": pl.String, "no_ai": pl.String}


def models_of(*rows: tuple[str | None, str | None]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema={"instrument": pl.String, "commercial_use": pl.String}, orient="row")


def results(*rows: tuple[str | None, str | None], plate_id: str | None = "free") -> pl.DataFrame:
    """Rows of one plate, by default one that allows everything."""
    return models_of(*rows).with_columns(pl.lit(plate_id, pl.String).alias("plate_id"))


def plates_of(*rows: tuple[str | None, str | None, str | None]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=PLATE_TERMS, orient="row")


FREE = plates_of(("free", "yes", None))


def pairs(rows: pl.DataFrame) -> list[tuple]:
    return rows.select("instrument", "commercial_use").rows()


def test_a_row_needs_its_own_terms_and_those_its_spec_declares_now():
    rows = results(
        ("clip", "yes"), ("clip", "no"), ("clip", None), ("sam", "yes"), ("u2net", "yes"), ("retired", "yes")
    )
    models = models_of(("clip", "yes"), ("sam", "no"), ("u2net", None))
    assert pairs(allowed_rows(rows, models, FREE)) == [("clip", "yes"), ("retired", "yes")]
    assert pairs(withheld_rows(rows, models, FREE)) == [
        ("clip", "no"),
        ("clip", None),
        ("sam", "yes"),
        ("u2net", "yes"),
    ]


@settings(deadline=None)  # DuckDB's first connection takes longer than the others
@given(
    st.lists(st.tuples(INSTRUMENTS, TERMS)),
    st.dictionaries(INSTRUMENTS, TERMS),
    st.lists(st.tuples(PLATES, TERMS, st.sampled_from(["noai", None]))),
    PLATES,
)
def test_duckdb_and_polars_allow_the_same_rows_and_each_row_is_allowed_or_withheld(rows, models, plates, plate_id):
    results_frame = results(*rows, plate_id=plate_id).with_row_index("number")
    models_frame = models_of(*models.items())
    plates_frame = plates_of(*plates)
    with duckdb.connect() as connection:
        connection.register("results", results_frame)
        connection.register("models", models_frame)
        connection.register("plates", plates_frame)
        numbers = connection.execute(f"SELECT number FROM results WHERE {RULE} ORDER BY number").fetchall()
    allowed = allowed_rows(results_frame, models_frame, plates_frame)
    assert allowed["number"].to_list() == [number for (number,) in numbers]
    withheld = withheld_rows(results_frame, models_frame, plates_frame)
    assert pl.concat([allowed, withheld]).sort("number").equals(results_frame)


def test_a_row_without_an_instrument_is_withheld_and_a_model_without_one_withholds_nothing():
    rows = results(("clip", "yes"), (None, "yes"), ("sam", None))
    models = models_of((None, None), ("sam", "yes"))
    assert pairs(allowed_rows(rows, models, FREE)) == [("clip", "yes")]
    assert pairs(withheld_rows(rows, models, FREE)) == [(None, "yes"), ("sam", None)]


def test_the_two_views_together_count_every_row_also_those_with_nulls():
    """Two embeddings of each kind: allowed, no terms, no instrument, and terms that the spec denies now."""
    rows = [("clip", "yes"), ("clip", None), (None, "yes"), ("sam", "yes")] * 2
    models = models_of(("sam", None), (None, None))
    with duckdb.connect() as connection:
        for table in INSTRUMENT_TABLES.values():
            of_table = rows if table.name == "embeddings" else []
            content = [
                {"instrument": key, "commercial_use": terms, "run_id": "run-1", "plate_id": "free"}
                for key, terms in of_table
            ]
            connection.register(table.name, table.frame(content))
        connection.register("models", models)
        connection.register("plates", FREE)
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


def test_a_row_needs_the_terms_of_its_plate_too():
    plates = plates_of(
        ("free", "yes", None), ("forbidden", "no", None), ("unknown", "unknown", None), ("old", None, None),
        ("tagged", "yes", "no_ai: 1"),
    )  # fmt: skip
    names = [*plates["plate_id"], "gone", None]
    rows = pl.concat([results(("clip", "yes"), plate_id=name) for name in names])
    models = models_of(("clip", "yes"))
    assert allowed_rows(rows, models, plates)["plate_id"].to_list() == ["free"]
    assert withheld_rows(rows, models, plates)["plate_id"].to_list() == names[1:]
    assert withheld_plates(plates)["plate_id"].to_list() == ["forbidden", "unknown", "old", "tagged"]


@pytest.mark.parametrize(
    ("stated", "reason"),
    [
        (("CC BY-NC 4.0", "no", None), "its licence, CC BY-NC 4.0, forbids commercial use"),
        (("ask us", "unknown", None), "its licence, ask us, is not known to allow commercial use"),
        ((None, "unknown", None), "its index states no licence, and what is not stated is not for commercial use"),
        (("CC0", "yes", "no_ai: 1"), "tagged no-AI (no_ai: 1)"),
    ],
)
def test_the_reason_of_a_plate_names_its_licence_or_its_tag(stated, reason):
    assert why_not_plate(*stated) == reason

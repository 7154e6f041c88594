"""What a withdrawal takes out of the ledgers, views and exports, and what stays as evidence."""

import polars as pl
import pytest
from support.fake_instruments import EMBEDDER, READER, SEGMENTER, fake_registry, fake_spec, reader_spec
from support.licensed import license_plates
from support.made_results import (
    TWO_SEGMENTS,
    GivenVectors,
    build_ledgers,
    measure,
    measure_groundwork,
    run_instrument,
)
from support.made_withdrawals import restored, withdrawn

from atlas_assets.automation.standings import read_standings
from atlas_assets.automation.work_lists import work_lists
from atlas_resources.catalogue.build import build_catalogue, connect
from atlas_resources.export.tables.ledgers import export_ledgers
from atlas_resources.ledgers.completeness.reading import read_completeness
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.ledgers.withdrawals.touched import find_touched
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.run_contracts import RunReport
from atlas_resources.runs.execution import execute_run
from atlas_resources.runs.sealed import find_done
from atlas_resources.tables.ledgers import PLATES, RUNS
from atlas_resources.tables.records.withdrawals import WITHDRAWALS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.withdrawals.in_force import NOTHING, InstrumentWithdrawn, in_force
from atlas_resources.withdrawals.log import read_log

EMBEDDINGS, SEGMENTS, PROBES = (INSTRUMENT_TABLES[role] for role in ("embedding", "segmentation", "probe"))
VECTORS = GivenVectors({f"plate-00{number}": (3.0, 4.0, float(number)) for number in range(1, 6)})
EVERYTHING = {f"plate-00{number}" for number in range(1, 6)}


@pytest.fixture
def registry(fakes):
    return fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER), reader_spec())


@pytest.fixture
def measured(dataset, registry) -> Dataset:
    """Five plates with vectors, scores that are read from the vectors, and masks."""
    measure_groundwork(dataset)
    measure(dataset, registry, EMBEDDER, VECTORS)
    run_instrument(dataset, registry, READER)
    measure(dataset, registry, SEGMENTER, TWO_SEGMENTS)
    return dataset


def current(dataset: Dataset, table) -> set[str]:
    """The plates with current rows."""
    return set(read_ledger(dataset, table).filter("is_current")["plate_id"])


def run_of(dataset: Dataset, registry, key: str) -> str:
    done = find_done(dataset.plate("plate-001"), registry.instruments[key].identity)
    assert done
    return done.run_id


def state(dataset: Dataset, registry, key: str, plate_id: str):
    found = read_completeness(dataset, registry.instruments.values())
    (states,) = [one for one in found if one.name == key]
    return next(plate for plate in states.plates if plate.plate_id == plate_id)


def test_a_withdrawn_plates_rows_stay_and_are_not_current(measured, registry):
    withdrawn(measured, "plate", "plate-002")
    build_ledgers(measured, registry)
    for table in (EMBEDDINGS, SEGMENTS, PROBES, RUNS):
        assert set(read_ledger(measured, table)["plate_id"]) == EVERYTHING, table.name
        assert current(measured, table) == EVERYTHING - {"plate-002"}, table.name
    runs = read_ledger(measured, RUNS).filter(pl.col("withdrawn_by") == 1)
    assert set(runs["plate_id"]) == {"plate-002"}
    assert runs.height == 3
    plates = read_ledger(measured, PLATES)
    assert dict(plates.select("plate_id", "withdrawn_by").drop_nulls().iter_rows()) == {"plate-002": 1}
    assert current(measured, PLATES) == EVERYTHING - {"plate-002"}


@pytest.mark.parametrize("kind", ["model", "run"])
def test_what_reads_a_withdrawn_result_is_withdrawn_too(measured, registry, kind):
    """The probe reads the sealed vectors; the segmenter does not."""
    withdrawn(measured, kind, EMBEDDER if kind == "model" else run_of(measured, registry, EMBEDDER))
    build_ledgers(measured, registry)
    assert [len(current(measured, table)) for table in (EMBEDDINGS, PROBES, SEGMENTS)] == [0, 0, 5]
    assert set(read_ledger(measured, RUNS).filter(withdrawn_by=1)["instrument"]) == {EMBEDDER, READER}


def test_a_withdrawn_reader_leaves_what_it_reads(measured, registry):
    withdrawn(measured, "model", READER)
    build_ledgers(measured, registry)
    assert [len(current(measured, table)) for table in (EMBEDDINGS, PROBES, SEGMENTS)] == [5, 0, 5]


def test_a_source_is_withdrawn_by_its_digest(measured, registry):
    withdrawn(measured, "source", measured.plate("plate-003").source_sha256())
    build_ledgers(measured, registry)
    assert current(measured, EMBEDDINGS) == current(measured, PLATES) == EVERYTHING - {"plate-003"}
    assert state(measured, registry, EMBEDDER, "plate-003").state == "withdrawn"


def test_weights_are_withdrawn_by_their_digest(measured, registry):
    """The rows of every instrument with these weights, under any key."""
    weights = "ab" * 32
    marked = read_ledger(measured, RUNS)
    assert marked.is_empty()
    withdrawn(measured, "weights", weights)
    state = in_force(read_log(measured.root))
    assert state.of_run("run-1", "plate-001", "some_key", weights, "0" * 64)
    assert not state.of_run("run-1", "plate-001", "some_key", None, "0" * 64)


def test_a_rebuild_gives_the_same_rows_as_a_refresh(measured, registry):
    build_ledgers(measured, registry)
    withdrawn(measured, "run", run_of(measured, registry, EMBEDDER))
    refreshed = build_ledgers(measured, registry)
    for path in measured.ledger_dir.rglob("*.parquet"):
        path.unlink()
    rebuilt = build_ledgers(measured, registry)
    assert all(refreshed[name].equals(rebuilt[name]) for name in refreshed)


def test_a_restoration_makes_the_rows_current_again(measured, registry):
    before = build_ledgers(measured, registry)
    entry = withdrawn(measured, "model", EMBEDDER)
    build_ledgers(measured, registry)
    restored(measured, entry.content.number)
    after = build_ledgers(measured, registry)
    assert all(after[name].equals(before[name]) for name in before if name != WITHDRAWALS.name)
    rows = read_ledger(measured, WITHDRAWALS).select("number", "kind", "restores", "restored_by", "is_in_force").rows()
    assert rows == [(1, "withdraw", None, 2, False), (2, "restore", 1, None, False)]


def test_the_ledgers_are_behind_a_new_entry(measured, registry):
    build_ledgers(measured, registry)
    build_catalogue(measured, registry)
    assert why_behind(measured, registry) == ""
    withdrawn(measured, "plate", "plate-001")
    assert "the newest is entry 1" in why_behind(measured, registry)
    build_ledgers(measured, registry)
    build_catalogue(measured, registry)
    assert why_behind(measured, registry) == ""


def test_a_withdrawn_plate_and_instrument_have_a_state_with_the_reason_and_are_not_asked_for(dataset, registry):
    withdrawn(dataset, "plate", "plate-001", "taken down by its owner")
    withdrawn(dataset, "model", EMBEDDER)
    found = state(dataset, registry, "groundwork", "plate-001")
    assert (found.state, found.reason) == (
        "withdrawn",
        "plate plate-001 withdrawn by entry 1 (rights): taken down by its owner",
    )
    assert {state(dataset, registry, key, "plate-002").state for key in (EMBEDDER, READER)} == {"withdrawn"}
    assert state(dataset, registry, SEGMENTER, "plate-002").state == "missing"
    lists = work_lists(read_standings(dataset, registry.instruments.values()), None)
    asked = {(key.to_user_string(), plate_id) for work in lists for key in work.keys for plate_id in work.plates[key]}
    assert {name.split("/")[0] for name, _ in asked} == {"plate", "segments"}
    assert {plate_id for _, plate_id in asked} == EVERYTHING - {"plate-001"}


def test_plates_of_a_withdrawn_run_are_missing_and_measured_anew(measured, registry):
    run_id = run_of(measured, registry, EMBEDDER)
    withdrawn(measured, "run", run_id)
    assert state(measured, registry, EMBEDDER, "plate-001").state == "missing"
    assert state(measured, registry, READER, "plate-001").state == "waiting"
    assert measure(measured, registry, EMBEDDER, VECTORS) == ["complete"] * 5
    assert run_instrument(measured, registry, READER) == ["complete"] * 5
    build_ledgers(measured, registry)
    assert current(measured, EMBEDDINGS) == current(measured, PROBES) == EVERYTHING
    assert run_id not in set(read_ledger(measured, EMBEDDINGS).filter("is_current")["run_id"])


def test_a_withdrawn_instrument_and_what_reads_it_measure_nothing(dataset, registry):
    withdrawn(dataset, "model", EMBEDDER, "trained on stolen pictures")
    for key in (EMBEDDER, READER):
        with pytest.raises(
            InstrumentWithdrawn, match=r"entry 1 \(rights\): trained on stolen pictures.*atlas restore 1"
        ):
            list(execute_run(dataset, registry.instruments[key], dataset.plate_ids(), VECTORS))
    assert not list(dataset.reports_dir.iterdir())


def test_a_withdrawn_plate_is_left_out_of_a_run_and_of_its_report(dataset, registry):
    withdrawn(dataset, "plate", "plate-002")
    outcomes = list(execute_run(dataset, registry.instruments[EMBEDDER], dataset.plate_ids(), VECTORS))
    assert {outcome.plate_id: outcome.status for outcome in outcomes} == {
        "plate-002": "withdrawn",
        **dict.fromkeys(EVERYTHING - {"plate-002"}, "complete"),
    }
    assert not dataset.plate("plate-002").runs_folder.exists()
    (report,) = dataset.reports_dir.glob("*/report.json")
    assert "plate-002" not in report.read_text()


def test_a_plate_that_is_withdrawn_while_a_run_is_under_way_is_not_measured(dataset, registry):
    class Withdrawing(GivenVectors):
        def load(self) -> None:
            withdrawn(dataset, "plate", "plate-002")

    outcomes = list(
        execute_run(dataset, registry.instruments[EMBEDDER], dataset.plate_ids(), Withdrawing(VECTORS.vectors))
    )
    found = {outcome.plate_id: outcome for outcome in outcomes}
    assert {plate_id for plate_id, outcome in found.items() if outcome.status == "complete"} == EVERYTHING - {
        "plate-002"
    }
    assert (found["plate-002"].status, found["plate-002"].sealed) == ("withdrawn", None)
    assert "withdrawn by entry 1" in found["plate-002"].reason
    assert not dataset.plate("plate-002").runs_folder.exists()
    (report,) = [read_json(path, RunReport) for path in dataset.reports_dir.glob("*/report.json")]
    assert (report.status, set(report.selected)) == ("complete", EVERYTHING - {"plate-002"})


def test_sealed_files_are_not_touched(measured, registry):
    folders = [plate.folder for plate in measured.plates()]
    before = {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}
    withdrawn(measured, "plate", "plate-001")
    withdrawn(measured, "model", EMBEDDER)
    build_ledgers(measured, registry)
    after = {path: path.read_bytes() for folder in folders for path in folder.rglob("*") if path.is_file()}
    assert after == before


def test_an_export_has_no_row_of_what_is_withdrawn(measured, registry, tmp_path):
    build_ledgers(measured, registry)
    withdrawn(measured, "plate", "plate-001")
    withdrawn(measured, "run", run_of_other(measured, registry))
    with pytest.raises(ValueError, match=r"the newest is entry 2.*Fix: atlas run @ledgers"):
        export_ledgers(measured, tmp_path / "early")
    build_ledgers(measured, registry)
    export_ledgers(measured, tmp_path / "out")
    exported = {path.stem: pl.read_parquet(path) for path in (tmp_path / "out").glob("*.parquet")}
    for name, rows in exported.items():
        if "plate_id" in rows.columns:
            assert "plate-001" not in set(rows["plate_id"]), name
    assert [exported[name].height for name in ("embeddings", "probes", "runs", "plates")] == [0, 0, 4, 4]
    assert exported["segments"]["plate_id"].n_unique() == exported["histograms"].height == 4
    assert exported["withdrawals"].height == 2


def run_of_other(dataset: Dataset, registry) -> str:
    done = find_done(dataset.plate("plate-002"), registry.instruments[EMBEDDER].identity)
    assert done
    return done.run_id


def test_views_and_macros_have_no_row_of_what_is_withdrawn(measured, registry):
    license_plates(measured, "CC0")
    withdrawn(measured, "plate", "plate-001")
    build_ledgers(measured, registry)
    build_catalogue(measured, registry)
    with connect(measured) as connection:

        def plates(query: str) -> set[str]:
            return {row[0] for row in connection.execute(query).fetchall()}

        four = EVERYTHING - {"plate-001"}
        for view in (f"embeddings_{EMBEDDER}", "plate_index", f"probes_{READER}", "commercial_embeddings"):
            assert plates(f"SELECT plate_id FROM {view}") == four, view
        assert plates("SELECT plate_id FROM rows_for_commercial_use") == four
        for macro in (f"nearest('plate-002', '{EMBEDDER}', 9)", "histogram_nearest('plate-002', 9)"):
            assert plates(f"SELECT plate_id FROM {macro}") == four - {"plate-002"}, macro
        assert plates("SELECT plate_id FROM segment_sets") == four
        assert plates("SELECT plate_id FROM embeddings") == EVERYTHING
        assert plates("SELECT reason FROM withdrawals JOIN plates ON withdrawn_by = number") == {"taken down"}


def test_what_an_entry_touches_is_counted_before_it_is_made(measured, registry):
    build_ledgers(measured, registry)
    withdrawn(measured, "run", run_of(measured, registry, EMBEDDER))
    touched = find_touched(measured, NOTHING, in_force(read_log(measured.root)))
    assert set(touched.direct.values()) == {EMBEDDER}
    assert set(touched.dependents.values()) == {READER}
    assert (len(touched.direct), len(touched.dependents), touched.plates) == (5, 5, ())
    assert touched.rows == {"embeddings": 5, "probes": 15, "runs": 10}

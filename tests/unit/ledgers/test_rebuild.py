"""Ledgers that grew and ledgers rebuilt from nothing have the same rows, and the same rows marked current."""

import hashlib
import itertools
import os
import shutil
import threading

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from support.fake_instruments import fake_registry, fake_spec
from support.made_datasets import draw_scan, run_folders
from support.made_results import TWO_SEGMENTS, GivenVectors, build_ledgers, measure, measure_groundwork, reseal

from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.ledgers.lineage.build import build_lineage
from atlas_resources.ledgers.parquet import (
    built_ledgers,
    ledger_path,
    read_ledger,
    read_runs_of,
    read_sealed_rows,
    runs_in,
    write_ledger,
)
from atlas_resources.ledgers.runs import build_results, build_runs
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.runs.sealed import MANIFEST_NAME
from atlas_resources.tables.ledgers import LEDGERS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import IDENTITY

EMBEDDER, SEGMENTER = "embedder", "segmenter"
VECTORS = GivenVectors({f"plate-{number:03d}": (number, 1.0, 0.0) for number in range(1, 7)})
REGISTRY = {"embedder": fake_spec(EMBEDDER), "segmenter": fake_spec(SEGMENTER)}


def assert_same_from_nothing(dataset, registry) -> dict[str, pl.DataFrame]:
    """Lets the ledgers grow, then deletes and rebuilds them; returns their rows."""
    grown = build_ledgers(dataset, registry)
    for name, table in LEDGERS.items():
        assert_frame_equal(read_ledger(dataset, table), grown[name])
        ledger_path(dataset, table).unlink()
    rebuilt = build_ledgers(dataset, registry)
    for name in LEDGERS:
        assert_frame_equal(grown[name], rebuilt[name])
    return rebuilt


def current(rows: pl.DataFrame) -> list[tuple[str, str]]:
    """Instrument and plate of the rows marked current."""
    return rows.filter("is_current").select("instrument", "plate_id").unique().sort("instrument", "plate_id").rows()


@pytest.fixture
def two_instruments(fakes):
    return fake_registry(REGISTRY["embedder"], REGISTRY["segmenter"])


@pytest.fixture
def measured(dataset, two_instruments):
    """Groundwork and both instruments on five plates; ledgers built once."""
    measure_groundwork(dataset)
    measure(dataset, two_instruments, EMBEDDER, VECTORS)
    measure(dataset, two_instruments, SEGMENTER, TWO_SEGMENTS)
    build_ledgers(dataset, two_instruments)
    return dataset


def test_a_dataset_without_plates_has_empty_ledgers_with_their_columns(tmp_path, two_instruments):
    dataset = Dataset(tmp_path / "empty")
    dataset.ensure()
    ledgers = assert_same_from_nothing(dataset, two_instruments)
    assert {name: rows.height for name, rows in ledgers.items() if name != "models"} == dict.fromkeys(
        [name for name in LEDGERS if name != "models"], 0
    )
    assert ledgers["embeddings"].schema == LEDGERS["embeddings"].schema


def test_after_a_first_round_every_row_is_current(measured, two_instruments):
    ledgers = assert_same_from_nothing(measured, two_instruments)
    assert ledgers["embeddings"].height == 5
    assert ledgers["segments"].height == 10
    assert ledgers["runs"].height == 10
    assert ledgers["embeddings"]["is_current"].all()
    assert ledgers["segments"]["is_current"].all()
    assert ledgers["runs"]["is_current"].all()


def test_building_again_changes_no_file(measured, two_instruments):
    before = {name: ledger_path(measured, table).read_bytes() for name, table in LEDGERS.items()}
    build_ledgers(measured, two_instruments)
    assert {name: ledger_path(measured, table).read_bytes() for name, table in LEDGERS.items()} == before


def test_an_added_plate_adds_its_rows(measured, two_instruments, tmp_path):
    list(register_scans(measured, [draw_scan(tmp_path / "late.png", (120, 20, 90))]))
    assert read_ledger(measured, LEDGERS["plates"]).height == 5
    measure(measured, two_instruments, EMBEDDER, VECTORS)
    ledgers = assert_same_from_nothing(measured, two_instruments)
    assert ledgers["plates"]["plate_id"].to_list()[-1] == "plate-006"
    assert ledgers["plates"].filter(plate_id="plate-006")["width"].to_list() == [None]
    assert (EMBEDDER, "plate-006") in current(ledgers["embeddings"])
    assert (SEGMENTER, "plate-006") not in current(ledgers["segments"])


def test_an_added_instrument_does_not_change_rows_of_others(measured, two_instruments, fakes):
    before = read_ledger(measured, LEDGERS["embeddings"])
    registry = fake_registry(*REGISTRY.values(), fake_spec("embedder_two", gain=3.0))
    measure(measured, registry, "embedder_two", VECTORS)
    ledgers = assert_same_from_nothing(measured, registry)
    assert ledgers["embeddings"].height == 10
    assert_frame_equal(ledgers["embeddings"].filter(instrument=EMBEDDER), before)
    assert ledgers["models"]["instrument"].to_list() == ["embedder", "embedder_two", "segmenter"]


def test_a_changed_fingerprint_leaves_nothing_current_until_it_is_measured_again(measured):
    changed = fake_registry(fake_spec(EMBEDDER, gain=2.0), REGISTRY["segmenter"])
    ledgers = assert_same_from_nothing(measured, changed)
    assert not ledgers["embeddings"]["is_current"].any()
    assert ledgers["segments"]["is_current"].all()
    measure(measured, changed, EMBEDDER, VECTORS, ["plate-002"])
    ledgers = assert_same_from_nothing(measured, changed)
    assert ledgers["embeddings"].height == 6
    assert current(ledgers["embeddings"]) == [(EMBEDDER, "plate-002")]
    present = changed.instruments[EMBEDDER].identity.fingerprint
    assert set(ledgers["embeddings"].filter("is_current")["fingerprint"]) == {present}


def test_going_back_to_a_fingerprint_makes_its_rows_current_again(measured, two_instruments):
    changed = fake_registry(fake_spec(EMBEDDER, gain=2.0), REGISTRY["segmenter"])
    measure(measured, changed, EMBEDDER, VECTORS)
    build_ledgers(measured, changed)
    ledgers = assert_same_from_nothing(measured, two_instruments)
    marked = ledgers["embeddings"].filter("is_current")
    assert marked.height == 5
    assert set(marked["fingerprint"]) == {two_instruments.instruments[EMBEDDER].identity.fingerprint}


def test_the_newer_of_two_runs_with_one_fingerprint_is_current(measured, two_instruments):
    measure(measured, two_instruments, EMBEDDER, VECTORS, ["plate-001"], is_forced=True)
    ledgers = assert_same_from_nothing(measured, two_instruments)
    rows = ledgers["embeddings"].filter(plate_id="plate-001").sort("run_id")
    assert rows["is_current"].to_list() == [False, True]


def test_a_newer_failure_leaves_the_older_result_current(measured, two_instruments):
    nothing = GivenVectors({})
    assert measure(measured, two_instruments, EMBEDDER, nothing, ["plate-001"], is_forced=True) == ["failed"]
    ledgers = assert_same_from_nothing(measured, two_instruments)
    runs = ledgers["runs"].filter(plate_id="plate-001", instrument=EMBEDDER).sort("run_id")
    assert runs.select("status", "is_current").rows() == [("complete", True), ("failed", False)]
    assert ledgers["embeddings"].filter(plate_id="plate-001")["is_current"].to_list() == [True]


def test_rows_of_a_removed_run_folder_are_removed(measured, two_instruments):
    measure(measured, two_instruments, EMBEDDER, VECTORS, ["plate-001"], is_forced=True)
    build_ledgers(measured, two_instruments)
    newest = [
        name
        for name in run_folders(measured, "plate-001")
        if name.endswith(two_instruments.instruments[EMBEDDER].identity.fingerprint[:8])
    ][-1]
    shutil.rmtree(measured.plate("plate-001").runs_folder / newest)
    ledgers = assert_same_from_nothing(measured, two_instruments)
    for name in ("runs", "lineage", "embeddings"):
        assert newest not in set(ledgers[name].filter(plate_id="plate-001")["run_id"]), name
    assert ledgers["embeddings"].filter(plate_id="plate-001")["is_current"].to_list() == [True]


def test_a_retired_instrument_keeps_its_rows_and_none_is_current(measured):
    ledgers = assert_same_from_nothing(measured, fake_registry(REGISTRY["segmenter"]))
    assert ledgers["embeddings"]["is_current"].to_list() == [False] * 5
    assert ledgers["segments"]["is_current"].all()


@pytest.mark.parametrize("role", INSTRUMENT_TABLES)
def test_every_row_says_where_it_comes_from(measured, two_instruments, role):
    rows = build_ledgers(measured, two_instruments)[INSTRUMENT_TABLES[role].name]
    filled = [column.name for column in IDENTITY if column.name != "weights_sha256"]  # the fakes are algorithms
    assert rows.select(filled).null_count().row(0) == (0,) * len(filled)
    for plate_id, source_sha256 in rows.select("plate_id", "source_sha256").iter_rows():
        assert source_sha256 == measured.plate(plate_id).source_sha256()


def test_a_row_of_each_run_repeats_what_its_manifest_says(measured, two_instruments):
    runs = build_ledgers(measured, two_instruments)["runs"]
    for row in runs.iter_rows(named=True):
        folder = measured.plate(row["plate_id"]).runs_folder / row["run_id"]
        identity = two_instruments.instruments[row["instrument"]].identity
        assert (folder / MANIFEST_NAME).is_file()
        assert row["fingerprint"] == identity.fingerprint
        assert row["model_sha"] == identity.model_sha
        assert row["licence"] == "MIT"
        assert row["status"] == "complete"


def test_lineage_names_every_sealed_output_with_the_digest_of_its_bytes(measured, two_instruments):
    lineage = build_ledgers(measured, two_instruments)["lineage"].filter(relation="wasDerivedFrom", subject_kind="file")
    sealed = lineage.filter(pl.col("run_id").is_not_null())
    assert sealed.height == 20  # ten runs, each a table and metrics
    assert lineage.height == 20 + 15  # and the three files of the groundwork of five plates
    for row in lineage.iter_rows(named=True):
        content = (measured.plates_dir / row["subject"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == row["subject_sha256"]
        source = measured.plate(row["plate_id"]).folder / row["object_name"]
        assert hashlib.sha256(source.read_bytes()).hexdigest() == row["object_sha256"] == row["object"]


def test_a_ledger_with_other_columns_is_rebuilt(measured, two_instruments):
    right = read_ledger(measured, LEDGERS["embeddings"])
    right.drop("l2_norm").write_parquet(ledger_path(measured, LEDGERS["embeddings"]))
    assert_frame_equal(build_ledgers(measured, two_instruments)["embeddings"], right)


YOUNGER = ["tile_id", "x_min", "y_min", "x_max", "y_max"]  # columns that version 0.1.0 did not seal


def test_sealed_files_of_an_earlier_version_are_read_together_with_present_ones(measured, two_instruments):
    """plate-001 and plate-004, the first file and one in between, have the columns of version 0.1.0."""
    right = read_ledger(measured, LEDGERS["embeddings"])
    for plate_id in ("plate-001", "plate-004"):
        (sealed,) = measured.plate(plate_id).runs_folder.glob("run-*/embeddings.parquet")
        pl.read_parquet(sealed).drop(YOUNGER).write_parquet(sealed)
        reseal(sealed)
    for path in built_ledgers(measured):  # of runs that were sealed, none is read again
        path.unlink()
    rebuilt = assert_same_from_nothing(measured, two_instruments)["embeddings"]
    assert_frame_equal(rebuilt, right)
    assert rebuilt.select(YOUNGER).null_count().row(0) == (5,) * 5
    rows, faults = read_sealed_rows(measured, "embedding")
    assert faults == []
    assert_frame_equal(LEDGERS["embeddings"].conform(rows.with_columns(is_current=True)), right)


def test_runs_and_lineage_are_made_of_what_the_ledgers_of_results_gathered(measured, two_instruments):
    """Without a file of the plates: `runs` of the roles' runs, `lineage` of `runs`."""
    before = {name: read_ledger(measured, LEDGERS[name]) for name in ("runs", "lineage")}
    derived = before["lineage"].filter(relation="wasDerivedFrom").drop_nulls("run_id")
    assert derived.height == 20  # 2 instruments on 5 plates: a Parquet file and the metrics, of 1 source
    shutil.rmtree(measured.plates_dir)
    for name in before:
        ledger_path(measured, LEDGERS[name]).unlink()
    assert_frame_equal(build_runs(measured).collect(), before["runs"])
    assert_frame_equal(build_lineage(measured).collect(), before["lineage"])


def test_a_run_is_gathered_with_the_results_of_its_own_role_only(measured, two_instruments):
    gathered = {role: runs_in(read_runs_of(measured, role)) for role in INSTRUMENT_TABLES}
    assert {role: len(keys) for role, keys in gathered.items() if keys} == {"embedding": 5, "segmentation": 5}
    for name in ("embeddings", "segments"):
        ledger_path(measured, LEDGERS[name]).unlink()
    shutil.rmtree(measured.ledger_dir / "runs_by_role")
    build_results(measured, two_instruments, "segmentation")
    assert runs_in(read_runs_of(measured, "segmentation")) == gathered["segmentation"]
    assert runs_in(read_runs_of(measured, "embedding")) == set()


def test_without_a_ledger_of_results_every_file_of_its_role_is_compared_again(measured, two_instruments):
    (sealed,) = measured.plate("plate-004").runs_folder.glob("run-*/embeddings.parquet")
    sealed.write_bytes(sealed.read_bytes() + b"altered")
    assert build_ledgers(measured, two_instruments)["runs"].height == 10
    ledger_path(measured, LEDGERS["embeddings"]).unlink()
    rebuilt = build_ledgers(measured, two_instruments)
    assert (rebuilt["embeddings"].height, rebuilt["runs"].height) == (4, 9)


def test_a_ledger_of_an_earlier_version_is_behind(measured, two_instruments):
    build_catalogue(measured, two_instruments)
    assert why_behind(measured, two_instruments) == ""
    path = ledger_path(measured, LEDGERS["embeddings"])
    pl.read_parquet(path).drop(YOUNGER).write_parquet(path)
    expected = "with other columns, of an earlier version, or unreadable: embeddings"
    assert why_behind(measured, two_instruments) == expected


def test_a_truncated_ledger_is_behind_and_is_rebuilt(measured, two_instruments):
    build_catalogue(measured, two_instruments)
    right = read_ledger(measured, LEDGERS["embeddings"])
    path = ledger_path(measured, LEDGERS["embeddings"])
    path.write_bytes(path.read_bytes()[:-100])
    expected = "with other columns, of an earlier version, or unreadable: embeddings"
    assert why_behind(measured, two_instruments) == expected
    assert_frame_equal(build_ledgers(measured, two_instruments)["embeddings"], right)


def test_a_ledger_that_is_replaced_all_the_time_is_read_whole(measured):
    """Two versions of different length, the older one three times as long, replace each other as fast as they can."""
    table = LEDGERS["embeddings"]
    rows = read_ledger(measured, table)
    versions = [pl.concat([rows] * 300), pl.concat([rows] * 100)]
    is_over = threading.Event()

    def replace() -> None:
        for version in itertools.cycle(versions):
            if is_over.is_set():
                return
            write_ledger(measured, table, version)

    writer = threading.Thread(target=replace)
    writer.start()
    try:
        found = {read_ledger(measured, table).height for _ in range(40)}
    finally:
        is_over.set()
        writer.join()
    assert found <= {rows.height, *(version.height for version in versions)}


@pytest.mark.parametrize("name", ["input_image", "input_color_histograms", "groundwork"])
def test_groundwork_written_during_a_build_is_not_missed(measured, two_instruments, name):
    """Content decides: here the changed file is older than the ledgers that lack it."""
    build_catalogue(measured, two_instruments)
    path = measured.plate("plate-002").derived_path(f"{name}.json")
    before = path.read_bytes()
    path.write_bytes(before + b"\n")
    os.utime(path, (0, 0))
    assert "groundwork of 1 plates came, went or changed" in why_behind(measured, two_instruments)
    path.unlink()
    assert "groundwork of 1 plates came, went or changed" in why_behind(measured, two_instruments)
    path.write_bytes(before)
    assert why_behind(measured, two_instruments) == "", "the same content, however new, is no change"

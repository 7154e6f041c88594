"""The ledger of reproductions has a row per plate of each file, and its view the last; a broken file is left out."""

import polars as pl
import pytest
from support.fake_instruments import EMBEDDER, fake_registry, fake_spec
from support.licensed import license_plates
from support.made_reproductions import edit_rows, result_path, run_of, write_repetition
from support.made_results import build_ledgers, reseal, run_instrument

from atlas_resources.catalogue.build import build_catalogue, connect
from atlas_resources.export.tables.ledgers import export_ledgers
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.ledgers.reproductions.build import build_reproductions
from atlas_resources.tables.ledgers import LEDGERS
from atlas_resources.tables.records.reproductions import REPRODUCTIONS

LATEST = "SELECT plate_id, verdict, is_current FROM latest_reproductions ORDER BY plate_id"


@pytest.fixture
def registry(fakes):
    return fake_registry(fake_spec(EMBEDDER))


@pytest.fixture
def measured(dataset, registry):
    assert run_instrument(dataset, registry, EMBEDDER) == ["complete"] * 5
    return dataset


@pytest.fixture
def reproduced(measured):
    """Repeated whole; then plate-002 again, with an edited vector."""
    run_id = run_of(measured, EMBEDDER)
    write_repetition(measured, run_id)
    path = result_path(measured, "plate-002", run_id)
    edit_rows(path, l2_norm=pl.lit(9.0))
    reseal(path)
    write_repetition(measured, run_id, "plate-002")
    return measured


def rebuild(dataset, registry) -> None:
    build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)


def test_there_is_a_row_for_each_plate_and_repetition(reproduced):
    rows = build_reproductions(reproduced)
    assert rows.select("plate_id", "verdict").rows() == [
        ("plate-001", "identical"),
        ("plate-002", "identical"),
        ("plate-002", "different"),
        *((f"plate-00{number}", "identical") for number in (3, 4, 5)),
    ]
    (row,) = rows.filter(verdict="different").to_dicts()
    assert row["differences"][0]["column"] == "l2_norm"
    assert row["differences"][0]["tolerance"] == 1e-4
    assert row["reason"].startswith("l2_norm: relative difference ")
    assert (row["instrument"], row["role"], row["cosine_min"]) == (EMBEDDER, "embedding", pytest.approx(1))
    assert (reproduced.root / row["file"]).is_file()


def test_the_view_has_the_last_verdict_and_whether_the_result_is_current(reproduced, registry):
    rebuild(reproduced, registry)
    with connect(reproduced) as connection:
        assert connection.execute(LATEST).fetchall() == [
            (f"plate-00{number}", "different" if number == 2 else "identical", True) for number in range(1, 6)
        ]


def test_a_new_file_and_one_that_went_ask_for_a_refresh_once(reproduced, registry):
    rebuild(reproduced, registry)
    assert why_behind(reproduced, registry) == ""
    write_repetition(reproduced, run_of(reproduced, EMBEDDER), "plate-001")
    first = why_behind(reproduced, registry)
    assert "1 reproductions of runs were added or removed" in first
    rebuild(reproduced, registry)
    assert why_behind(reproduced, registry) == ""
    for path in reproduced.reproductions_dir.glob("*/*.json"):
        path.unlink()
    assert "3 reproductions of runs were added or removed" in why_behind(reproduced, registry)
    rebuild(reproduced, registry)
    assert read_ledger(reproduced, REPRODUCTIONS).height == 0


def test_a_broken_file_is_logged_and_left_out_and_asks_for_no_refresh(reproduced, registry, caplog):
    (folder,) = reproduced.reproductions_dir.iterdir()
    broken = folder / "20270301-040000-000000Z.json"
    broken.write_text("{}")
    (folder / "notes.txt").write_text("mine")
    (folder / ".20270301.tmp").write_text("")
    assert build_reproductions(reproduced).height == 6
    assert f"left out of ledger/reproductions: {broken}: is not a valid Reproduction" in caplog.text
    assert f"Fix: delete it; atlas reproduce {folder.name} writes another" in caplog.text
    rebuild(reproduced, registry)
    assert why_behind(reproduced, registry) == ""


def test_a_file_in_the_folder_of_another_run_is_left_out(reproduced, caplog):
    (folder,) = reproduced.reproductions_dir.iterdir()
    other = folder.with_name("run-20270301-020000Z-00000000")
    folder.rename(other)
    assert build_reproductions(reproduced).height == 0
    assert "run_id: expected 'run-20270301-020000Z-00000000', the name of its folder" in caplog.text


def test_a_commercial_export_has_only_reproductions_of_runs_that_may_be_used(reproduced, registry, tmp_path):
    license_plates(reproduced, "CC0")
    license_plates(reproduced, "CC BY-NC 4.0", "plate-001")
    rebuild(reproduced, registry)
    written = export_ledgers(reproduced, tmp_path / "out", commercial=True).files
    assert {one.path.stem for one in written} == LEDGERS.keys()
    exported = pl.read_parquet(tmp_path / "out" / "reproductions.parquet")
    assert exported["plate_id"].to_list() == ["plate-002", "plate-002", "plate-003", "plate-004", "plate-005"]

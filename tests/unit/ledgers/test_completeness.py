"""The state of each plate with each asset, why it is not done, and what changed since it was."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from support.fake_instruments import EMBEDDER, READER, SEGMENTER, fake_registry, fake_spec, reader_spec
from support.made_datasets import alter_source
from support.made_results import (
    TWO_SEGMENTS,
    GivenVectors,
    build_ledgers,
    measure,
    measure_groundwork,
    run_instrument,
)
from support.made_withdrawals import withdrawn

from atlas_resources.catalogue.build import build_catalogue, connect
from atlas_resources.files.digests import sha256_of
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.completeness import _groundwork, _runs
from atlas_resources.ledgers.completeness.ledger import build_completeness
from atlas_resources.ledgers.completeness.reading import read_completeness, read_states
from atlas_resources.ledgers.completeness.states import MOST_ATTEMPTS, STATES, AssetStates, PlateState, counts_of
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.plates import groundwork
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index.unchanged import Unchanged
from atlas_resources.runs.sealed import find_done, find_failures
from atlas_resources.tables.completeness import COMPLETENESS

FIRST_TWO = {"plate-001": (1.0, 0.0, 0.0), "plate-002": (0.0, 1.0, 0.0)}


@pytest.fixture
def registry(fakes) -> Registry:
    return fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER), reader_spec())


@pytest.fixture
def measured(dataset, registry) -> Dataset:
    """Two plates done by the embedder, plate-003 failed once, plate-004 three times, plate-005 not tried."""
    measure(dataset, registry, EMBEDDER, GivenVectors(FIRST_TWO), ["plate-001", "plate-002", "plate-003", "plate-004"])
    for _ in range(2):
        measure(dataset, registry, EMBEDDER, GivenVectors({}), ["plate-004"])
    return dataset


def states_of(dataset: Dataset, registry: Registry, name: str, most_attempts: int = 3) -> dict[str, PlateState]:
    """The state of each plate, by id, with an instrument or the groundwork."""
    found = read_completeness(dataset, registry.instruments.values(), most_attempts)
    (asset,) = [states for states in found if states.name == name]
    return {plate.plate_id: plate for plate in asset.plates}


def test_done_failed_given_up_and_missing_plates_are_told_apart(measured, registry):
    plates = states_of(measured, registry, EMBEDDER)
    assert [plate.state for plate in plates.values()] == ["done", "done", "failed", "refused", "missing"]
    assert [plate.attempts for plate in plates.values()] == [0, 0, 1, 3, 0]
    assert (plates["plate-003"].reason, plates["plate-004"].reason) == ("'plate-003'", "'plate-004'")


@pytest.mark.parametrize(("most_attempts", "state"), [(3, "refused"), (4, "failed")])
def test_a_plate_is_given_up_after_as_many_failures_as_the_settings_say(measured, registry, most_attempts, state):
    assert states_of(measured, registry, EMBEDDER, most_attempts)["plate-004"].state == state


def test_each_state_names_its_run(measured, registry):
    identity = registry.instruments[EMBEDDER].identity
    plates = states_of(measured, registry, EMBEDDER)
    done = find_done(measured.plate("plate-001"), identity)
    failures = find_failures(measured.plate("plate-004"), identity)
    assert done
    assert plates["plate-001"].result
    assert plates["plate-001"].result.run_id == done.run_id
    assert plates["plate-004"].failed_run_id == failures[0].run_id
    assert plates["plate-005"].result is None


class TestWaiting:
    def test_a_plate_waits_for_the_asset_that_its_instrument_reads(self, measured, registry):
        plates = states_of(measured, registry, READER)
        assert [plate.state for plate in plates.values()] == ["missing", "missing", "waiting", "waiting", "waiting"]
        assert plates["plate-003"].reason == f"embeddings/{EMBEDDER} is not done"

    def test_it_waits_too_if_the_other_instrument_is_not_asked_for(self, measured, registry):
        _, reader = read_completeness(measured, [registry.instruments[READER]])
        assert [plate.state for plate in reader.plates].count("waiting") == 3

    def test_it_says_that_the_other_instrument_changed(self, measured, registry):
        run_instrument(measured, registry, READER)
        changed = fake_registry(fake_spec(EMBEDDER, gain=2.0), reader_spec())
        before, now = (one.instruments[EMBEDDER].identity.fingerprint[:8] for one in (registry, changed))
        plates = states_of(measured, changed, READER)
        assert plates["plate-001"].state == "waiting"
        assert plates["plate-001"].what_changed == f"version of {EMBEDDER} {before} -> {now}"


class TestStale:
    """A complete run of another version or source."""

    def test_a_parameter(self, measured):
        plates = states_of(measured, fake_registry(fake_spec(EMBEDDER, gain=2.0)), EMBEDDER)
        assert [plate.state for plate in plates.values()] == ["stale", "stale", "missing", "missing", "missing"]
        assert plates["plate-001"].what_changed == "parameters.gain null -> 2.0"
        assert (plates["plate-001"].reason, plates["plate-001"].attempts) == ("", 0)

    def test_preprocessing_and_numeric_mode(self, measured):
        content = fake_spec(EMBEDDER).model_dump(mode="json")
        content["preprocessing"]["resize"]["size_px"] = 32
        content["numeric"]["attention"] = "eager"
        changed = fake_registry(type(fake_spec(EMBEDDER)).model_validate(content))
        assert states_of(measured, changed, EMBEDDER)["plate-002"].what_changed == (
            "preprocessing.resize.size_px 64 -> 32; numeric mode.attention null -> eager"
        )

    def test_the_version_of_the_loader(self, measured, monkeypatch):
        monkeypatch.setitem(LOADERS, "fake", replace(LOADERS["fake"], version=2))
        plates = states_of(measured, fake_registry(fake_spec(EMBEDDER)), EMBEDDER)
        assert plates["plate-001"].what_changed == "loader version 1 -> 2"

    def test_the_source(self, measured, registry):
        before, now = register_altered_source(measured, "plate-002")
        plates = states_of(measured, registry, EMBEDDER)
        assert [plate.state for plate in plates.values()][:2] == ["done", "stale"]
        assert plates["plate-002"].what_changed == f"source {before[:8]} -> {now[:8]}"

    def test_prose_and_licence_change_nothing(self, measured):
        changed = fake_spec(EMBEDDER).model_copy(update={"title": "Another title", "batch_size": 7})
        assert states_of(measured, fake_registry(changed), EMBEDDER)["plate-001"].state == "done"

    def test_without_the_runs_report_the_parameters_are_said_to_be_unknown(self, measured):
        shutil.rmtree(measured.reports_dir)
        plates = states_of(measured, fake_registry(fake_spec(EMBEDDER, gain=2.0)), EMBEDDER)
        assert plates["plate-001"].what_changed.startswith("fingerprint ")
        assert "parameters and numeric mode are unknown: reports/run-" in plates["plate-001"].what_changed

    def test_a_plate_whose_new_version_failed_is_failed_and_says_what_changed(self, measured):
        changed = fake_registry(fake_spec(EMBEDDER, gain=2.0))
        measure(measured, changed, EMBEDDER, GivenVectors({}), ["plate-001"])
        plate = states_of(measured, changed, EMBEDDER)["plate-001"]
        assert (plate.state, plate.what_changed) == ("failed", "parameters.gain null -> 2.0")


class TestBroken:
    """Plates whose own files cannot be read are given up at once."""

    def test_a_plate_without_its_registered_digest(self, measured, registry):
        (measured.plate("plate-001").folder / "source.sha256").write_text("nonsense\n")
        for name in (EMBEDDER, SEGMENTER, "groundwork"):
            plate = states_of(measured, registry, name)["plate-001"]
            assert (plate.state, plate.is_broken) == ("refused", True)
            assert "source.sha256: expected one line" in plate.reason

    def test_a_manifest_of_the_present_version_that_cannot_be_read(self, measured, registry):
        (manifest,) = measured.plate("plate-001").runs_folder.glob("*/run.manifest.json")
        manifest.write_text("{}")
        plate = states_of(measured, registry, EMBEDDER)["plate-001"]
        assert plate.state == "refused"
        assert str(manifest) in plate.reason
        assert states_of(measured, registry, SEGMENTER)["plate-001"].state == "missing"

    def test_a_manifest_of_an_earlier_version_that_cannot_be_read_counts_for_nothing(self, measured):
        (manifest,) = measured.plate("plate-001").runs_folder.glob("*/run.manifest.json")
        manifest.write_text("{}")
        changed = fake_registry(fake_spec(EMBEDDER, gain=2.0))
        assert states_of(measured, changed, EMBEDDER)["plate-001"].state == "missing"


class TestGroundwork:
    def test_a_measured_plate_is_done_since_it_was_measured(self, dataset, registry):
        begun = datetime.now(UTC)
        measure_groundwork(dataset)
        plate = states_of(dataset, registry, "groundwork")["plate-001"]
        assert plate.state == "done"
        assert plate.result
        assert plate.result.made_at
        assert begun < plate.result.made_at < datetime.now(UTC)

    def test_a_plate_of_an_earlier_version_is_stale(self, dataset, registry, monkeypatch):
        measure_groundwork(dataset)
        for module in (groundwork, _groundwork):
            monkeypatch.setattr(module, "MEASURE_VERSION", "9")
        plate = states_of(dataset, registry, "groundwork")["plate-001"]
        assert (plate.state, plate.what_changed) == ("stale", "measure version 3.srgb8-v2 -> 9")

    def test_a_plate_of_another_source_is_stale(self, dataset, registry):
        measure_groundwork(dataset)
        before, now = register_altered_source(dataset, "plate-003")
        plate = states_of(dataset, registry, "groundwork")["plate-003"]
        assert (plate.state, plate.what_changed) == ("stale", f"source {before[:8]} -> {now[:8]}")

    def test_one_file_alone_is_no_groundwork_even_if_it_cannot_be_read(self, dataset, registry):
        measure_groundwork(dataset)
        dataset.plate("plate-002").derived_path("input_image.json").unlink()
        dataset.plate("plate-002").derived_path("input_color_histograms.json").write_text("{}")
        assert states_of(dataset, registry, "groundwork")["plate-002"].state == "missing"


def register_altered_source(dataset: Dataset, plate_id: str) -> tuple[str, str]:
    """Alters a source and registers it as it is then. Returns both digests."""
    plate = dataset.plate(plate_id)
    before, path = plate.source_sha256(), plate.source_path()
    alter_source(dataset, plate_id)
    (plate.folder / "source.sha256").write_text(f"{sha256_of(path)}  source/{path.name}\n")
    return before, plate.source_sha256()


class TestMemory:
    """What was read of a file is used again until the file changes."""

    @pytest.fixture
    def read(self, monkeypatch) -> list[str]:
        """The manifests that are read, by plate."""
        found: list[str] = []
        own = _runs.read_manifest
        monkeypatch.setattr(_runs, "read_manifest", lambda plate, run_id: found.append(plate.id) or own(plate, run_id))
        return found

    @pytest.fixture
    def settled(self, measured, monkeypatch) -> Dataset:
        """As if the files had been written a while ago."""
        monkeypatch.setattr("atlas_resources.plates.index.unchanged.settled_ns", lambda device: -(10**12))
        return measured

    def test_a_sealed_run_is_read_once(self, settled, registry, read):
        states_of(settled, registry, EMBEDDER)
        assert sorted(set(read)) == ["plate-001", "plate-002", "plate-003", "plate-004"]
        read.clear()
        states_of(settled, registry, EMBEDDER)
        assert read == []

    def test_a_run_that_was_altered_is_read_again(self, settled, registry, read):
        states_of(settled, registry, EMBEDDER)
        read.clear()
        (manifest,) = settled.plate("plate-002").runs_folder.glob("*/run.manifest.json")
        manifest.write_bytes(manifest.read_bytes() + b" ")
        states_of(settled, registry, EMBEDDER)
        assert set(read) == {"plate-002"}

    def test_a_run_that_was_sealed_just_now_is_read_again(self, measured, registry, read, monkeypatch):
        """A second change within the tick of the file system's clock would leave no trace."""
        monkeypatch.setattr("atlas_resources.plates.index.unchanged.settled_ns", lambda device: 10**15)
        states_of(measured, registry, EMBEDDER)
        read.clear()
        states_of(measured, registry, EMBEDDER)
        assert "plate-001" in read


class TestLedger:
    @pytest.fixture
    def built(self, measured, registry):
        measure_groundwork(measured)
        measure(measured, registry, SEGMENTER, TWO_SEGMENTS)
        build_ledgers(measured, registry)
        build_catalogue(measured, registry)
        return measured

    def test_it_has_a_row_for_each_plate_with_the_groundwork_and_each_instrument(self, built):
        rows = read_ledger(built, COMPLETENESS)
        assert rows.height == 5 * 4
        assert set(rows["instrument"]) == {"groundwork", EMBEDDER, SEGMENTER, READER}
        failed = rows.filter(plate_id="plate-003", instrument=EMBEDDER).row(0, named=True)
        assert failed | {"run_id": "", "since": None} == {
            "plate_id": "plate-003",
            "instrument": EMBEDDER,
            "asset": f"embeddings/{EMBEDDER}",
            "is_active": True,
            "state": "failed",
            "reason": "'plate-003'",
            "attempts": 1,
            "run_id": "",
            "since": None,
            "what_changed": None,
        }
        assert failed["since"] is not None

    def test_the_catalogue_answers_with_documented_columns(self, built):
        with connect(built) as connection:
            counts = dict(
                connection.execute(
                    "SELECT state, count(*) FROM completeness WHERE instrument = 'fake_embedder' GROUP BY state"
                ).fetchall()
            )
            comments = connection.execute(
                "SELECT count(comment), count(*) FROM duckdb_columns() WHERE table_name = 'completeness'"
            ).fetchone()
        assert counts == {"done": 2, "failed": 1, "refused": 1, "missing": 1}
        assert comments == (10, 10)

    def test_a_rebuild_has_the_same_rows_and_is_not_behind(self, built, registry):
        before = read_ledger(built, COMPLETENESS)
        assert why_behind(built, registry) == ""
        assert build_completeness(built, registry).collect().equals(before)

    @pytest.mark.parametrize("is_withdrawn", [False, True])
    def test_states_of_plates_that_did_not_change_are_those_of_the_files_and_no_run_is_read(
        self, built, registry, monkeypatch, is_withdrawn
    ):
        if is_withdrawn:
            withdrawn(built, "plate", "plate-002")
            build_ledgers(built, registry)
        instruments, plate_ids = registry.instruments.values(), built.plate_ids()
        expected = read_states(built, instruments, MOST_ATTEMPTS, plate_ids)
        assert {plate.state for states in expected for plate in states.plates} >= {
            "done",
            "failed",
            "refused",
            "waiting",
        }
        monkeypatch.setattr(_runs, "read_manifest", lambda plate, run_id: pytest.fail(f"read {run_id} of {plate.id}"))
        monkeypatch.setattr(_runs, "_KNOWN", Unchanged())
        assert read_completeness(built, instruments) == expected

    def test_they_are_told_by_the_settings_of_who_asks(self, built, registry):
        instruments = registry.instruments.values()
        found = read_completeness(built, instruments, 1)
        assert found == read_states(built, instruments, 1, built.plate_ids())
        assert found != read_completeness(built, instruments)

    def test_a_plate_that_changed_is_read_and_the_others_are_not(self, built, registry, monkeypatch):
        read = []
        own = _runs.read_manifest
        monkeypatch.setattr(_runs, "read_manifest", lambda plate, run_id: read.append(plate.id) or own(plate, run_id))
        monkeypatch.setattr(_runs, "_KNOWN", Unchanged())
        measure(built, registry, SEGMENTER, TWO_SEGMENTS, ["plate-004"], is_forced=True)
        found = read_completeness(built, registry.instruments.values())
        assert found == read_states(built, registry.instruments.values(), MOST_ATTEMPTS, built.plate_ids())
        assert read[0] == "plate-004"

    def test_what_changed_in_plates_of_an_earlier_version_is_read_from_them(self, built, registry):
        changed = fake_registry(fake_spec(EMBEDDER, gain=2.0), fake_spec(SEGMENTER), reader_spec())
        build_ledgers(built, changed)
        found = read_completeness(built, changed.instruments.values())
        assert found == read_states(built, changed.instruments.values(), MOST_ATTEMPTS, built.plate_ids())
        assert any(plate.what_changed and plate.result for states in found for plate in states.plates)

    def test_it_is_behind_once_a_manifest_cannot_be_read(self, built, registry):
        """No other ledger notices: the run was taken when it was whole."""
        (manifest,) = [
            path
            for path in built.plate("plate-001").runs_folder.glob("*/run.manifest.json")
            if json.loads(path.read_bytes())["instrument"]["key"] == EMBEDDER
        ]
        manifest.write_text("{}")
        assert why_behind(built, registry).startswith("the state of 2 plates of instruments changed (")
        build_completeness(built, registry)
        assert why_behind(built, registry) == ""

    def test_it_is_behind_once_the_settings_give_up_later(self, built, registry):
        assert why_behind(built, registry, 4).startswith("the state of 1 plates of instruments changed (")

    def test_an_instrument_that_is_not_active_is_marked(self, built, registry):
        idle = replace(registry, active=frozenset({EMBEDDER}))
        rows = build_completeness(built, idle).collect()
        assert dict(rows.select("instrument", "is_active").unique().iter_rows()) == {
            "groundwork": True,
            EMBEDDER: True,
            SEGMENTER: False,
            READER: False,
        }


def test_every_state_is_counted_in_order(measured, registry):
    (asset,) = [one for one in read_completeness(measured, registry.instruments.values()) if one.name == EMBEDDER]
    assert isinstance(asset, AssetStates)
    assert list(counts_of(asset.plates)) == list(STATES)
    expected = {"done": 2, "failed": 1, "refused": 1, "missing": 1}
    assert counts_of(asset.plates) == dict.fromkeys(STATES, 0) | expected

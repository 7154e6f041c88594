"""The catalogue as of a snapshot is the catalogue as it was built then, row by row, also after much has changed."""

import shutil
from datetime import UTC, datetime

import pytest
from support import fake_instruments
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.licensed import license_plates
from support.made_datasets import draw_scan
from support.made_results import GivenVectors, build_ledgers, measure, measure_groundwork, run_instrument
from support.rewritten import rewrite_json
from support.verified import make_verified

from atlas_resources.catalogue.as_of.connection import connect_as_of
from atlas_resources.catalogue.as_of.tables import RULES
from atlas_resources.catalogue.build import build_catalogue, connect
from atlas_resources.chains.person import Person
from atlas_resources.files.durable import write_json_atomically
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.snapshots.creating import create_snapshot
from atlas_resources.snapshots.files import SnapshotUnknown, read_snapshot
from atlas_resources.tables.ledgers import LEDGERS, TOPOLOGY
from atlas_resources.withdrawals.entering import Target, withdraw

ABSENT = {"completeness", *(table.name for table in TOPOLOGY)}
"""A snapshot does not keep why a plate is not done, and topology is of the present vectors."""
LATER = {"plate-001": (0.0, 1.0, 0.0), "plate-002": (0.0, 1.0, 0.1), "plate-003": (1.0, 2.0, 0.1)}
VECTORS = {"plate-001": (1.0, 2.0, 0.0), "plate-002": (2.0, 1.0, 0.0)}


def correct(dataset: Dataset, plate_id: str, version: int, title: str) -> None:
    plate = dataset.plate(plate_id)
    updated_at = datetime(2026, 11, 22 + version, 10, tzinfo=UTC)
    changes = {"title": title, "manifest_version": version, "updated_at": updated_at, "extra": {"artist": title}}
    corrected = plate.manifest().model_copy(update=changes)
    write_json_atomically(plate.manifest_version_path(corrected), corrected)


def build(dataset, registry) -> None:
    build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """A library with the snapshot `then`, a copy of the catalogue of then, and everything else changed since."""
    folder = tmp_path_factory.mktemp("as_of")
    with pytest.MonkeyPatch.context() as patch:
        fake_instruments.install(patch)
        dataset, registry = make_verified(folder)
        license_plates(dataset, "CC0-1.0")
        rewrite_json(dataset.plate("plate-001").manifest_version_paths()[-1], license="CC0-1.0")
        measure(dataset, registry, EMBEDDER, GivenVectors(VECTORS), ["plate-002"])
        create_snapshot(dataset, registry, "then")
        build(dataset, registry)
        shutil.copy(dataset.catalogue_path, folder / "old.duckdb")
        later = fake_registry(fake_spec(EMBEDDER, gain=2.0), fake_spec(SEGMENTER))
        list(register_scans(dataset, [draw_scan(folder / "third.png", (1, 2, 3))]))
        correct(dataset, "plate-001", 3, "Later")
        correct(dataset, "plate-002", 2, "Later too")
        measure(dataset, later, EMBEDDER, GivenVectors(LATER))
        run_instrument(dataset, later, SEGMENTER, is_forced=True)
        measure_groundwork(dataset)
        create_snapshot(dataset, later, "after")
        build(dataset, later)
        yield dataset, later, folder / "old.duckdb"


@pytest.fixture(scope="module")
def as_of(changed):
    dataset, registry, old = changed
    connection, warnings = connect_as_of(dataset, registry, "then")
    with connection:
        connection.execute(f"ATTACH '{old}' AS old (READ_ONLY)")
        yield connection, warnings


def test_every_ledger_has_a_rule():
    assert RULES.keys() == LEDGERS.keys()


@pytest.mark.parametrize("table", sorted(LEDGERS.keys() - ABSENT - {"plates", "histograms", "lineage"}))
def test_the_rows_are_those_of_the_catalogue_of_then(as_of, table):
    connection, _ = as_of
    columns = ", ".join(f'"{name}"' for name in LEDGERS[table].schema)
    for one, other in ((f"old.{table}", table), (table, f"old.{table}")):
        query = f"SELECT {columns} FROM {one} EXCEPT ALL SELECT {columns} FROM {other}"
        assert connection.execute(query).fetchall() == [], (one, other)
    if LEDGERS[table].plate_file in ("embeddings.parquet", "segments.parquet"):
        assert connection.execute(f"SELECT count(*) FROM {table}").fetchone() > (0,)


def test_lineage_is_that_of_then_but_for_the_groundwork_that_was_measured_again(as_of):
    """Its groundwork.json and its commit are not kept; the measured files themselves are the same."""
    connection, _ = as_of
    columns = ", ".join(f'"{name}"' for name in LEDGERS["lineage"].schema)
    later = f"SELECT {columns} FROM lineage EXCEPT ALL SELECT {columns} FROM old.lineage"
    assert connection.execute(later).fetchall() == []
    gone = f"SELECT {columns} FROM old.lineage EXCEPT ALL SELECT {columns} FROM lineage"
    assert connection.execute(f"SELECT relation, subject FROM ({gone}) ORDER BY ALL").fetchall() == [
        ("wasAssociatedWith", "plate-001/groundwork"),
        ("wasAssociatedWith", "plate-002/groundwork"),
        ("wasDerivedFrom", "plate-001/derived/groundwork.json"),
        ("wasDerivedFrom", "plate-002/derived/groundwork.json"),
        ("wasGeneratedBy", "plate-001/derived/groundwork.json"),
        ("wasGeneratedBy", "plate-002/derived/groundwork.json"),
    ]


def test_manifests_are_those_of_then(as_of):
    connection, _ = as_of
    identity = "plate_id, title, slug, extra, manifest_version, manifest_updated_at, source_sha256, is_current, width"
    query = f"SELECT {identity} FROM {{}} ORDER BY plate_id"
    assert (
        connection.execute(query.format("plates")).fetchall()
        == connection.execute(query.format("old.plates")).fetchall()
    )
    assert connection.execute("SELECT title FROM now.plates ORDER BY plate_id").fetchall()[0] == ("Later",)
    assert "artist" not in [name for name, *_ in connection.execute("DESCRIBE plate_index").fetchall()]


def test_macros_and_views_answer_as_then(as_of, changed):
    connection, _ = as_of
    with connect(changed[0]) as present:
        near = f"SELECT plate_id, round(cosine, 4) FROM nearest('plate-001', '{EMBEDDER}', 5)"
        assert present.execute(near).fetchall() == [
            ("plate-002", 0.995),
            ("plate-003", 0.8935),
        ]  # 1 / sqrt(1.01) and 2 / sqrt(5.01)
    assert connection.execute(near).fetchall() == [("plate-002", 0.8)]  # (1,2,0) and (2,1,0): 4/5
    run_id = read_snapshot(changed[0], "then").plates[0].runs[EMBEDDER]
    why = f"SELECT run_id, parameters FROM why('plate-001', '{EMBEDDER}')"
    assert connection.execute(why).fetchall() == [(run_id, "{}")]
    query = f"SELECT plate_id, run_id, vector FROM embeddings_{EMBEDDER} ORDER BY plate_id"
    assert [row[2] for row in connection.execute(query).fetchall()] == [(1.0, 2.0, 0.0), (2.0, 1.0, 0.0)]
    assert connection.execute("SELECT DISTINCT plate_id FROM commercial_segments ORDER BY 1").fetchall() == [
        ("plate-001",),
        ("plate-002",),
    ]


def test_the_macro_as_of_gives_the_current_runs_and_refuses_other_names(changed, as_of):
    dataset = changed[0]
    expected = {
        (plate.plate_id, key, run_id)
        for plate in read_snapshot(dataset, "then").plates
        for key, run_id in plate.runs.items()
    }
    with connect(dataset) as present:
        assert set(present.execute("FROM as_of('then')").fetchall()) == expected
        assert present.execute("SELECT count(*) FROM as_of('after')").fetchone() == (6,)
        with pytest.raises(Exception, match=r"as_of: no snapshot 'thne'\. Did you mean then.* FROM snapshots"):
            present.execute("FROM as_of('thne')").fetchall()
    assert set(as_of[0].execute("FROM as_of('then')").fetchall()) == expected


def test_what_happened_later_is_in_no_table(as_of):
    connection, _ = as_of
    assert connection.execute("SELECT snapshot FROM snapshots ORDER BY created_at").fetchall() == [
        ("first",),
        ("then",),
    ]
    assert connection.execute("SELECT count(*) FROM plates").fetchone() == (2,)
    with pytest.raises(Exception, match="completeness does not exist"):
        connection.execute("FROM completeness")


def test_an_unknown_snapshot_is_refused_with_the_near_names(changed):
    dataset, registry, _ = changed
    with pytest.raises(SnapshotUnknown, match="Did you mean then"):
        connect_as_of(dataset, registry, "thn")


def test_runs_that_are_gone_and_facts_that_were_measured_again_are_named(changed, tmp_path):
    dataset, registry, _ = changed
    copy = Dataset(tmp_path / "copy")
    shutil.copytree(dataset.root, copy.root)
    run_id = read_snapshot(copy, "then").plates[0].runs[SEGMENTER]
    shutil.rmtree(copy.plate("plate-001").runs_folder / run_id)
    facts = copy.plate("plate-002").derived_path("input_image.json")
    facts.unlink()
    build(copy, registry)
    connection, warnings = connect_as_of(copy, registry, "then")
    with connection:
        assert connection.execute("SELECT count(*) FROM plates WHERE width IS NOT NULL").fetchone() == (1,)
    assert f"1 results are gone since: plate-001 {run_id}" in warnings
    assert "1 plates were measured again since; their facts then are null: plate-002" in warnings


def test_a_snapshot_that_is_newer_than_the_catalogue_says_how_to_build_it(changed, tmp_path):
    dataset, registry, _ = changed
    copy = Dataset(tmp_path / "copy")
    shutil.copytree(dataset.root, copy.root)
    run_instrument(copy, registry, SEGMENTER, is_forced=True)
    create_snapshot(copy, registry, "newest")
    connection, warnings = connect_as_of(copy, registry, "newest")
    connection.close()
    assert [warning[:39] for warning in warnings] == ["3 results are not in the catalogue. Bui"]


def test_what_was_withdrawn_later_is_still_there_and_what_was_withdrawn_before_is_not(tmp_path, fakes):
    dataset, registry = make_verified(tmp_path)
    by = Person("A. Person", "option")
    withdraw(dataset, Target("plate", "plate-002"), "error", "a copy", by)
    create_snapshot(dataset, registry, "then")
    withdraw(dataset, Target("plate", "plate-001"), "rights", "a claim", by)
    build(dataset, registry)
    near = "SELECT plate_id FROM plate_index"
    with connect(dataset) as present:
        assert present.execute(near).fetchall() == []
    connection, warnings = connect_as_of(dataset, registry, "then")
    with connection:
        assert connection.execute(near).fetchall() == [("plate-001",)]
        assert connection.execute("SELECT plate_id, withdrawn_by FROM plates ORDER BY ALL").fetchall() == [
            ("plate-001", None),
            ("plate-002", 3),
        ]
        assert connection.execute("SELECT count(*) FROM withdrawals").fetchone() == (3,)
    assert warnings == []

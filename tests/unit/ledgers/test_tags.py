"""What people judge stands in the ledger, in views and exports beside the machine's rows, which never change."""

import json

import polars as pl
import pytest
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_answers import text_spec
from support.made_results import TWO_SEGMENTS, GivenLines, GivenVectors, build_ledgers, measure, measure_groundwork
from support.made_tags import judged, tagged
from support.made_withdrawals import withdrawn

from atlas_resources.catalogue.as_of.connection import connect_as_of
from atlas_resources.catalogue.build import build_catalogue, connect
from atlas_resources.export.tables.ledgers import export_ledgers
from atlas_resources.export.viewers.regions import export_regions, find_publishable
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.snapshots.creating import create_snapshot
from atlas_resources.tables.records.tags import TAGS
from atlas_resources.tables.topology.spaces import PLATE_SPACES
from atlas_resources.tags.log import LOG, TagRefused

READER = "captioner"
MARKUP = "<script>alert('\x1b[31m')</script>"
LINE = {"plate_id": "plate-001", "text_id": "line-0001"}
VECTORS = GivenVectors({f"plate-00{number}": (3.0, 4.0, float(number)) for number in range(1, 6)})


@pytest.fixture
def registry(fakes):
    return fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER), text_spec(READER))


@pytest.fixture
def measured(dataset, registry):
    """Five plates with two masks and two lines each."""
    measure_groundwork(dataset)
    measure(dataset, registry, EMBEDDER, VECTORS)
    measure(dataset, registry, SEGMENTER, TWO_SEGMENTS)
    measure(dataset, registry, READER, GivenLines("Snow Bunding", "Plate CLXXXIX"))
    build_ledgers(dataset, registry)
    return dataset


def refreshed(dataset, registry):
    build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)
    return connect(dataset)


def rows(dataset, *columns: str) -> list[tuple]:
    return read_ledger(dataset, TAGS).select(columns).rows()


def test_the_newest_word_of_a_person_stands_and_those_of_others_beside_it(measured, registry):
    judged(measured, {**LINE, "judgement": "accepted"})
    judged(measured, {**LINE, "judgement": "rejected"}, by="B. Person")
    judged(measured, {**LINE, "corrected": MARKUP, "note": "a d for a t"})
    with refreshed(measured, registry) as connection:
        assert rows(measured, "number", "judgement", "person", "is_latest", "is_current") == [
            (1, "accepted", "A. Person", False, False),
            (2, "rejected", "B. Person", True, True),
            (3, "corrected", "A. Person", True, True),
        ]
        query = (
            "SELECT text, judgement, corrected, judged_by, is_disputed, judgements FROM tagged_texts WHERE plate_id = "
        )
        found = connection.execute(f"{query} 'plate-001' ORDER BY text_id").fetchall()
    first, second = found
    assert first[:5] == ("Snow Bunding", "corrected", MARKUP, "A. Person", True)
    assert [one["judgement"] for one in first[5]] == ["rejected", "corrected"]
    assert second == ("Plate CLXXXIX", None, None, None, None, None)


def test_views_have_each_machine_row_once_as_it_was_measured(measured, registry):
    for person in ("A. Person", "B. Person"):
        judged(measured, {"plate_id": "plate-001", "segment_id": "mask-0002", "judgement": "rejected"}, by=person)
        judged(measured, {"plate_id": "plate-001", "segment_id": "mask-0002", "tag": "stain"}, by=person)
    with refreshed(measured, registry) as connection:
        for table in ("segments", "texts", "detections", "plate_spaces"):
            columns = ", ".join(name for name, *_ in connection.execute(f"DESCRIBE {table}").fetchall())
            kept = f"(SELECT {columns} FROM tagged_{table})"
            for both in (f"{kept} EXCEPT ALL FROM {table}", f"FROM {table} EXCEPT ALL {kept}"):
                assert connection.execute(both).fetchall() == [], table
        found = connection.execute(
            "SELECT judgement, is_disputed, tags, len(judgements) FROM tagged_segments WHERE tags <> []"
        )
        assert found.fetchall() == [("rejected", False, ["stain"], 2)]


def test_tags_of_plates_are_one_row_each_without_what_was_taken_back(measured, registry):
    tagged(measured, "plate-001", MARKUP.replace("\x1b", ""))
    tagged(measured, "plate-001", "torn")
    tagged(measured, "plate-001", "torn", by="B. Person")
    tagged(measured, "plate-002", "torn")
    judged(measured, {"plate_id": "plate-002", "tag": "torn", "judgement": "retracted"})
    with refreshed(measured, registry) as connection:
        found = connection.execute("SELECT plate_id, tag, people FROM plate_tags ORDER BY tag").fetchall()
    assert found == [
        ("plate-001", MARKUP.replace("\x1b", ""), ["A. Person"]),
        ("plate-001", "torn", ["A. Person", "B. Person"]),
    ]


def test_a_judgement_of_an_older_run_or_a_withdrawn_plate_is_kept_and_not_current(measured, registry):
    judged(measured, {**LINE, "judgement": "rejected"})
    tagged(measured, "plate-002", "torn")
    measure(measured, registry, READER, GivenLines("Snow Bunting"), ["plate-001"], is_forced=True)
    withdrawn(measured, "plate", "plate-002")
    build_ledgers(measured, registry)
    assert rows(measured, "plate_id", "is_latest", "is_current") == [
        ("plate-001", True, False),
        ("plate-002", True, False),
    ]


def test_a_cluster_is_judged_as_it_is_now(measured, registry):
    spaces = read_ledger(measured, PLATE_SPACES)
    known = spaces.with_columns(cluster=pl.lit(3, pl.Int64)).filter(pl.col("space") == EMBEDDER)
    known.write_parquet(measured.ledger_dir / "plate_spaces.parquet")
    one = {"plate_id": "plate-001", "space": EMBEDDER}
    with pytest.raises(TagRefused, match=f"plate-001 is in cluster 3 of {EMBEDDER}, not in 4"):
        judged(measured, {**one, "cluster": "4", "judgement": "rejected"})
    (judgement,) = judged(measured, {**one, "corrected": "none"}).content.judgements
    assert (judgement.cluster, judgement.corrected) == (3, "none")
    assert judgement.inputs_sha256 == known["inputs_sha256"][0]
    build_ledgers(measured, registry)  # five plates are too few for a cluster
    assert rows(measured, "cluster", "is_latest", "is_current") == [(3, True, False)]
    with pytest.raises(TagRefused, match=f"is in no cluster of {EMBEDDER}"):
        judged(measured, {**one, "judgement": "accepted"})


@pytest.mark.parametrize(
    ("cells", "error"),
    [
        ({"plate_id": "plate-01", "tag": "torn"}, "no plate 'plate-01' in .* Did you mean plate-001"),
        (
            {**LINE, "text_id": "line-001", "judgement": "accepted"},
            "no 'line-001' in current texts .* Did you mean line-0001",
        ),
        ({**LINE, "run_id": "run-1", "judgement": "accepted"}, "run 'run-1' has no texts of plate-001"),
        ({"plate_id": "plate-001", "detection_id": "box-0001", "judgement": "accepted"}, "no detections of plate-001"),
        ({"plate_id": "plate-001", "space": "fake_embeder", "judgement": "accepted"}, "no space 'fake_embeder'"),
    ],
)
def test_an_unknown_row_is_refused_by_name(measured, cells, error):
    with pytest.raises(TagRefused, match=error):
        judged(measured, cells)
    assert LOG.read(measured.root) == ()


def test_a_row_of_two_current_runs_has_to_name_its_run(dataset, fakes):
    other = fake_spec(SEGMENTER).model_copy(update={"key": "other_segmenter"})
    registry = fake_registry(fake_spec(SEGMENTER), other)
    for key in registry.specs:
        measure(dataset, registry, key, TWO_SEGMENTS, ["plate-001"])
    build_ledgers(dataset, registry)
    one = {"plate_id": "plate-001", "segment_id": "mask-0001", "judgement": "accepted"}
    with pytest.raises(TagRefused, match=r"'mask-0001' is in 2 runs\. Fix: name one by its run_id: run-"):
        judged(dataset, one)
    (run, *_) = sorted(path.name for path in dataset.plate("plate-001").runs_folder.iterdir())
    assert judged(dataset, {**one, "run_id": run}).content.judgements[0].run_id == run


def test_a_selection_of_two_minds_is_refused(measured):
    with pytest.raises(TagRefused, match="contradicts"):
        judged(measured, {**LINE, "judgement": "accepted"}, {**LINE, "judgement": "rejected"})
    assert LOG.read(measured.root) == ()


def test_sealed_files_and_machine_rows_are_not_touched(measured, registry):
    before = {path: path.read_bytes() for path in measured.plates_dir.rglob("*") if path.is_file()}
    tables = build_ledgers(measured, registry)
    judged(
        measured,
        {**LINE, "corrected": "Snow Bunting"},
        {"plate_id": "plate-001", "segment_id": "mask-0001", "judgement": "rejected"},
    )
    after = build_ledgers(measured, registry)
    assert {path: path.read_bytes() for path in measured.plates_dir.rglob("*") if path.is_file()} == before
    assert all(after[name].equals(tables[name]) for name in tables if name != TAGS.name)


def test_the_ledgers_are_behind_a_new_judgement_and_a_rebuild_gives_the_same(measured, registry):
    refreshed(measured, registry).close()
    assert why_behind(measured, registry) == ""
    tagged(measured, "plate-001", "torn")
    assert "the newest is entry 1 of tags" in why_behind(measured, registry)
    refreshed(measured, registry).close()
    assert why_behind(measured, registry) == ""
    kept = read_ledger(measured, TAGS)
    for path in measured.ledger_dir.rglob("*.parquet"):
        path.unlink()
    assert build_ledgers(measured, registry)[TAGS.name].equals(kept)


def test_exports_say_which_words_are_a_persons_and_leave_out_rejected_texts(measured, registry, tmp_path):
    judged(measured, {**LINE, "corrected": MARKUP}, {**LINE, "text_id": "line-0002", "judgement": "rejected"})
    with pytest.raises(ValueError, match=r"the newest is entry 1 of tags.*Fix: atlas run @ledgers"):
        export_ledgers(measured, tmp_path / "early")
    build_ledgers(measured, registry)
    export_ledgers(measured, tmp_path / "out")
    exported = pl.read_parquet(tmp_path / "out" / "tags.parquet")
    assert exported["person"].to_list() == ["A. Person"] * 2
    assert set(pl.read_parquet(tmp_path / "out" / "texts.parquet")["text"]) == {"Snow Bunding", "Plate CLXXXIX"}
    for _ in export_regions(measured, tmp_path / "iiif", find_publishable(measured, SEGMENTER), "https://example.org"):
        pass
    (found,) = json.loads((tmp_path / "iiif" / "plate-001" / "lines.json").read_text())["items"]
    machine, _, person = found["body"]
    assert (machine["value"], "creator" in machine) == ("Snow Bunding", False)
    assert (person["value"], person["format"]) == (MARKUP, "text/plain")
    assert person["creator"] == {"type": "Person", "name": "A. Person"}
    assert len(json.loads((tmp_path / "iiif" / "plate-002" / "lines.json").read_text())["items"]) == 2


def test_an_export_for_commercial_use_has_no_judgement_of_rows_that_it_leaves_out(measured, registry, tmp_path):
    judged(measured, {**LINE, "judgement": "accepted"}, {"plate_id": "plate-002", "tag": "torn"})
    withdrawn(measured, "plate", "plate-002")
    build_ledgers(measured, registry)
    export_ledgers(measured, tmp_path / "all")
    assert pl.read_parquet(tmp_path / "all" / "tags.parquet")["plate_id"].to_list() == ["plate-001"]
    export_ledgers(measured, tmp_path / "out", commercial=True)  # no plate states a licence
    assert pl.read_parquet(tmp_path / "out" / "tags.parquet").is_empty()


def test_a_snapshot_knows_what_stood_then(measured, registry):
    judged(measured, {**LINE, "judgement": "accepted"})
    tagged(measured, "plate-001", "torn")
    create_snapshot(measured, registry, "then")
    judged(measured, {**LINE, "judgement": "rejected"})
    judged(measured, {"plate_id": "plate-001", "tag": "torn", "judgement": "retracted"})
    refreshed(measured, registry).close()
    connection, warnings = connect_as_of(measured, registry, "then")
    with connection:
        assert connection.execute("SELECT judgement, is_current FROM tags ORDER BY number").fetchall() == [
            ("accepted", True),
            ("tag", True),
        ]
        assert connection.execute("SELECT tag FROM plate_tags").fetchall() == [("torn",)]
        assert connection.execute("SELECT judgement FROM tagged_texts WHERE judgement <> ''").fetchall() == [
            ("accepted",)
        ]
    assert warnings == []

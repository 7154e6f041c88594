"""What is wrong with a snapshot is found: in its own files, in its chain, and in the files that it names."""

import shutil

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.rewritten import rewrite_json
from support.verified import findings_in, make_verified

from atlas_resources.snapshots.creating import create_snapshot
from atlas_resources.snapshots.files import read_snapshot, snapshot_path
from atlas_resources.snapshots.signing import public_hex
from atlas_resources.verification.reading import Reader
from atlas_resources.verification.snapshots import verify_named_files, verify_own_files


@pytest.fixture
def verified(tmp_path, fakes):
    dataset, registry = make_verified(tmp_path)
    create_snapshot(dataset, registry, "second")
    return dataset, registry


def of_snapshots(dataset, registry) -> set[tuple[str, str]]:
    found = findings_in(dataset, registry)
    return {(one.kind, one.path) for one in found if one.path.startswith("snapshots/")}


def named(dataset, name: str = "first") -> set[tuple[str, str]]:
    reader = Reader(dataset, "standard")
    return {(one.kind, one.path) for one in verify_named_files(dataset, read_snapshot(dataset, name), reader)}


def test_nothing_is_wrong_with_untouched_snapshots(verified):
    dataset, registry = verified
    assert of_snapshots(dataset, registry) == set()
    assert named(dataset) == set()


def test_a_rewritten_snapshot_is_found_by_the_next_one_and_by_its_signature(verified):
    """The rewriter also wrote a new digest into the file, so that the file alone shows nothing."""
    dataset, registry = verified
    rewrite_json(snapshot_path(dataset, "first"), note="another")
    assert of_snapshots(dataset, registry) == {("altered", "snapshots/first.json"), ("altered", "snapshots/first.sig")}


def test_a_snapshot_with_other_runs_than_its_listing_is_found(verified):
    dataset, registry = verified
    content = read_snapshot(dataset, "second").model_dump(mode="json")
    content["plates"][0]["runs"] = {"fake_embedder": "run-20260101-000000Z-00000000"}
    rewrite_json(snapshot_path(dataset, "second"), plates=content["plates"])
    assert of_snapshots(dataset, registry) == {("schema", "snapshots/second.json")}


def test_strays_and_missing_parts_are_found(verified):
    dataset, registry = verified
    folder = dataset.snapshots_dir
    (folder / "notes.txt").write_text("stray")
    (folder / "second.sig").write_bytes(b"stray")
    (folder / "first.sig").unlink()
    (folder / "second.sha256").unlink()
    (folder / "third.sha256").write_text("")
    assert of_snapshots(dataset, registry) == {
        ("orphan", "snapshots/notes.txt"),
        ("orphan", "snapshots/second.sig"),
        ("missing", "snapshots/first.sig"),
        ("missing", "snapshots/second.sha256"),
        ("unfinished", "snapshots/third.sha256"),
    }


def test_a_deleted_snapshot_is_missed_by_the_next_one(verified):
    dataset, registry = verified
    snapshot_path(dataset, "first").unlink()
    assert ("missing", "snapshots/first.json") in of_snapshots(dataset, registry)


def test_only_the_key_that_signed_it_is_accepted(verified):
    dataset, _ = verified
    key, other = (public_hex(Ed25519PrivateKey.generate().public_key()) for _ in range(2))
    signed_by = read_snapshot(dataset, "first").signed_by
    reader = Reader(dataset, "standard")
    assert verify_own_files(dataset, "first", reader, signed_by) == []
    (wrong,) = verify_own_files(dataset, "first", reader, other)
    assert wrong.problem == f"expected a signature by the key {other}, found by {signed_by}"
    (unsigned,) = verify_own_files(dataset, "second", reader, key)
    assert unsigned.problem == f"expected a signature by the key {key}, found none"


def test_files_that_are_gone_or_changed_since_are_named(verified):
    dataset, _ = verified
    plate = dataset.plate("plate-001")
    run_id = read_snapshot(dataset, "first").plates[0].runs["fake_embedder"]
    vectors = plate.runs_folder / run_id / "embeddings.parquet"
    vectors.write_bytes(vectors.read_bytes()[:-1])
    plate.source_path().chmod(0o644)
    plate.source_path().write_bytes(b"other")
    plate.derived_path("thumbnail.jpg").write_bytes(b"other")
    report = dataset.reports_dir / run_id / "report.json"
    report.unlink()
    shutil.rmtree(dataset.plate("plate-002").folder)
    prefix = "plates_structured/plate-001"
    assert named(dataset) == {
        ("truncated", f"{prefix}/runs/{run_id}/embeddings.parquet"),
        ("altered", f"{prefix}/source/{plate.source_path().name}"),
        ("altered", f"{prefix}/derived/thumbnail.jpg"),
        ("missing", f"reports/{run_id}/report.json"),
        ("missing", "plates_structured/plate-002"),
    }


def test_what_was_added_since_is_not_missed(verified):
    dataset, registry = verified
    from support.made_results import run_instrument

    run_instrument(dataset, registry, "fake_segmenter", is_forced=True)
    assert named(dataset) == set()

"""`atlas verify` finds a deleted, added or changed entry of the logs of people, and what a killed process left."""

import pytest
from support import fake_instruments
from support.verified import findings_in, make_verified

from atlas_resources.files.digests import sha256_of
from atlas_resources.files.durable import write_json_atomically
from atlas_resources.plates.records.withdrawal import LastEntry
from atlas_resources.tags.log import LOG as TAG_LOG
from atlas_resources.withdrawals.log import LOG


@pytest.fixture
def verified(tmp_path, monkeypatch):
    fake_instruments.install(monkeypatch)
    return make_verified(tmp_path)


def test_a_deleted_entry_is_found(verified):
    dataset, registry = verified
    assert findings_in(dataset, registry, "quick") == []
    LOG.paths(dataset.root)[0].unlink()
    (first, *_) = findings_in(dataset, registry, "quick")
    assert (first.kind, first.path[:19]) == ("missing", "withdrawals/000002-")


def test_a_log_that_is_gone_with_its_last_record_is_missed_by_the_ledger(verified):
    dataset, registry = verified
    for path in (dataset.root / "withdrawals").iterdir():
        path.unlink()
    found = findings_in(dataset, registry, "quick")
    assert [one.path for one in found if one.kind == "missing"] == [
        "withdrawals/000001-*.json",
        "withdrawals/000002-*.json",
    ]


def test_an_entry_whose_writer_was_killed_is_unfinished_and_a_stray_file_an_orphan(verified):
    dataset, registry = verified
    folder = dataset.root / "withdrawals"
    first = LOG.paths(dataset.root)[0]
    write_json_atomically(folder / "last.json", LastEntry(number=1, sha256=sha256_of(first)))
    (folder / "notes.txt").write_text("x")
    found = {(finding.kind, finding.path) for finding in findings_in(dataset, registry, "quick")}
    assert found == {("unfinished", "withdrawals/last.json"), ("orphan", "withdrawals/notes.txt")}


def test_a_deleted_tag_is_found_also_if_the_record_of_the_last_is_gone(verified):
    dataset, registry = verified
    (path,) = TAG_LOG.paths(dataset.root)
    path.unlink()
    found = [(one.kind, one.path) for one in findings_in(dataset, registry, "quick") if one.is_fault]
    assert found[0] == ("missing", "tags/000001-*.json")
    (dataset.root / "tags" / "last.json").unlink()
    found = [(one.kind, one.path) for one in findings_in(dataset, registry, "quick") if one.is_fault]
    assert ("missing", "tags/000001-*.json") in found

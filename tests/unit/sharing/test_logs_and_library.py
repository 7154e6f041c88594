"""Logs of two machines are one log; push, pull, verify and publish of a whole library."""

import threading

import pytest
from support.made_datasets import make_dataset
from support.made_stores import memory_store
from support.made_tags import tagged

from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.sharing import worker
from atlas_resources.sharing.comparison import compare, verify_store
from atlas_resources.sharing.publication import NotPublished, publish_catalogue, read_current
from atlas_resources.sharing.transfer import pull, push
from atlas_resources.store.protocol import AlreadyWritten
from atlas_resources.tags.log import LOG

PLATES = ["plate-001", "plate-002", "plate-003"]


@pytest.fixture
def store():
    return memory_store()


@pytest.fixture
def here(tmp_path) -> Dataset:
    return make_dataset(tmp_path / "here", "red", "green", "blue")


@pytest.fixture
def there(tmp_path) -> Dataset:
    made = Dataset(tmp_path / "there" / "atlas")
    made.ensure()
    return made


@pytest.fixture
def joined(here, there, store, monkeypatch):
    """Both folders are copies of the store."""
    push(here, store)
    pull(there, store)
    monkeypatch.setattr(worker, "named_store", lambda: store)
    worker._shared.cache_clear()
    yield here, there
    worker._shared.cache_clear()


def test_a_library_that_was_pushed_is_pulled_whole(here, there, store):
    assert push(here, store).counts["plates"] == 3
    moved = pull(there, store, has_sources=True)
    assert (moved.counts["plates"], moved.counts["sources"]) == (3, 3)
    assert there.plate_ids() == here.plate_ids()
    for plate_id in PLATES:
        assert there.plate(plate_id).source_path().read_bytes() == here.plate(plate_id).source_path().read_bytes()
        assert there.plate(plate_id).source_change() is None
    assert str(push(here, store)) == str(pull(there, store)) == "nothing new"
    assert [problem for problem in verify_store(store, is_deep=True) if problem] == []
    found = compare(there, store)
    assert (found.plates, found.plates_to_push, found.plates_to_pull) == (3, 0, 0)


def test_another_plate_under_the_same_id_is_refused(here, store, tmp_path):
    push(here, store)
    with pytest.raises(AlreadyWritten, match=r"plates_structured/plate-001/source.sha256 has other bytes"):
        push(make_dataset(tmp_path / "other", "gold"), store)


@pytest.mark.parametrize("is_deep", [True, False])
def test_a_source_that_was_altered_in_the_store_is_named(here, store, is_deep):
    push(here, store)
    (key,) = (one.key for one in store.list("plates_structured/plate-002/source/"))
    content = store.read(key)
    store.replace(key, b"x" * len(content.content), content.tag)
    problems = [problem for problem in verify_store(store, is_deep=is_deep) if problem]
    assert [key in problem for problem in problems] == ([True] if is_deep else [])


def test_entries_of_two_machines_follow_each_other(joined):
    here, there = joined
    tagged(here, "plate-001", "birds")
    tagged(there, "plate-001", "water")
    tagged(here, "plate-002", "birds")
    LOG.fetch(there, worker.shared(there).store)  # type: ignore[union-attr] # there is one
    assert [entry.sha256 for entry in LOG.read(here.root)] == [entry.sha256 for entry in LOG.read(there.root)]
    assert len(LOG.read(there.root)) == 3


def test_of_two_machines_that_append_at_once_none_loses_its_entry(joined):
    def append(dataset: Dataset, tag: str) -> None:
        for plate_id in PLATES:
            tagged(dataset, plate_id, tag)

    threads = [threading.Thread(target=append, args=pair) for pair in zip(joined, ("birds", "water"), strict=True)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for dataset in joined:
        LOG.fetch(dataset, worker.shared(dataset).store)  # type: ignore[union-attr] # there is one
    here, there = (LOG.read(dataset.root) for dataset in joined)
    assert [entry.sha256 for entry in here] == [entry.sha256 for entry in there]
    assert sorted((one.plate_id, one.tag) for entry in here for one in entry.content.judgements) == sorted(
        (plate_id, tag) for plate_id in PLATES for tag in ("birds", "water")
    )


def test_logs_that_were_written_apart_are_not_mixed(joined, monkeypatch):
    here, there = joined
    with monkeypatch.context() as alone:
        alone.setattr(worker, "named_store", lambda: None)
        tagged(there, "plate-001", "water")
    tagged(here, "plate-001", "birds")
    with pytest.raises(DatasetBroken, match="both were appended without the other"):
        tagged(there, "plate-002", "water")


def test_the_pointer_names_the_catalogue_that_was_published_last(here, store):
    with pytest.raises(NotPublished, match="does not exist"):
        publish_catalogue(here, store)
    assert read_current(store) is None
    for number, content in enumerate((b"first", b"second"), start=1):
        here.catalogue_path.write_bytes(content)
        key = publish_catalogue(here, store)
        current = read_current(store)
        assert current is not None
        assert (current.catalogue, current.number) == (key, number)
        assert store.read(current.catalogue).content == content

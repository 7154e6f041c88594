"""Every store keeps the same rules: a bucket in memory, a folder, and a real S3 server behind a proxy."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.made_stores import CuttingProxy, memory_store, s3_server, s3_store

from atlas_resources.store import objects
from atlas_resources.store.address import StoreRefused, open_store
from atlas_resources.store.folder import FolderStore
from atlas_resources.store.protocol import AlreadyWritten, Changed, KeyMissing, StoreUnreachable

WRITERS = 12


@pytest.fixture(scope="module")
def server():
    with s3_server() as port:
        yield port


@pytest.fixture(params=["memory", "folder", "s3"])
def store(request, tmp_path):
    if request.param == "memory":
        return memory_store()
    if request.param == "folder":
        return FolderStore(tmp_path / "store")
    return s3_store(request.getfixturevalue("server"))


def test_what_is_written_is_read(store, tmp_path):
    assert store.write_once("plates/a.json", b"a") is True
    assert store.read("plates/a.json").content == b"a"
    assert store.read_to("plates/a.json", tmp_path / "copy") == hashlib.sha256(b"a").hexdigest()
    assert (tmp_path / "copy").read_bytes() == b"a"


def test_a_key_without_bytes_is_named(store, tmp_path):
    with pytest.raises(KeyMissing, match=r"plates/a\.json does not exist"):
        store.read("plates/a.json")
    with pytest.raises(KeyMissing, match=r"plates/a\.json does not exist"):
        store.read_to("plates/a.json", tmp_path / "copy")


def test_a_key_is_written_once(store):
    store.write_once("a", b"first")
    assert store.write_once("a", b"first") is False
    with pytest.raises(AlreadyWritten, match="has other bytes"):
        store.write_once("a", b"second")
    assert store.read("a").content == b"first"


def test_a_large_file_is_written_once_too(store, tmp_path, monkeypatch):
    """Sent in parts; S3's parts have at least 5 MiB."""
    monkeypatch.setattr(objects, "MULTIPART_BYTES", 1 << 20)
    large, other = tmp_path / "large", tmp_path / "other"
    large.write_bytes(b"l" * (17 << 20))
    other.write_bytes(b"o" * (17 << 20))
    assert store.write_once("source", large) is True
    assert store.write_once("source", large) is False
    with pytest.raises(AlreadyWritten):
        store.write_once("source", other)
    assert store.read_to("source", tmp_path / "copy") == hashlib.sha256(large.read_bytes()).hexdigest()
    assert [listed.key for listed in store.list("")] == ["source"]


def test_of_many_that_write_a_key_at_once_one_does(store):
    def write(number: int) -> bool:
        try:
            return store.write_once("a", str(number).encode())
        except AlreadyWritten:
            return False

    with ThreadPoolExecutor(WRITERS) as pool:
        assert sum(pool.map(write, range(WRITERS))) == 1


def test_a_key_that_somebody_changed_is_not_replaced(store):
    first = store.replace("a", b"1", None)
    second = store.replace("a", b"2", first)
    with pytest.raises(Changed):
        store.replace("a", b"3", first)
    with pytest.raises(Changed):
        store.replace("a", b"3", None)
    with pytest.raises(Changed):
        store.replace("b", b"3", second)
    assert store.read("a").content == b"2"
    assert store.read("a").tag == second


def test_of_many_that_replace_a_key_at_once_one_does(store):
    tag = store.replace("a", b"first", None)

    def replace(number: int) -> bool:
        try:
            store.replace("a", str(number).encode(), tag)
        except Changed:
            return False
        return True

    with ThreadPoolExecutor(WRITERS) as pool:
        assert sum(pool.map(replace, range(WRITERS))) == 1


def test_a_list_has_the_keys_under_a_prefix_with_their_sizes(store):
    for key in ("plates/a/1", "plates/a/2", "plates/b/1"):
        store.write_once(key, key.encode())
    assert sorted((one.key, one.size_bytes) for one in store.list("plates/a/")) == [
        ("plates/a/1", 10),
        ("plates/a/2", 10),
    ]
    assert len(list(store.list(""))) == 3
    assert list(store.list("none/")) == []


@pytest.mark.parametrize("key", ["../a", "/a", "a//b", ".hidden"])
def test_a_folder_has_no_key_outside_it(tmp_path, key):
    with pytest.raises(ValueError, match="is no key"):
        FolderStore(tmp_path / "store").write_once(key, b"a")


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("s3://", "is no bucket"),
        ("s3://A_B/c", "is no bucket"),
        ("data/store", "is no store"),
        ("gs://b", "is no store"),
    ],
)
def test_an_address_that_is_none_says_what_one_is(address, problem):
    with pytest.raises(StoreRefused, match=f"{problem}. Fix: give s3://bucket/prefix"):
        open_store(address)


class TestFaults:
    """Against the real server, without obstore's own repetitions."""

    @pytest.fixture
    def proxy(self, server):
        made = CuttingProxy(server)
        yield made
        made.close()

    @pytest.fixture
    def store(self, server, proxy):
        return s3_store(server, through=proxy.port)

    @pytest.mark.parametrize("lost", [1, 3])
    def test_a_write_whose_answer_is_lost_finds_its_own_bytes(self, store, proxy, lost):
        proxy.lost_answers = lost
        store.write_once("a", b"mine")
        assert proxy.lost_answers == 0
        assert store.read("a").content == b"mine"

    def test_a_replacement_whose_answer_is_lost_finds_its_own_bytes(self, store, proxy):
        tag = store.replace("a", b"1", None)
        proxy.lost_answers = 1
        tag = store.replace("a", b"2", tag)
        assert store.replace("a", b"3", tag) == store.read("a").tag

    def test_a_write_that_is_cut_is_tried_again(self, store, proxy):
        proxy.cut = 2
        assert store.write_once("a", b"mine") is True
        assert store.read("a").content == b"mine"

    def test_a_store_that_never_answers_says_how_to_fix_it(self, store, proxy):
        proxy.cut = objects.TRIES
        with pytest.raises(StoreUnreachable, match=r"Fix: check ATLAS_STORE, AWS_ENDPOINT_URL"):
            store.write_once("a", b"mine")
        with pytest.raises(KeyMissing):
            store.read("a")

    def test_a_large_file_that_is_cut_leaves_no_key(self, store, proxy, tmp_path, monkeypatch):
        monkeypatch.setattr(objects, "MULTIPART_BYTES", 1 << 20)
        large = tmp_path / "large"
        large.write_bytes(b"l" * (17 << 20))
        proxy.cut = 100
        with pytest.raises(StoreUnreachable):
            store.write_once("source", large)
        proxy.cut = 0
        with pytest.raises(KeyMissing):
            store.read("source")
        assert store.write_once("source", large) is True

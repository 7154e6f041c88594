"""Downloads that are cut, continued, changed meanwhile or hostile: a file is whole and checked, or it is not there."""

import itertools
import shutil
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.hub_server import Fault
from support.made_pulls import IMPATIENT, Archive, archive, only_loopback
from support.scan_server import MODIFIED
from support.socket_server import answering_requests

from atlas_resources.acquisition.download import download
from atlas_resources.acquisition.store import Item
from atlas_resources.acquisition.wanted import MAX_NAME_BYTES, Document, WantedScan, safe_name
from atlas_resources.downloads.client import Manners, Session, Visit, open_session
from atlas_resources.downloads.errors import AnswerRefused, DownloadFailed
from atlas_resources.plates.intake.index.columns import Columns

__all__ = ["archive", "only_loopback"]  # fixtures

pytestmark = [pytest.mark.timeout(120), pytest.mark.usefixtures("only_loopback")]
CONTENT = bytes(range(1, 251)) * 40  # 10,000 bytes
MAX_BYTES = 1 << 20


def wanted(url: str, **fields: object) -> WantedScan:
    return WantedScan("line 2", url, "a.png", (), Document("plates.csv", "0" * 64), Columns(None, {}, ()), **fields)  # type: ignore[arg-type] # of each field


@contextmanager
def session() -> Iterator[Session]:
    with open_session(Visit(Manners("test", 1000.0, is_private_allowed=True, patience=IMPATIENT))) as opened:
        yield opened


def fetch(item: Item, scan: WantedScan, max_bytes: int = MAX_BYTES) -> list[int]:
    received: list[int] = []
    with session() as opened:
        download(opened, scan, item, max_bytes, received.append)
    return received


@pytest.fixture
def item(tmp_path: Path) -> Item:
    return Item(tmp_path / "pull" / "key", "a.png")


def test_a_file_is_whole_with_its_digest_and_validators(archive: Archive, item: Item):
    archive.server.files["/a"] = CONTENT
    received = fetch(item, wanted(archive.server.url("/a")))
    assert sum(received) == len(CONTENT)
    assert item.finished.read_bytes() == CONTENT
    state = item.state()
    assert state is not None
    assert (state.size_bytes, state.last_modified) == (10_000, MODIFIED)
    assert state.sha256
    assert state.retrieved_at
    assert not item.part.exists()


def test_a_cut_body_is_continued_where_it_ended(archive: Archive, item: Item):
    archive.server.files["/a"] = CONTENT
    archive.server.faults = [Fault("GET", "/a", cut=3000)]
    assert sum(fetch(item, wanted(archive.server.url("/a")))) == len(CONTENT)
    assert item.finished.read_bytes() == CONTENT
    assert archive.server.ranges("/a") == [None, "bytes=3000-"]
    assert archive.server.requests[1].headers["if-range"].startswith('"')


def test_a_part_of_an_earlier_call_is_continued(archive: Archive, item: Item):
    archive.server.files["/a"] = CONTENT
    archive.server.faults = [Fault("GET", "/a", cut=1000, times=1), Fault("GET", "/a", status=404)]
    with pytest.raises(DownloadFailed):
        fetch(item, wanted(archive.server.url("/a")))
    assert item.part_bytes() == 1000
    assert not item.finished.exists()
    assert sum(fetch(item, wanted(archive.server.url("/a")))) == 9000
    assert item.finished.read_bytes() == CONTENT


def cut_once(archive: Archive, item: Item, size: int = 1000) -> None:
    """Leaves a part of /a."""
    archive.server.files["/a"] = CONTENT
    archive.server.faults = [Fault("GET", "/a", cut=size), Fault("GET", "/a", status=404)]
    with pytest.raises(DownloadFailed):
        fetch(item, wanted(archive.server.url("/a")))
    assert item.part_bytes() == size
    archive.server.requests.clear()


def test_a_file_that_changed_meanwhile_is_fetched_from_its_beginning(archive: Archive, item: Item):
    cut_once(archive, item)
    archive.server.files["/a"] = CONTENT[::-1]
    fetch(item, wanted(archive.server.url("/a")))
    assert item.finished.read_bytes() == CONTENT[::-1]


def test_a_file_that_became_shorter_than_its_part_is_fetched_from_its_beginning(archive: Archive, item: Item):
    """The server ignores If-Range, and refuses the range."""
    cut_once(archive, item, 5000)
    archive.server.files["/a"] = CONTENT[:200]
    state = item.state()
    assert state is not None
    item.write_state(state.model_copy(update={"etag": None}))  # Last-Modified is the same for every file of the server
    fetch(item, wanted(archive.server.url("/a")))
    assert item.finished.read_bytes() == CONTENT[:200]
    assert archive.server.ranges("/a") == ["bytes=5000-", None]


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_a_part_without_a_strong_validator_is_not_continued(etag: str | None, archive: Archive, item: Item):
    archive.server.sends_modified = False
    cut_once(archive, item)
    state = item.state()
    assert state is not None
    item.write_state(state.model_copy(update={"etag": etag}))
    fetch(item, wanted(archive.server.url("/a")))
    assert archive.server.ranges("/a") == [None]
    assert item.finished.read_bytes() == CONTENT


def test_a_server_without_ranges_sends_the_whole_file_again(archive: Archive, item: Item):
    cut_once(archive, item)
    archive.server.answers_ranges = False
    fetch(item, wanted(archive.server.url("/a")))
    assert item.finished.read_bytes() == CONTENT


@pytest.mark.parametrize("text", ["", "{", '{"url": 3}', "null"])
def test_a_broken_state_begins_anew(text: str, archive: Archive, item: Item):
    cut_once(archive, item)
    item.state_path.write_text(text)
    fetch(item, wanted(archive.server.url("/a")))
    assert item.finished.read_bytes() == CONTENT


def test_a_state_with_a_flipped_bit_begins_anew(archive: Archive, item: Item):
    cut_once(archive, item)
    item.state_path.write_bytes(item.state_path.read_bytes().replace(b'"size_bytes": 10000', b'"size_bytes": 10001'))
    assert item.state() is None
    fetch(item, wanted(archive.server.url("/a")))
    assert item.finished.read_bytes() == CONTENT


def test_a_finished_file_whose_digest_was_not_recorded_is_checked_without_a_request(archive: Archive, item: Item):
    archive.server.files["/a"] = CONTENT
    scan = wanted(archive.server.url("/a"))
    fetch(item, scan)
    state = item.state()
    assert state is not None
    item.write_state(state.model_copy(update={"sha256": None, "retrieved_at": None}))
    assert fetch(item, scan) == []
    assert (recorded := item.state()) is not None
    assert recorded.sha256 == state.sha256
    assert len(archive.server.requests) == 1


def test_a_finished_file_that_was_altered_is_removed(archive: Archive, item: Item):
    archive.server.files["/a"] = CONTENT
    fetch(item, wanted(archive.server.url("/a")))
    item.finished.write_bytes(CONTENT[:50])
    with pytest.raises(AnswerRefused, match=r"was changed in plates/\.pull by something else"):
        fetch(item, wanted(archive.server.url("/a")))
    assert not item.folder.exists()


@pytest.mark.parametrize("limit", [9_999, 1])
def test_a_file_beyond_the_limit_is_refused_and_nothing_is_kept(limit: int, archive: Archive, item: Item):
    archive.server.files["/a"] = CONTENT
    with pytest.raises(AnswerRefused, match="Raise --max-megabytes"):
        fetch(item, wanted(archive.server.url("/a")), limit)
    assert not item.folder.exists()


def test_a_file_of_exactly_the_limit_is_accepted(archive: Archive, item: Item):
    archive.server.files["/a"] = CONTENT
    fetch(item, wanted(archive.server.url("/a")), len(CONTENT))
    assert item.finished.read_bytes() == CONTENT


def test_a_disk_without_room_is_reported_before_the_body(archive: Archive, item: Item, monkeypatch: pytest.MonkeyPatch):
    archive.server.files["/a"] = CONTENT
    usage = shutil.disk_usage(item.folder.anchor)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=9_999))
    with pytest.raises(DownloadFailed, match="10,000 bytes are missing and 9,999 are free in "):
        fetch(item, wanted(archive.server.url("/a")))


@contextmanager
def serving(answer: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """The address of a file on a server that answers each connection's one request as the function does."""
    with answering_requests(answer) as url:
        yield f"{url}/a"


@pytest.mark.parametrize("states_size", [True, False])
def test_an_endless_body_is_cut_and_nothing_is_kept(states_size: bool, item: Item):
    sent: list[int] = []

    def answer(connection: socket.socket, request: bytes) -> None:
        length = b"Content-Length: 3000000000\r\n" if states_size else b""
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n" + length + b"\r\n")
        while True:
            sent.append(connection.send(b"x" * 65536))

    with serving(answer) as url, pytest.raises(AnswerRefused, match="the limit is 1,048,576"):
        fetch(item, wanted(url))
    assert sum(sent) < 32 << 20  # what fits into the buffers of a connection
    assert not item.folder.exists()


@pytest.mark.parametrize("answered", ["bytes 0-9999/10000", "bytes 999-9999/10000", "bytes */10000", "x", None])
def test_a_range_that_was_not_asked_for_is_never_appended(answered: str | None, archive: Archive, item: Item):
    cut_once(archive, item)

    def answer(connection: socket.socket, request: bytes) -> None:
        if b"Range: bytes=" in request:
            header = b"" if answered is None else f"Content-Range: {answered}\r\n".encode()
            connection.sendall(b"HTTP/1.1 206 P\r\nContent-Length: 5\r\n" + header + b"Connection: close\r\n\r\nwrong")
        else:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10000\r\nConnection: close\r\n\r\n" + CONTENT)

    with serving(answer) as url:
        state = item.state()
        assert state is not None
        item.write_state(state.model_copy(update={"url": url}))
        fetch(item, wanted(url))
    assert item.finished.read_bytes() == CONTENT


def test_a_rest_that_is_longer_than_the_file_is_refused(archive: Archive, item: Item):
    cut_once(archive, item)

    def answer(connection: socket.socket, request: bytes) -> None:
        head = b"HTTP/1.1 206 P\r\nContent-Range: bytes 1000-9999/10000\r\nConnection: close\r\n\r\n"
        connection.sendall(head + b"x" * 9001)

    with serving(answer) as url:
        state = item.state()
        assert state is not None
        item.write_state(state.model_copy(update={"url": url}))
        with pytest.raises(AnswerRefused, match="sends more than the file's 10,000 bytes"):
            fetch(item, wanted(url))
    assert not item.folder.exists()


def test_odd_validators_are_not_kept(archive: Archive, item: Item):
    def answer(connection: socket.socket, request: bytes) -> None:
        connection.sendall(
            b'HTTP/1.1 200 OK\r\nETag: "' + b"e" * 500 + b'"\r\nLast-Modified: \xff\r\nContent-Length: 1\r\n\r\nx'
        )

    with serving(answer) as url:
        fetch(item, wanted(url))
    assert (state := item.state()) is not None
    assert (state.etag, state.last_modified) == (None, None)


def test_one_host_is_asked_by_so_many_threads_at_a_time_and_each_scan_once(archive: Archive):
    for number in range(12):
        archive.add_scan(f"{number}.png", (number, 9, 9))
    archive.server.faults = [Fault("GET", f"/{number}.png", cut=50) for number in range(12)]
    assert archive.pull("--per-host", 3).exit_code == 0
    assert archive.server.most_at_once <= 3
    assert set(Counter(archive.server.paths()).values()) == {2}  # cut, and continued
    assert len(archive.dataset.plate_ids()) == 12


@given(st.text(max_size=300), st.text(max_size=300))
def test_a_safe_name_is_one_part_of_a_path(stated: str, path: str):
    name = safe_name(
        stated.encode(errors="replace").decode(), "http://x.example/" + path.encode(errors="replace").decode()
    )
    assert name == Path(name).name
    assert name not in {"", ".", ".."}
    assert len(name.encode()) <= MAX_NAME_BYTES
    assert name.isprintable()
    assert not name.startswith(".")


def test_bytes_are_counted_once(archive: Archive, item: Item):
    archive.server.files["/a"] = CONTENT
    assert list(itertools.accumulate(fetch(item, wanted(archive.server.url("/a")))))[-1] == 10_000

"""The polite client: addresses it refuses, redirects, pauses, the pace of each host, and hostile answers."""

import gzip
import itertools
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from support.hub_server import Fault
from support.made_hubs import only_loopback
from support.made_pulls import HURRIED, IMPATIENT
from support.scan_server import ScanServer, running_scan_server
from support.socket_server import LONG_SECONDS, answering, drip, hang

from atlas_resources.downloads.addresses import redirected, require_address, require_public
from atlas_resources.downloads.client import Manners, Session, Visit, open_session
from atlas_resources.downloads.errors import AddressRefused, AnswerRefused, DownloadFailed, Stopped
from atlas_resources.downloads.pace import Pace
from atlas_resources.downloads.patience import PATIENCE, retry_after_seconds, wait_seconds

__all__ = ["only_loopback"]  # a fixture

pytestmark = [pytest.mark.timeout(60), pytest.mark.usefixtures("only_loopback")]


@contextmanager
def session(**manners: object) -> Iterator[Session]:
    settings = {"is_private_allowed": True, "requests_per_second": 1000.0, "patience": IMPATIENT, **manners}
    with open_session(Visit(Manners("test", **settings))) as opened:  # type: ignore[arg-type] # of each field
        yield opened


@pytest.fixture
def server() -> Iterator[ScanServer]:
    with running_scan_server() as running:
        running.files["/a"] = b"content"
        yield running


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("file:///etc/passwd", "is not an address that begins with http:// or https://"),
        ("ftp://x.example/a", "is not an address that begins with"),
        ("//x.example/a", "is not an address that begins with"),
        ("http:///a", "is not an address that begins with"),
        ("a.png", "is not an address that begins with"),
        ("http://user@x.example/", "the address at 'x.example' has a user name or password"),
        ("http://:word@x.example/", "the address at 'x.example' has a user name or password"),
        ("http://x.example/a b", "has a space or a control character"),
        ("http://x.example/\n", "has a space or a control character"),
        ("http://x.example:99999/", "is not an address: "),
        ("http://[::1/", "is not an address: "),
        (f"http://x.example/{'a' * 5000}", "has 5,017 characters; the limit is 4,096"),
    ],
)
def test_an_address_that_is_not_fetched_from_is_refused_before_any_connection(address: str, reason: str):
    with session() as opened, pytest.raises(AddressRefused) as refused:
        opened.read_bytes(address, 100)
    assert reason in str(refused.value)
    assert "word@" not in str(refused.value)


@pytest.mark.parametrize("address", ["https://x.example/ü?a=[1]", "HTTP://X.example:8080/a%20b", "http://[::1]/a"])
def test_an_address_is_accepted(address: str):
    assert require_address(address) == address


@pytest.mark.parametrize(
    ("location", "reason"),
    [
        ("file:///etc/passwd", "is not an address that begins with http:// or https://"),
        ("http://user:word@127.0.0.1/", "has a user name or password"),
        ("gopher://127.0.0.1/", "is not an address that begins with"),
        ("http://[", "is redirected, and "),
    ],
)
def test_a_redirect_to_what_is_not_fetched_from_is_refused(location: str, reason: str, server: ScanServer):
    server.redirects["/r"] = location
    with session() as opened, pytest.raises(AddressRefused) as refused:
        opened.read_bytes(server.url("/r"), 100)
    assert reason in str(refused.value)
    assert server.paths() == ["/r"]


def test_a_redirect_from_https_to_http_is_refused():
    assert redirected("http://x.example/a", "https://y.example/b") == "https://y.example/b"
    assert redirected("https://x.example/a", "/b") == "https://x.example/b"
    with pytest.raises(AddressRefused, match=r"from https to http, to 'y\.example'"):
        redirected("https://x.example/a", "http://y.example/b")


def test_redirects_are_followed_to_other_hosts_and_five_times_at_most(server: ScanServer):
    with running_scan_server() as other:
        other.files["/there"] = b"there"
        server.redirects |= {"/r0": "/r1", "/r1": "/r2", "/r2": "/r3", "/r3": "/r4", "/r4": other.url("/there")}
        server.redirects |= {"/round": "/round"}
        with session() as opened:
            assert opened.read_bytes(server.url("/r0"), 100) == b"there"
            with pytest.raises(AddressRefused, match="is redirected more than 5 times"):
                opened.read_bytes(server.url("/round"), 100)
    assert server.paths().count("/round") == 6


def test_this_machine_and_private_networks_are_refused_unless_they_are_allowed(server: ScanServer):
    with session(is_private_allowed=False) as opened, pytest.raises(AddressRefused) as refused:
        opened.read_bytes(server.url("/a"), 100)
    assert str(refused.value).startswith("leads to 127.0.0.1, which is this machine or in a private network. Fix: ")
    assert server.requests == []  # the connection is closed before anything is sent


@pytest.mark.parametrize(
    "peer",
    ["127.0.0.1", "10.0.0.1", "192.168.1.1", "172.16.0.1", "169.254.169.254", "100.64.0.1", "0.0.0.0",  # noqa: S104
     "::1", "fe80::1%eth0", "fd00::1", "::ffff:127.0.0.1", "224.0.0.1"],
)  # fmt: skip
def test_a_peer_that_is_not_public_is_refused(peer: str):
    with pytest.raises(AddressRefused):
        require_public(Connected(peer))


@pytest.mark.parametrize("peer", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946", "::ffff:93.184.216.34"])
def test_a_public_peer_is_accepted(peer: str):
    assert require_public(Connected(peer)) is None  # raises for any other


class Connected(socket.socket):
    """A socket that says it is connected to an address."""

    def __init__(self, peer: str):
        super().__init__()
        self.peer = peer
        self.close()

    def getpeername(self) -> tuple[str, int]:
        return self.peer, 80


def test_a_proxy_is_used_only_if_it_is_given(server: ScanServer, monkeypatch: pytest.MonkeyPatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with session() as opened:
        assert opened.read_bytes(server.url("/a"), 100) == b"content"
    server.files["http://x.invalid/a"] = b"by proxy"
    with session(proxy=server.endpoint, is_private_allowed=False) as opened:
        assert opened.read_bytes("http://x.invalid/a", 100) == b"by proxy"


def test_no_cookie_and_no_password_of_netrc_is_sent(
    server: ScanServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password word\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    server.faults = [Fault("GET", "/a", status=503, headers={"Set-Cookie": "id=1", "Retry-After": "0"})]
    with session() as opened:
        opened.read_bytes(server.url("/a"), 100)
        opened.read_bytes(server.url("/a"), 100)
    assert len(server.requests) == 3
    assert not any({"cookie", "authorization"} & set(one.headers) for one in server.requests)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_failure_that_may_pass_is_tried_again(status: int, server: ScanServer):
    server.faults = [Fault("GET", "/a", status=status, times=2)]
    with session() as opened:
        assert opened.read_bytes(server.url("/a"), 100) == b"content"
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("status", "reason"),
    [(401, "access is refused (401)"), (403, "access is refused (403)"), (404, "there is no such file (404)"),
     (410, "there is no such file (410)"), (400, "answered 400, tried 1 times"), (204, "answered 204, tried 1 times")],
)  # fmt: skip
def test_a_failure_that_does_not_pass_is_not_tried_again(status: int, reason: str, server: ScanServer):
    server.faults = [Fault("GET", "/a", status=status, times=5)]
    with session() as opened, pytest.raises(DownloadFailed) as refused:
        opened.read_bytes(server.url("/a"), 100)
    assert reason in str(refused.value)
    assert len(server.requests) == 1


def test_retry_after_is_honoured_by_all_requests_to_the_host(server: ScanServer):
    server.files["/b"] = b"b"
    server.faults = [Fault("GET", "/a", status=429, headers={"Retry-After": "1"})]
    visit, times = Visit(Manners("test", 1000.0, 2, is_private_allowed=True, patience=IMPATIENT)), {}

    def fetch(path: str) -> None:
        with open_session(visit) as opened:
            opened.read_bytes(server.url(path), 100)
        times[path] = time.monotonic()

    started = time.monotonic()
    first = threading.Thread(target=fetch, args=("/a",))
    first.start()
    while not server.requests:
        time.sleep(0.01)
    time.sleep(0.1)  # until the client has the answer
    fetch("/b")
    first.join()
    assert times["/a"] - started >= 1
    assert times["/b"] - started >= 1


def test_a_longer_wait_than_is_patient_ends_the_tries(server: ScanServer):
    server.faults = [Fault("GET", "/a", status=429, headers={"Retry-After": "86400"})]
    with (
        session() as opened,
        pytest.raises(DownloadFailed, match=r"asks to wait 86,400 seconds \(429\), tried 1 times"),
    ):
        opened.read_bytes(server.url("/a"), 100)


@pytest.mark.parametrize(
    ("header", "expected"),
    [("120", 120), (" 0 ", 0), ("Sun, 29 Nov 2026 00:02:00 GMT", 120), ("Sat, 28 Nov 2026 00:00:00 GMT", 0),
     ("soon", None), ("-5", None), ("", None), ("1e9", None), ("9" * 5000, None)],
)  # fmt: skip
def test_retry_after_is_a_number_or_a_date(header: str, expected: int | None):
    assert retry_after_seconds(header, datetime(2026, 11, 29, tzinfo=UTC)) == expected


def test_waits_double_and_end():
    waits = [wait_seconds(tried, PATIENCE, 500) for tried in range(1, 6)]
    assert waits == [1, 2, 4, 8, None]


def test_a_host_gets_so_many_requests_in_a_second_and_at_a_time():
    pace, times, under_way = Pace(requests_per_second=20, per_host=2), [], [0, 0]
    lock = threading.Lock()

    def ask() -> None:
        with pace.slot("x.example", lambda: None):
            with lock:
                times.append(time.monotonic())
                under_way[0] += 1
                under_way[1] = max(under_way)
            time.sleep(0.12)
            with lock:
                under_way[0] -= 1

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    with pace.slot("other.example", lambda: None):
        assert time.monotonic() - min(times) < 0.2  # another host does not wait for this one
    for thread in threads:
        thread.join()
    assert under_way[1] == 2
    gaps = [later - earlier for earlier, later in itertools.pairwise(sorted(times))]
    assert min(gaps) >= 0.045


def test_a_compressed_answer_is_refused_and_not_unpacked(server: ScanServer):
    bomb = gzip.compress(bytes(10 << 20))
    server.faults = [Fault("GET", "/a", status=200, body=bomb, headers={"Content-Encoding": "gzip"})]
    with session() as opened, pytest.raises(AnswerRefused, match=r"the answer is compressed \('gzip'\)"):
        opened.read_bytes(server.url("/a"), 1 << 30)
    assert server.requests[0].headers["accept-encoding"] == "identity"


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The address of a file on a server that answers every connection as the function does."""
    with answering(answer) as address:
        yield f"{address}/a"


def test_an_endless_body_is_cut(server: ScanServer):
    sent: list[int] = []

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            sent.append(connection.send(b"x" * 65536))

    with serving(answer) as address, session() as opened, pytest.raises(AnswerRefused, match="the limit is 1,000"):
        opened.read_bytes(address, 1000)
    assert sum(sent) < 32 << 20  # what fits into the buffers of a connection


def test_a_slow_body_is_cut_each_time_it_is_tried():
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        drip(connection, itertools.repeat(b" "))

    started = time.monotonic()
    with serving(answer) as address, session(patience=HURRIED) as opened, pytest.raises(DownloadFailed) as refused:
        opened.read_bytes(address, 1 << 20)
    assert time.monotonic() - started < LONG_SECONDS
    assert "tried 2 times; one that brings less than 1,000 bytes in 0.4 seconds is cut off" in str(refused.value)


def test_the_end_of_the_time_ends_a_request_that_waits():
    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        drip(connection, itertools.repeat(b" " * 10), 0.02)

    with serving(answer) as address, session(total_seconds=0.5) as opened, pytest.raises(Stopped, match="--max-hours"):
        opened.read_bytes(address, 1 << 20)


def test_stopping_ends_a_request_that_waits_for_bytes_at_once():
    is_waiting = threading.Event()

    def answer(connection: socket.socket) -> None:
        is_waiting.set()
        hang(connection)

    with serving(answer) as address, session() as opened:
        timer = threading.Thread(target=lambda: (is_waiting.wait(10), time.sleep(0.2), opened.visit.stop()))
        timer.start()
        started = time.monotonic()
        with pytest.raises(Stopped, match="was stopped"):
            opened.read_bytes(address, 100)
        timer.join()
    assert time.monotonic() - started < LONG_SECONDS


def test_a_host_that_is_not_there_is_reported_with_the_tries():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/a"
    with (
        session() as opened,
        pytest.raises(DownloadFailed, match=r"the connection failed \(ConnectError\), tried 3 times"),
    ):
        opened.read_bytes(address, 100)

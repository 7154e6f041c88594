"""A body goes to the stated address and to no other, once, and within its time."""

import itertools
import socket
import time
from http.server import BaseHTTPRequestHandler

import pytest
from support.loopback import address, serving_http
from support.socket_server import LONG_SECONDS, answering, drip, hang

from atlas_resources.watching.sending import NotSent, require_address, send


def redirecting(found: list[str]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            found.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    return Handler


def test_a_redirect_is_not_followed():
    found: list[str] = []
    with serving_http(redirecting(found)) as server, pytest.raises(NotSent, match="answered 302"):
        send("PUT", f"{address(server)}/first", b"{}", {})
    assert found == ["/first"]


def test_a_proxy_of_the_environment_is_not_used(monkeypatch):
    found: list[str] = []
    with serving_http(redirecting(found)) as server:
        for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, address(server))
        with pytest.raises(NotSent, match="cannot be reached"):
            send("PUT", "http://127.0.0.1:9/secret", b"", {}, seconds=2)
    assert found == []


def drip_headers(connection: socket.socket) -> None:
    connection.send(b"HTTP/1.1 200 OK\r\n")
    drip(connection, itertools.repeat(b"x: y\r\n"))


@pytest.mark.parametrize("answer", [drip_headers, hang], ids=["drips", "hangs"])
def test_a_server_that_takes_for_ever_is_left_in_time(answer):
    started = time.monotonic()
    with answering(answer) as url, pytest.raises(NotSent, match=r"did not answer within 0.4 s"):
        send("POST", f"{url}/secret", b"", {}, seconds=0.4)
    assert time.monotonic() - started < LONG_SECONDS


def test_an_endless_body_of_an_answer_is_not_read():
    def endless(connection: socket.socket) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.send(b"4\r\naaaa\r\n")

    started = time.monotonic()
    with answering(endless) as url:
        send("POST", url, b"", {}, seconds=3 * LONG_SECONDS)
    assert time.monotonic() - started < LONG_SECONDS


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/x", "http://example.org", "http://127.0.0.1.example.org", "http://[::2]/"]
)
def test_another_machine_needs_https(url: str):
    with pytest.raises(ValueError, match="expected https"):
        require_address(url)
    require_address(url, is_unencrypted_allowed=True)


@pytest.mark.parametrize("url", ["", "x", "file:///etc/passwd", "http://", "127.0.0.1:9091"])
def test_what_is_no_address_is_refused(url: str):
    with pytest.raises(ValueError, match="expected an http or https address"):
        require_address(url, is_unencrypted_allowed=True)

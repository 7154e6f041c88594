"""A server of scans and IIIF documents on 127.0.0.1, with ranges and validators as RFC 9110 has them.

It records every request and fails on demand, as `hub_server` does; its faults are the same.
"""

import hashlib
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler
from typing import Any

from support.hub_server import FakeHub, Fault, Request
from support.loopback import address, serving_http

MODIFIED = formatdate(1_790_000_000, usegmt=True)


@dataclass
class ScanServer(FakeHub):
    """What the server has and does.

    Attributes:
        files: content by path, such as "/a.png".
        redirects: where a path leads, by path.
        sends_etag: and a strong one.
        sends_modified: Last-Modified.
        most_at_once: the most requests that were under way at the same time.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    sends_etag: bool = True
    sends_modified: bool = True
    under_way: int = 0
    most_at_once: int = 0
    lock: Any = field(default_factory=threading.Lock)

    def url(self, path: str) -> str:
        return self.endpoint + path

    def paths(self) -> list[str]:
        """The paths that were asked for, in order."""
        return [request.path for request in self.requests]

    def ranges(self, path: str) -> list[str | None]:
        return [request.headers.get("range") for request in self.asked("GET", path)]


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: ScanServer

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""

    def do_GET(self) -> None:
        fake = self.fake
        with fake.lock:
            fake.under_way += 1
            fake.most_at_once = max(fake.most_at_once, fake.under_way)
        try:
            self._answer()
        finally:
            with fake.lock:
                fake.under_way -= 1

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        with self.fake.lock:
            self.fake.requests.append(Request(self.fake.endpoint, self.command, self.path, headers))
            fault = self.fake.next_fault(self.command, self.path)
        path = self.path.split("?", maxsplit=1)[0]
        if fault and fault.status:
            self._send(fault.status, {"Content-Length": str(len(fault.body)), **fault.headers}, fault.body)
        elif path in self.fake.redirects:
            self._send(302, {"Content-Length": "0", "Location": self.fake.redirects[path]}, b"")
        elif path in self.fake.files:
            self._send_file(self.fake.files[path], fault)
        else:
            self._send(404, {"Content-Length": "9"}, b"Not found")

    def _send(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _send_file(self, content: bytes, fault: Fault | None) -> None:
        if fault and fault.wrong:
            content = bytes(255 - byte for byte in content)
        validators = {}
        if self.fake.sends_etag:
            validators["ETag"] = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
        if self.fake.sends_modified:
            validators["Last-Modified"] = MODIFIED
        start, status = self._start(content, validators), 200
        headers = {"Content-Type": "application/octet-stream", **validators}
        if start >= len(content) > 0:
            self._send(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"}, b"")
            return
        if start:
            status, headers["Content-Range"] = 206, f"bytes {start}-{len(content) - 1}/{len(content)}"
        body = content[start:]
        if fault is None or fault.cut is None:
            self._send(status, {**headers, "Content-Length": str(len(body))}, body)
            return
        self._send(status, {**headers, "Content-Length": str(len(body))}, body[: fault.cut])
        self.wfile.flush()
        if fault.stalls:
            self.fake.is_ending.wait(60)
        self.close_connection = True

    def _start(self, content: bytes, validators: dict[str, str]) -> int:
        """Where the answer begins: the range counts only while If-Range names the file as it is."""
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        if asked is None or not self.fake.answers_ranges or (condition and condition not in validators.values()):
            return 0
        return int(asked[1])


@contextmanager
def running_scan_server() -> Iterator[ScanServer]:
    """Runs the server until the block ends."""
    fake = ScanServer()
    with serving_http(type("Answer", (_Answer,), {"fake": fake})) as server:
        fake.endpoint = address(server)
        try:
            yield fake
        finally:
            fake.is_ending.set()

"""Stores for tests: in memory, with faults, and a real S3 server behind a proxy that cuts connections."""

import http.client
import itertools
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from obstore.store import MemoryStore, S3Store

from atlas_resources.store.objects import ObjectStore
from atlas_resources.store.protocol import Listed, Stored, StoreUnreachable

BUCKET = "plates"
PROJECT = Path(__file__).resolve().parents[2]


def memory_store() -> ObjectStore:
    """An empty store in this process's memory, with conditional writes as of a bucket."""
    return ObjectStore(MemoryStore(), "memory")


class Faulty:
    """A store whose faults are switched on by a test.

    Attributes:
        lost_answers: how many of the next writes succeed without the caller hearing of it.
        cut: how many of the next writes fail before they reach the store.
        late: how many of the newest keys lists do not have yet.
    """

    def __init__(self, store: ObjectStore):
        self.address = store.address
        self.lost_answers = self.cut = self.late = 0
        self.written: list[str] = []
        self._store = store

    def read(self, key: str) -> Stored:
        return self._store.read(key)

    def read_to(self, key: str, path: Path) -> str:
        return self._store.read_to(key, path)

    def write_once(self, key: str, content: bytes | Path) -> bool:
        self._cut(key)
        is_new = self._store.write_once(key, content)
        self._note(key, is_new)
        return is_new

    def replace(self, key: str, content: bytes, tag: str | None) -> str:
        self._cut(key)
        new_tag = self._store.replace(key, content, tag)
        self._note(key, tag is None)
        return new_tag

    def list(self, prefix: str) -> Iterator[Listed]:
        unseen = set(self.written[len(self.written) - self.late :]) if self.late else set()
        return (listed for listed in self._store.list(prefix) if listed.key not in unseen)

    def _cut(self, key: str) -> None:
        if self.cut:
            self.cut -= 1
            raise StoreUnreachable(f"{key}: cut")

    def _note(self, key: str, is_new: bool) -> None:
        if is_new:
            self.written.append(key)
        if self.lost_answers:
            self.lost_answers -= 1
            raise StoreUnreachable(f"{key}: the answer was lost")


def moto_program() -> str | None:
    """The S3 server: ATLAS_TEST_MOTO, else that of `make s3`, else on the PATH."""
    made = PROJECT / "build" / "s3" / "bin" / "moto_server"
    return os.environ.get("ATLAS_TEST_MOTO") or (str(made) if made.is_file() else shutil.which("moto_server"))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


@contextmanager
def s3_server() -> Iterator[int]:
    """A real S3 server on loopback; yields its port. Skips the test where there is none."""
    program = moto_program()
    if program is None:
        pytest.skip("no moto_server: `make s3` installs one in build/s3")
    port = free_port()
    python, script = Path(program).with_name("python"), Path(__file__).with_name("moto_in_turn.py")
    started = subprocess.Popen([python, script, str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 120
        while True:
            assert time.monotonic() < deadline, "the S3 server does not start"
            with socket.socket() as found:
                if found.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.1)
        yield port
    finally:
        started.terminate()
        started.wait(30)


_PREFIXES = itertools.count()


def s3_store(port: int, *, through: int | None = None) -> ObjectStore:
    """A store under a new prefix of the server's bucket, which is made if it is not there.

    Args:
        port: of the server.
        through: port of a proxy before it.
    """
    asked = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    signed = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
    asked.request("PUT", f"/{BUCKET}", headers={"Authorization": signed})
    asked.getresponse().read()
    asked.close()
    prefix = f"library-{next(_PREFIXES)}"
    bucket = S3Store(
        BUCKET,
        prefix=prefix,
        endpoint=f"http://127.0.0.1:{through or port}",
        region="us-east-1",
        access_key_id="test",
        secret_access_key="test",  # noqa: S106 - of a server that asks for none
        client_options={"allow_http": True, "timeout": "20s"},
        retry_config={"max_retries": 0},
        copy_if_not_exists="multipart",
    )
    return ObjectStore(bucket, f"s3://{BUCKET}/{prefix}")


class CuttingProxy:
    """A proxy before a server that cuts connections as it is told.

    Attributes:
        lost_answers: of how many of the next writes the answer is cut off; the server has performed them.
        cut: how many of the next writes are cut off before they reach the server.
    """

    def __init__(self, port: int):
        self.lost_answers = self.cut = 0
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def pass_on(self) -> None:
                is_write = self.command in ("PUT", "POST")
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if is_write and proxy.cut:
                    proxy.cut -= 1
                    return self.hang_up()
                server = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
                server.request(self.command, self.path, body, dict(self.headers.items()))
                answer = server.getresponse()
                content = answer.read()
                server.close()
                if is_write and proxy.lost_answers:
                    proxy.lost_answers -= 1
                    return self.hang_up()
                self.send_response(answer.status)
                for name, value in answer.getheaders():
                    if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                        self.send_header(name, value)
                length = answer.getheader("Content-Length") if self.command == "HEAD" else None
                self.send_header("Content-Length", length or str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def hang_up(self) -> None:
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)

            def log_message(self, format: str, *args: object) -> None:
                """Says nothing."""

            do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = pass_on

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)

"""A server of one folder's files on 127.0.0.1, which lets pages of any origin read them, as IIIF asks of servers."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

from support.loopback import address, serving_http


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""

    def end_headers(self) -> None:
        self.send_header("Access-Control-Allow-Origin", "*")
        super().end_headers()


@contextmanager
def serve_folder(folder: Path) -> Iterator[str]:
    """The address under which the folder is served, without a trailing slash."""
    with serving_http(partial(_Handler, directory=str(folder))) as server:
        yield address(server)

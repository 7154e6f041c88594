"""HTTP servers on 127.0.0.1 in threads of this process: started, stopped, and quiet when a client hangs up."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class QuietServer(ThreadingHTTPServer):
    """Answers each connection in a thread of its own. A client that closes its connection is no error of the server."""

    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints what went wrong, as the standard library does, unless the client has left."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving_http(handler: Callable[..., BaseHTTPRequestHandler], port: int = 0) -> Iterator[QuietServer]:
    """Runs a server for the block.

    Args:
        handler: makes the handler of a request.
        port: where it listens; a free one by default.
    """
    server = QuietServer(("127.0.0.1", port), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def address(server: QuietServer) -> str:
    """Where a server answers, without a trailing slash."""
    return f"http://127.0.0.1:{server.server_port}"

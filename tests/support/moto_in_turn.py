"""moto's S3 server, which answers one request after another. Run by the Python of its own environment, with a port.

moto looks whether a key is there and writes it in two steps, between which another of its threads may write: an S3
that does both at once, as conditional writes are defined, is what buckets are tested on.
"""

import sys
from collections.abc import Callable, Iterable
from io import BytesIO
from threading import Lock
from typing import Any

from moto.moto_server.threaded_moto_server import MotoRequestHandler  # type: ignore[import-not-found] # see above
from moto.moto_server.werkzeug_app import (  # type: ignore[import-not-found] # see above
    DomainDispatcherApplication,
    create_backend_app,
)
from werkzeug.serving import run_simple  # type: ignore[import-not-found] # see above

APPLICATION = DomainDispatcherApplication(create_backend_app)
TURN = Lock()


def in_turn(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Reads a request whole, then answers it alone. One whose body is cut off changes nothing."""
    length = int(environ.get("CONTENT_LENGTH") or 0)
    body = environ["wsgi.input"].read(length)
    if len(body) < length:
        start_response("400 Bad Request", [("Content-Length", "0")])
        return []
    environ["wsgi.input"] = BytesIO(body)
    with TURN:
        return list(APPLICATION(environ, start_response))


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), in_turn, threaded=True, request_handler=MotoRequestHandler)

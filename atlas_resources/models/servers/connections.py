"""HTTP connections to a server: to its own address only, without proxies, redirects or other people's headers."""

import os
import ssl
import threading

import httpx2

from atlas_resources.plates.run_contracts import ServerRecord

KEY_VARIABLE = "ATLAS_SERVER_API_KEY"
"""Environment variable with the key for servers that somebody else runs. It is sent to no other and written nowhere."""
NO_KEY = "none"
LOOPBACK = ("127.0.0.1", "::1", "localhost")
CONNECT_SECONDS = 10.0
KEPT_HEADERS = {
    "host", "accept", "accept-encoding", "connection", "content-type", "content-length", "transfer-encoding",
    "user-agent", "authorization",
}  # fmt: skip
"""Headers that are sent. The package `openai` adds others, some of them from the environment."""

_sent = threading.local()


def api_key(record: ServerRecord) -> str:
    """The key for a server: none for one that was started here, and none where the network could read it."""
    address = httpx2.URL(record.endpoint)
    is_private = address.scheme == "https" or address.host in LOOPBACK
    return (os.environ.get(KEY_VARIABLE) or NO_KEY) if record.attested_by and is_private else NO_KEY


def requests_sent() -> int:
    """How many requests this thread has sent, over all connections."""
    return getattr(_sent, "count", 0)


def open_connection(record: ServerRecord, seconds: float) -> httpx2.Client:
    """A client of one server. Every request goes to the server's own host and port.

    Args:
        record: the server.
        seconds: limit of a request.
    """
    own, key = httpx2.URL(record.endpoint), api_key(record)

    def restrict(request: httpx2.Request) -> None:
        if (request.url.scheme, request.url.host, request.url.port) != (own.scheme, own.host, own.port):
            raise httpx2.UnsupportedProtocol(f"expected a request to {own.host}, found one to {request.url.host}")
        for name in [name for name in request.headers if name.lower() not in KEPT_HEADERS]:
            del request.headers[name]
        request.headers["authorization"] = f"Bearer {key}"
        _sent.count = requests_sent() + 1

    return httpx2.Client(
        timeout=httpx2.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)),
        verify=ssl.create_default_context() if own.scheme == "https" else False,
        trust_env=False,
        follow_redirects=False,
        event_hooks={"request": [restrict]},
    )

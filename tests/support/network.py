"""A closed network: a test that uses a socket fails."""

import socket
from typing import Any

import pytest


class NetworkUsed(AssertionError):
    """Something used the network."""


@pytest.fixture
def shut_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any, **options: Any) -> None:
        raise NetworkUsed(f"{arguments} {options}")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo", "gethostbyname"):
        monkeypatch.setattr(socket, name, refuse)

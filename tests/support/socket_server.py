"""A server on loopback that answers each connection as a function does: slowly, without end, or not in HTTP."""

import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

LONG_SECONDS = 20
"""Less than an endless answer takes, and enough for a client on a busy machine to leave it."""


def drip(connection: socket.socket, chunks: Iterable[bytes], seconds: float = 0.05) -> None:
    """Sends some bytes now and then, so that no timeout of the socket is reached."""
    for chunk in chunks:
        connection.sendall(chunk)
        time.sleep(seconds)


def hang(connection: socket.socket) -> None:
    """Answers nothing."""
    time.sleep(3 * LONG_SECONDS)


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """The same as `answering_requests` for an answer that does not depend on the request."""
    with answering_requests(lambda connection, request: answer(connection)) as url:
        yield url


@contextmanager
def answering_requests(answer: Callable[[socket.socket, bytes], None]) -> Iterator[str]:
    """Runs a server on 127.0.0.1 that reads each request's first bytes and then answers. Gives its address."""

    def answer_one(connection: socket.socket) -> None:
        with connection:
            try:
                answer(connection, connection.recv(65536))
            except OSError:  # the client has left
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=answer_one, args=(connection,), daemon=True).start()

    listening = socket.create_server(("127.0.0.1", 0))
    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()

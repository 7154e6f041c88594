"""A server on loopback that answers each connection as a function does: slowly, without end, or not in HTTP."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


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

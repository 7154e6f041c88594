"""A webhook and a mail server on loopback, which keep what they take, or do not take it."""

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from support.loopback import address, serving_http
from support.served import free_port

HANG_SECONDS = 30.0


@dataclass
class Webhook:
    """What a webhook took.

    Attributes:
        status: what it answers; 0: nothing, for HANG_SECONDS or until the test ends.
        url: its address.
        taken: the bodies of all requests, refused ones too.
        headers: of the last request.
    """

    status: int = 200
    url: str = ""
    taken: list[dict[str, Any]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)
    is_over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def webhook() -> Iterator[Webhook]:
    """Runs one for the block."""
    state = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            state.headers = dict(self.headers)
            state.taken.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            if not state.status:
                state.is_over.wait(HANG_SECONDS)
                return
            self.send_response(state.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with serving_http(Handler) as server:
        state.url = f"{address(server)}/hook/secret"
        yield state
        state.is_over.set()


@dataclass
class MailServer:
    """What a mail server took.

    Attributes:
        port: where it listens.
        answer: to a mail; None: nothing, until the test ends.
        mails: their text as it was sent.
        recipients: of each.
    """

    port: int = 0
    answer: str | None = "250 OK"
    mails: list[str] = field(default_factory=list)
    recipients: list[list[str]] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        """Keeps the mail, as aiosmtpd asks."""
        self.mails.append(envelope.content.decode())
        self.recipients.append(envelope.rcpt_tos)
        if self.answer is None:
            await asyncio.sleep(HANG_SECONDS)
        return self.answer or "250 OK"


@contextmanager
def mail_server() -> Iterator[MailServer]:
    """Runs one for the block, by aiosmtpd."""
    from aiosmtpd.controller import Controller

    state = MailServer()
    state.port = free_port()
    controller = Controller(state, hostname="127.0.0.1", port=state.port)
    controller.start()
    try:
        yield state
    finally:
        controller.stop()

"""Mails are sent by a real mail server on loopback, whole and in time, or not at all."""

import itertools
import time

import pytest
from pydantic import ValidationError
from support.alert_receivers import mail_server
from support.socket_server import LONG_SECONDS, answering, drip, hang

from atlas_assets.automation.watching.channels import send_mail
from atlas_assets.automation.watching.failures import RedCheck
from atlas_assets.automation.watching.messages import Message
from atlas_assets.automation.watching.settings import MailAlerts
from atlas_resources.watching.sending import NotSent

MESSAGE = Message(
    [], [RedCheck("ledger/segments: rows", "ledger/segments", "é\r\nBcc: x@evil.example")], "http://127.0.0.1"
)


def settings(port: int, seconds: float = 5.0, *recipients: str) -> MailAlerts:
    to = recipients or ("one@example.org", "two@example.org")
    return MailAlerts(host="127.0.0.1", port=port, sender="atlas@example.org", recipients=to, seconds=seconds)


def test_a_mail_reaches_every_recipient_as_plain_text():
    with mail_server() as server:
        send_mail(MESSAGE, settings(server.port), {})
    (mail,) = server.mails
    assert server.recipients == [["one@example.org", "two@example.org"]]
    head, _, _ = mail.partition("\r\n\r\n")
    assert "Subject: Atlas: 1 check is red" in head
    assert "Content-Type: text/plain" in head
    assert "Bcc" not in head


@pytest.mark.parametrize("answer", ["451 try later", "550 no"])
def test_a_mail_that_is_refused_is_reported(answer: str):
    with mail_server() as server:
        server.answer = answer
        with pytest.raises(NotSent, match=f"127.0.0.1:{server.port}: SMTPDataError {answer[:3]}"):
            send_mail(MESSAGE, settings(server.port), {})


def test_a_server_that_is_not_there_is_reported():
    with pytest.raises(NotSent, match=r"127\.0\.0\.1:9: ConnectionRefusedError"):
        send_mail(MESSAGE, settings(9), {})


@pytest.mark.parametrize("answer", [lambda one: drip(one, itertools.repeat(b"2")), hang], ids=["drips", "hangs"])
def test_a_server_that_takes_for_ever_is_left_in_time(answer):
    started = time.monotonic()
    with answering(answer) as url, pytest.raises(NotSent, match=r"did not take the mail within 0.5 s|TimeoutError"):
        send_mail(MESSAGE, settings(int(url.rpartition(":")[2]), 0.5), {})
    assert time.monotonic() - started < LONG_SECONDS


def test_a_password_is_not_sent_to_a_server_that_asks_for_none_nor_shown():
    with mail_server() as server, pytest.raises(NotSent) as caught:
        send_mail(MESSAGE, settings(server.port), {"ATLAS_SMTP_USER": "me", "ATLAS_SMTP_PASSWORD": "s3cret"})
    assert "s3cret" not in str(caught.value)
    assert server.mails == []


def test_a_server_on_another_machine_needs_encryption_or_a_statement():
    with pytest.raises(ValidationError, match="expected encryption `tls` or `starttls`"):
        MailAlerts(host="mail.example.org")
    assert MailAlerts(host="mail.example.org", is_unencrypted_allowed=True).host == "mail.example.org"
    assert MailAlerts(host="mail.example.org", encryption="starttls").encryption == "starttls"


@pytest.mark.parametrize("address", ["x", "a@b\nBcc: c@d", "a@b, c@d", "a <b@c>"])
def test_an_address_that_is_not_one_is_refused(address: str):
    with pytest.raises(ValidationError):
        MailAlerts(recipients=(address,))


def test_mail_that_is_on_needs_recipients():
    with pytest.raises(ValidationError, match="expected recipients"):
        MailAlerts(is_on=True)

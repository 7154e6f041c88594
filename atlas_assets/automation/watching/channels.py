"""How a message leaves: as JSON to a webhook, or by mail. Each takes it whole within its time, or raises."""

import os
import smtplib
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from email.message import EmailMessage

from atlas_assets.automation.watching.messages import Message
from atlas_assets.automation.watching.settings import MailAlerts, WebhookAlerts
from atlas_resources.watching.sending import NotSent, send

WEBHOOK_TOKEN = "ATLAS_ALERT_TOKEN"  # noqa: S105 - the name of the variable that holds it
SMTP_USER, SMTP_PASSWORD = "ATLAS_SMTP_USER", "ATLAS_SMTP_PASSWORD"


def send_to_webhook(message: Message, settings: WebhookAlerts, variables: Mapping[str, str] = os.environ) -> None:
    """Posts the message as JSON; with the environment's ATLAS_ALERT_TOKEN as a bearer token, if it is set.

    Raises:
        AlertsMisstated: there is no address, or it is not one that may be sent to.
        NotSent: the address did not take it in time.
    """
    token = variables.get(WEBHOOK_TOKEN)
    headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {token}"} if token else {})}
    send("POST", settings.require_url(variables), message.json(), headers, seconds=settings.seconds)


def send_mail(message: Message, settings: MailAlerts, variables: Mapping[str, str] = os.environ) -> None:
    """Sends the message as a mail of plain text; logs in first if the environment has ATLAS_SMTP_USER.

    Raises:
        NotSent: the server did not take it for every recipient in time.
    """
    mail = EmailMessage()
    mail["Subject"], mail["From"], mail["To"] = message.subject, settings.sender, ", ".join(settings.recipients)
    mail["Message-ID"] = f"<{message.id}@atlas>"
    mail.set_content(message.text())
    problems: list[str] = []
    # On a thread: a server that sends a byte now and then never runs into a timeout of the socket.
    sending = threading.Thread(target=_deliver, args=(mail, settings, variables, problems), daemon=True)
    sending.start()
    sending.join(settings.seconds)
    if sending.is_alive():
        problems = [f"it did not take the mail within {settings.seconds:g} s"]
    if problems:
        raise NotSent(f"the mail server {settings.host}:{settings.port}: {problems[0]}")


def _deliver(mail: EmailMessage, settings: MailAlerts, variables: Mapping[str, str], problems: list[str]) -> None:
    """Sends a mail, or adds why it was not."""
    try:
        with _connected(settings) as server:
            if user := variables.get(SMTP_USER):
                server.login(user, variables.get(SMTP_PASSWORD, ""))
            refused = server.send_message(mail)
    except smtplib.SMTPException as error:  # its text may hold what the server was sent, such as a password
        code = f" {error.smtp_code}" if isinstance(error, smtplib.SMTPResponseException) else ""
        problems.append(f"{type(error).__name__}{code}")
    except OSError as error:
        problems.append(f"{type(error).__name__}: {error}")
    else:
        problems += [f"it refused {len(refused)} of {len(settings.recipients)} recipients"] if refused else []


@contextmanager
def _connected(settings: MailAlerts) -> Iterator[smtplib.SMTP]:
    """A server that is greeted, and encrypted as declared."""
    context, limit = ssl.create_default_context(), settings.seconds
    if settings.encryption == "tls":
        server: smtplib.SMTP = smtplib.SMTP_SSL(settings.host, settings.port, timeout=limit, context=context)
    else:
        server = smtplib.SMTP(settings.host, settings.port, timeout=limit)
    with server:
        if settings.encryption == "starttls":
            server.starttls(context=context)
        yield server

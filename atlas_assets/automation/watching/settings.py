"""The section `alerts` of `automation.yaml`: whether failures are reported, and where to. Off unless stated.

No secret is in the file. A webhook's address often is one, and so are a mail server's user and password: the file names
the environment variables that hold them.
"""

import os
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from atlas_resources.files.contract import Contract
from atlas_resources.watching.sending import is_loopback, require_address

MAIL_ADDRESS = r"^[^\s@,<>\"]{1,64}@[^\s@,<>\"]{1,255}$"
VARIABLE = r"^[A-Z][A-Z0-9_]*$"

Variable = Annotated[str, Field(pattern=VARIABLE)]
MailAddress = Annotated[str, Field(pattern=MAIL_ADDRESS)]


class AlertsMisstated(ValueError):
    """What the settings and the environment state does not allow a message to be sent."""


class WebhookAlerts(Contract):
    """Messages as JSON to an address.

    Attributes:
        is_on: whether the sensor is on unless the UI says otherwise.
        url: the address; null: that of the environment variable ATLAS_ALERT_WEBHOOK.
        is_unencrypted_allowed: whether it may be of another machine without https.
        seconds: the longest that one message may take.
    """

    is_on: bool = False
    url: str | None = None
    is_unencrypted_allowed: bool = False
    seconds: float = Field(default=10.0, gt=0, le=30)

    def require_url(self, variables: Mapping[str, str] = os.environ) -> str:
        """The address. Raises AlertsMisstated."""
        url = self.url or variables.get("ATLAS_ALERT_WEBHOOK", "")
        try:
            require_address(url, is_unencrypted_allowed=self.is_unencrypted_allowed)
        except ValueError as error:
            where = "alerts.webhook.url" if self.url else "ATLAS_ALERT_WEBHOOK"
            raise AlertsMisstated(f"{where}: {error}") from None
        return url


class MailAlerts(Contract):
    """Messages by mail.

    Attributes:
        is_on: whether the sensor is on unless the UI says otherwise.
        host: the mail server.
        port: of the server.
        encryption: `tls` from the first byte, `starttls`, or `none`, which is for a server on loopback.
        sender: the address that the mail is from.
        recipients: the addresses that it goes to.
        is_unencrypted_allowed: whether `none` is accepted for a server on another machine.
        seconds: the longest that each step of sending may take.
    """

    is_on: bool = False
    host: str = "localhost"
    port: int = Field(default=25, gt=0, lt=65536)
    encryption: Literal["tls", "starttls", "none"] = "none"
    sender: MailAddress = "atlas@localhost"
    recipients: tuple[MailAddress, ...] = ()
    is_unencrypted_allowed: bool = False
    seconds: float = Field(default=10.0, gt=0, le=30)

    @model_validator(mode="after")
    def _may_be_sent(self) -> Self:
        if self.is_on and not self.recipients:
            raise ValueError("mail: expected recipients, as it is on")
        if self.encryption == "none" and not is_loopback(self.host) and not self.is_unencrypted_allowed:
            raise ValueError(
                f"mail: expected encryption `tls` or `starttls` for the server {self.host}, which is not on this "
                f"machine's loopback; or `is_unencrypted_allowed: true`"
            )
        return self


class Alerts(Contract):
    """The section `alerts`.

    Attributes:
        ui_url: address of the Dagster UI, which messages link to.
        webhook: messages as JSON.
        mail: messages by mail.
    """

    ui_url: str = "http://127.0.0.1:3000"
    webhook: WebhookAlerts = WebhookAlerts()
    mail: MailAlerts = MailAlerts()

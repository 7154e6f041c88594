"""Errors of asking a server: it is lost, or it refuses one request."""

from atlas_resources.models.memory import ModelLost
from atlas_resources.models.protocols import AnswerRefused


class ServerLost(ModelLost):
    """The server cannot be asked any more: it has ended, refuses everyone, or is another one by now."""

    lost = "its server"
    fix = "Start the server again, then run it again: it goes on with the plates that are missing."


class RequestRefused(AnswerRefused):
    """The server gives no answer to this request, and answers others."""


class ServerMismatch(ValueError):
    """A server serves something else than the spec declares."""

"""Asking a server that speaks OpenAI's chat completions: retries counted, and whose fault an error is."""

import json
import time
import weakref
from dataclasses import dataclass
from typing import Any, cast

import openai
from openai.types.chat import ChatCompletion

from atlas_resources.models.servers.connections import api_key, open_connection, requests_sent
from atlas_resources.models.servers.errors import RequestRefused, ServerLost
from atlas_resources.models.servers.records import without_secrets
from atlas_resources.models.servers.running import why_not_answering, why_other_process
from atlas_resources.plates.run_contracts import ServerRecord

OF_THE_QUESTION = (400, 413, 415, 422)
"""Statuses by which a server refuses what it was sent. Others say nothing about the plate."""
SHOWN_CHARACTERS = 300


@dataclass(frozen=True)
class Reply:
    """What a server answered.

    Attributes:
        text: the message's content.
        finish_reason: why the model stopped, in the server's word.
        prompt_token_count, output_token_count: as the server counts them; None where it does not.
        seconds: from the question to the answer, pauses between requests included.
        request_count: requests that it took.
    """

    text: str
    finish_reason: str
    prompt_token_count: int | None
    output_token_count: int | None
    seconds: float
    request_count: int


class ServerClient:
    """Asks one server. May be used by several threads at once.

    Args:
        record: the server, as `require_server` found it.
        key: of the instrument, for messages.
        timeout_seconds: limit of one request.
        retries: how often a request is repeated after 408, 409, 429, 5xx, a timeout or a broken connection, with
            growing pauses between.
    """

    def __init__(self, record: ServerRecord, key: str, timeout_seconds: float, retries: int):
        self.record = record
        self.key = key
        self._openai = openai.OpenAI(
            base_url=f"{record.endpoint.rstrip('/')}/v1",
            api_key=api_key(record),
            max_retries=retries,
            http_client=open_connection(record, timeout_seconds),
            timeout=timeout_seconds,
        )
        self._closing = weakref.finalize(self, self._openai.close)  # nobody closes a model that is released

    def close(self) -> None:
        """Closes the connections."""
        self._closing()

    def ask(self, messages: list[dict[str, Any]], **fields: Any) -> Reply:
        """Returns the answer to one question.

        Args:
            messages: of the chat.
            fields: further fields of the request's body, by name.

        Raises:
            RequestRefused: there is no answer to this question, and the server still answers others.
            ServerLost: nothing more can be asked.
        """
        started, before = time.perf_counter(), requests_sent()
        try:
            found = self._openai.chat.completions.create(
                model=self.record.model_name,
                messages=cast(Any, messages),
                extra_body=fields,
            )
        except openai.APIStatusError as error:
            raise self._of_status(error) from error
        except (openai.APIConnectionError, openai.APIResponseValidationError, json.JSONDecodeError) as error:
            raise self._of_silence(f"{type(error).__name__} after {requests_sent() - before} requests") from error
        if reason := why_other_process(self.record):
            raise self._lost(reason)
        return self._reply(found, time.perf_counter() - started, requests_sent() - before)

    def _reply(self, found: ChatCompletion, seconds: float, request_count: int) -> Reply:
        if not isinstance(found, ChatCompletion) or not found.choices:
            raise RequestRefused(f"{self.key}: the server's answer holds no choice")
        name = self.record.model_name
        if found.model != name and not str(found.model).startswith(f"{name}@"):
            raise self._lost(f"served by something else: the answer is by {found.model!r}, expected {name!r}")
        choice = found.choices[0]
        return Reply(
            text=choice.message.content or "",
            finish_reason=str(choice.finish_reason),
            prompt_token_count=found.usage.prompt_tokens if found.usage else None,
            output_token_count=found.usage.completion_tokens if found.usage else None,
            seconds=seconds,
            request_count=request_count,
        )

    def _of_status(self, error: openai.APIStatusError) -> Exception:
        words = without_secrets(" ".join(error.response.text.split())[:SHOWN_CHARACTERS])
        said = f"the server answers {error.status_code}: {words}"
        if error.status_code in OF_THE_QUESTION:
            return RequestRefused(f"{self.key}: {said}")
        return self._of_silence(said) if error.status_code >= 500 else self._lost(said)

    def _of_silence(self, said: str) -> Exception:
        """Of an error that may be the plate's or the server's: the server is asked what it serves."""
        if reason := why_not_answering(self.record):
            return self._lost(f"{said}; {reason}")
        return RequestRefused(f"{self.key}: {said}. The server still runs")

    def _lost(self, reason: str) -> ServerLost:
        return ServerLost(f"{self.key}: {reason}. Fix: `{command_of(self.record, self.key)}`")


def command_of(record: ServerRecord, key: str) -> str:
    """The command that brings the server of a record back."""
    return f"atlas models {'probe' if record.attested_by else 'serve'} {key}"

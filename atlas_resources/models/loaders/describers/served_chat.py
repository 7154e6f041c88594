"""A model that a server answers for, by OpenAI's chat completions. Loads no weights and imports no torch."""

import re
from collections.abc import Sequence

import numpy as np

from atlas_resources.instruments.parameters.writing import ServedChatParameters
from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.texts.json_schemas import sha256_of
from atlas_resources.models.protocols import Answer, AnswerRefused, Question
from atlas_resources.models.servers.client import Reply, ServerClient
from atlas_resources.models.servers.decoding import decoding_fields, schema_field
from atlas_resources.models.servers.pictures import messages_of, resized
from atlas_resources.models.servers.records import ServerMissing, server_sha256, why_unconstrained
from atlas_resources.models.servers.snapshot_words import special_tokens, token_ids
from atlas_resources.models.weights import WeightsMissing, require_weights
from atlas_resources.plates.run_contracts import ServerRecord

LIKE_SPECIAL = re.compile(r"<\|[^|<>]{1,40}\|>|</?s>|<(?:image|pad|unk|bos|eos)>|\[/?INST\]")
"""Special tokens of the families of models, for a server whose tokenizer is not on this machine's disk."""


class ServedChat:
    """Answers a question about an image: one turn of a person with the image before the words.

    Attributes:
        prompts: what it is asked, in order.
        server: the record of the server that answers.
        concurrency: how many images may be asked about at once, on threads.

    Args:
        client: asks the server.
        parameters: the spec's.
        prompts: the spec's.
        tokens: special tokens of the model; None if its tokenizer is not here.
        ids: of special tokens, by name.
    """

    def __init__(
        self,
        client: ServerClient,
        parameters: ServedChatParameters,
        prompts: Sequence[AskedPrompt],
        tokens: Sequence[str] | None,
        ids: dict,
    ):
        self.client = client
        self.parameters = parameters
        self.prompts = prompts
        self.server: ServerRecord = client.record
        self.server_sha256 = server_sha256(client.record)
        self.concurrency = parameters.concurrency
        self._tokens = tokens
        self._ids = ids

    def describe(self, pixels: np.ndarray, questions: Sequence[Question]) -> list[Answer]:
        """Returns an answer to each question, for uint8 [H, W, 3], RGB in sRGB, at any size.

        Raises:
            AnswerRefused: a question without words, or with a special token of the model; or the server refuses it.
            ServerLost: nothing more can be asked.
        """
        limits = self.parameters
        image = resized(pixels, limits.min_pixels, limits.max_pixels, limits.multiple_px)
        answers = []
        for question in questions:
            self._require_plain(question.text)
            schema = question.prompt and question.prompt.json_schema
            fields = decoding_fields(self.server.program, self.parameters, question.attempt, self._ids)
            if schema and self.parameters.is_constrained:
                fields |= schema_field(schema)
            reply = self.client.ask(messages_of(question.text, image), **fields)
            answers.append(self._answer(reply, image.size, schema))
        return answers

    def _require_plain(self, words: str) -> None:
        """What an earlier stage wrote is data, and may hold anything."""
        if not words:
            raise AnswerRefused("a chat model must be asked something. Fix: pin a prompt set of kind `questions`")
        known = self._tokens
        found = LIKE_SPECIAL.findall(words) if known is None else [one for one in known if one and one in words]
        if found:
            raise AnswerRefused(
                f"expected plain words, found the model's special tokens {', '.join(map(repr, sorted(found)))}"
            )

    def _answer(self, reply: Reply, size: tuple[int, int], schema: str | None) -> Answer:
        stop = self.parameters.stop
        return Answer(
            text=(reply.text.partition(stop)[0] if stop else reply.text).strip(),
            raw_text=reply.text,
            finish_reason=reply.finish_reason,
            sent_width_px=size[0],
            sent_height_px=size[1],
            chat_template_sha256=self.parameters.chat_template_sha256,
            json_schema_sha256=sha256_of(schema) if schema else None,
            prompt_token_count=reply.prompt_token_count,
            output_token_count=reply.output_token_count,
            answer_seconds=reply.seconds,
            server_sha256=self.server_sha256,
            attested_by=self.server.attested_by,
            request_count=reply.request_count,
        )


def load(spec: Spec, server: ServerRecord, prompts: Sequence[AskedPrompt] = ()) -> ServedChat:
    """Returns the client of a server.

    Args:
        spec: the instrument.
        server: the record of the server that may answer for it.
        prompts: what is asked.

    Raises:
        ServerMissing: the spec declares that answers are kept to their schema, and the server was found to ignore it.
        WeightsMissing, WeightsMismatch: see `weights.require_weights`; files that somebody else has may be missing.
    """
    parameters = ServedChatParameters.model_validate(spec.parameters)
    has_schema = any(prompt.json_schema for prompt in prompts)
    if has_schema and parameters.is_constrained and server.honoured.get("json_schema") is not True:
        raise ServerMissing(why_unconstrained(spec, server.program))
    tokens, ids = _words_of(spec, server)
    client = ServerClient(server, spec.key, parameters.timeout_seconds, parameters.retries)
    return ServedChat(client, parameters, prompts, tokens, ids)


def _words_of(spec: Spec, server: ServerRecord) -> tuple[list[str] | None, dict]:
    """Special tokens and their ids by the pinned files; None and nothing where somebody else has the files."""
    try:
        files = require_weights(spec).files
    except WeightsMissing:
        if server.attested_by is None:
            raise
        return None, {}
    return special_tokens(files), token_ids(files)

"""What a server honours of what it is asked: seed, JSON Schema, limit of tokens, images and their limits."""

import json
import socket
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import numpy as np
from PIL import Image

from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.parameters.writing import ServedChatParameters
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loading import loader_of
from atlas_resources.models.protocols import AnswerRefused
from atlas_resources.models.servers.client import Reply, ServerClient
from atlas_resources.models.servers.decoding import decoding_fields, schema_field
from atlas_resources.models.servers.errors import ServerMismatch
from atlas_resources.models.servers.pictures import messages_of, sent_size
from atlas_resources.models.servers.records import why_unconstrained
from atlas_resources.plates.run_contracts import ServerRecord

Finding = tuple[bool | None, str]
"""Whether something is honoured, None where it cannot be told; and what was seen."""

ONLY_WORD = "zirkon"
ONLY_ANSWER = {"stone": ONLY_WORD}
SCHEMA = {
    "type": "object",
    "properties": {"stone": {"enum": [ONLY_WORD]}},
    "required": ["stone"],
    "additionalProperties": False,
}
"""A schema with one answer, which no free answer to the question of the probe is."""
SCHEMA_TOKENS = 256
"""Some servers let a model put any space between the words of JSON, and a bad model puts much."""
FEW_TOKENS = 4
DRAWN_TOKENS = 16
SEEDS = (7, 7, 8, 9, 10)
PICTURE_PX = (112, 84)
PROBE_RETRIES = 2


class ProbeRefused(RuntimeError):
    """A server ignores what the instrument relies on."""


class _Prober:
    """Asks a server small questions as the instrument would ask them."""

    def __init__(self, client: ServerClient, parameters: ServedChatParameters, token_ids: Mapping[str, Any]):
        self.client = client
        self.parameters = parameters
        self.token_ids = token_ids

    def ask(self, words: str, picture: Image.Image | None, *, tokens: int, **more: Any) -> Reply:
        changes = {"max_new_tokens": tokens, "temperature": 0.0, "top_p": 1.0, "stop": "", "repetition_penalty": 1.0}
        extra = more.pop("fields", {})
        parameters = self.parameters.model_copy(update=changes | more)
        fields = decoding_fields(self.client.record.program, parameters, 1, self.token_ids)
        return self.client.ask(messages_of(words, picture), **fields, **extra)

    def max_tokens(self) -> Finding:
        found = self.ask("Count from one to one hundred in words.", None, tokens=FEW_TOKENS)
        count = found.output_token_count
        if found.finish_reason == "length" and (count is None or count <= FEW_TOKENS):
            return True, f"max_tokens: {FEW_TOKENS} tokens were asked for, and the answer ended for its length"
        if count is not None and count <= FEW_TOKENS:
            return None, f"max_tokens: the answer ended by itself after {count} tokens"
        return False, f"max_tokens: {FEW_TOKENS} tokens were asked for, {count} came, reason {found.finish_reason}"

    def seed(self) -> Finding:
        texts = [
            self.ask("Write any words that come to mind.", None, tokens=DRAWN_TOKENS, temperature=1.0, seed=seed).text
            for seed in SEEDS
        ]
        if len(set(texts)) == 1:
            return None, "seed: every drawn answer was the same, whatever the seed"
        if texts[0] != texts[1]:
            return False, "seed: two drawn answers with one seed differ"
        return True, "seed: drawn answers with one seed are the same, with others they differ"

    def json_schema(self) -> Finding:
        fields = schema_field(json.dumps(SCHEMA))
        found = self.ask("Name your favourite colour.", None, tokens=SCHEMA_TOKENS, fields=fields)
        try:
            is_kept = json.loads(found.text) == ONLY_ANSWER
        except ValueError:
            is_kept = False
        if is_kept:
            return True, "json_schema: an answer was kept to its schema"
        if found.finish_reason == "length":
            # An unfinished answer may still be one that the schema allows to begin.
            begun = "".join(found.text.split())
            if json.dumps(ONLY_ANSWER, separators=(",", ":")).startswith(begun) and begun:
                return None, "json_schema: the answer to the probe was not finished"
        return False, "json_schema: the schema of the probe was ignored"

    def images(self) -> Finding:
        without = self.ask("What is this?", None, tokens=FEW_TOKENS).prompt_token_count
        with_one = self.ask("What is this?", _noise(*PICTURE_PX), tokens=FEW_TOKENS).prompt_token_count
        if without is None or with_one is None:
            return None, "images: the server does not count tokens"
        words = f"images: a prompt has {without} tokens without a picture and {with_one} with one"
        return with_one > without, words

    def image_limits(self) -> Finding:
        limit = self.parameters.max_pixels
        size = sent_size(*_square(limit), self.parameters.min_pixels, limit, self.parameters.multiple_px)
        most = self.ask("What is this?", _noise(*size), tokens=FEW_TOKENS).prompt_token_count
        beyond = self.ask("What is this?", _noise(*_square(limit * 4)), tokens=FEW_TOKENS).prompt_token_count
        if most is None or beyond is None:
            return None, "image_limits: the server does not count tokens"
        words = f"image_limits: {most} tokens with a picture of max_pixels, {beyond} with one of four times as many"
        return beyond <= most, f"{words}; pictures are sent at most at max_pixels"


def probe(
    spec: Spec, record: ServerRecord, *, has_schema: bool, token_ids: Mapping[str, Any]
) -> tuple[dict[str, bool | None], list[str]]:
    """What the server honours, by name, and a line on each finding.

    Args:
        spec: the instrument, whose parameters say how it would ask.
        record: the server.
        has_schema: whether one of the instrument's questions has a JSON Schema.
        token_ids: ids of special tokens by name, for a program that must be told.

    Raises:
        ProbeRefused: the instrument relies on what the server ignores.
        ServerLost: the server ended.
    """
    if not LOADERS[spec.loader or ""].is_asked:
        return _probe_tensors(spec, record)
    parameters = ServedChatParameters.model_validate(spec.parameters)
    client = ServerClient(record, spec.key, parameters.timeout_seconds, PROBE_RETRIES)
    prober = _Prober(client, parameters, token_ids)
    probes: dict[str, Callable[[], Finding]] = {
        "max_tokens": prober.max_tokens,
        "seed": prober.seed,
        "json_schema": prober.json_schema,
        "images": prober.images,
        "image_limits": prober.image_limits,
    }
    honoured, notes = {}, []
    try:
        for name, ask in probes.items():
            try:
                honoured[name], note = ask()
            except AnswerRefused as error:  # most servers refuse what they do not know; others ignore it
                honoured[name], note = False, f"{name}: refused: {error}"
            notes.append(note)
    finally:
        client.close()
    _require(spec, record, honoured, has_schema=has_schema and parameters.is_constrained)
    return honoured, notes


def _probe_tensors(spec: Spec, record: ServerRecord) -> tuple[dict[str, bool | None], list[str]]:
    """A client of tensors compares what is served, and asks about an image, when it is loaded. Raises as `probe`."""
    try:
        loader_of(spec)(spec, record, ())
    except (ServerMismatch, AnswerRefused) as error:
        raise ProbeRefused(str(error)) from error
    compared = "name, version and tensors are" if record.attested_by else "name, version, tensors and configuration are"
    return {}, [f"model: {compared} as the spec declares them; a grey image was answered"]


def attested_record(spec: Spec, probed_at: datetime) -> ServerRecord:
    """The record of a server that somebody else runs, as the spec declares it, before it is probed.

    Raises ValueError for a spec that declares none.
    """
    served = spec.served
    if served is None or not (served.endpoint and served.model_name and served.attested_by):
        raise ValueError(f"{spec.key} declares no server of somebody else")
    return ServerRecord(
        program=served.program,
        version=served.version,
        flags=served.flags,
        dtype=spec.numeric and spec.numeric.dtype,
        device=spec.numeric and spec.numeric.device,
        command=[],
        endpoint=served.endpoint,
        model_name=served.model_name,
        model_id=spec.model_id,
        files={},
        host=socket.gethostname(),
        process_id=None,
        started_at=probed_at,
        attested_by=served.attested_by,
        honoured={},
    )


def _require(spec: Spec, record: ServerRecord, honoured: Mapping[str, bool | None], *, has_schema: bool) -> None:
    if honoured["images"] is False:
        raise ProbeRefused(f"{spec.key}: {record.program} takes no pictures for {record.model_id}")
    if honoured["max_tokens"] is False:
        raise ProbeRefused(f"{spec.key}: {record.program} ignores the limit of tokens")
    if has_schema and honoured["json_schema"] is not True:
        raise ProbeRefused(why_unconstrained(spec, record.program))


def _noise(width_px: int, height_px: int) -> Image.Image:
    """A seeded picture."""
    pixels = np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def _square(pixels: int) -> tuple[int, int]:
    side_px = round(pixels**0.5)
    return side_px, side_px

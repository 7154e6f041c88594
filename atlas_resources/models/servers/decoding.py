"""The declared decoding in the words of each server. What a server would add by itself is switched off in words too."""

import json
from collections.abc import Mapping
from typing import Any

from atlas_resources.instruments.parameters.writing import ServedChatParameters


def decoding_fields(
    program: str, parameters: ServedChatParameters, attempt: int, token_ids: Mapping[str, Any]
) -> dict[str, Any]:
    """The fields of a request that state how the answer is decoded.

    Args:
        program: that serves.
        parameters: the spec's.
        attempt: at the question, from 1; a further one takes the next seed.
        token_ids: ids of special tokens by their names in the pinned files, for a program that must be told.
    """
    seed = parameters.seed + attempt - 1
    fields: dict[str, Any] = {
        "max_tokens": parameters.max_new_tokens,
        "temperature": parameters.temperature,
        "seed": seed,
    }
    if parameters.temperature:
        fields["top_p"] = parameters.top_p
    if parameters.stop:
        fields["stop"] = [parameters.stop]
    return fields | _own_fields(program, parameters, token_ids)


def _own_fields(program: str, parameters: ServedChatParameters, token_ids: Mapping[str, Any]) -> dict[str, Any]:
    """What is no part of OpenAI's interface: without it a program decodes by defaults of its own or the snapshot's."""
    penalty, is_drawn = parameters.repetition_penalty, parameters.temperature > 0
    if program == "vllm":
        return {"repetition_penalty": penalty, "top_k": -1, "min_p": 0.0}
    if program == "lmdeploy":
        return {"repetition_penalty": penalty, "top_k": 0 if is_drawn else 1, "min_p": 0.0}
    if program == "llama-cpp":
        return {"repeat_penalty": penalty, "top_k": 0, "min_p": 0.0, "cache_prompt": False}
    if program == "transformers":
        drawn = {"temperature": parameters.temperature, "top_p": parameters.top_p, "top_k": 0} if is_drawn else {}
        rules = {"do_sample": is_drawn, "num_beams": 1, "repetition_penalty": penalty, **drawn, **token_ids}
        return {"generation_config": json.dumps(rules | {"max_new_tokens": parameters.max_new_tokens})}
    return {}


def schema_field(json_schema: str) -> dict[str, Any]:
    """The field of a request that keeps the answer to a JSON Schema, given as JSON."""
    schema = {"name": "answer", "strict": True, "schema": json.loads(json_schema)}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}

"""Keeps an answer to its JSON Schema: only tokens that the schema allows next can be written, by llguidance."""

import json
from collections.abc import Set
from typing import Any

import torch
from llguidance import LLMatcher, LLTokenizer
from llguidance.hf import from_tokenizer
from transformers import LogitsProcessor

# With space allowed, a model that likes none of the next tokens writes space to the limit.
COMPACT: Any = {"whitespace_flexible": False}


class SchemaTokens:
    """The tokens of a model, as llguidance reads them. Made once for a model, as it takes about a second.

    Args:
        tokenizer: of the model.
        vocabulary_size: number of scores that the network gives, which may be larger than the tokenizer's.
        end_ids: tokens that end an answer.
    """

    def __init__(self, tokenizer: Any, vocabulary_size: int, end_ids: Set[int]):
        self._tokens: LLTokenizer = from_tokenizer(tokenizer, n_vocab=vocabulary_size, eos_token=sorted(end_ids))

    def follow(self, json_schema: str, start: int) -> "FollowSchema":
        """Returns the processor of one answer.

        Args:
            json_schema: JSON.
            start: how many tokens are before the answer.

        Raises:
            ValueError: llguidance cannot follow the schema; its message says which part.
        """
        grammar = LLMatcher.grammar_from_json_schema(json.loads(json_schema), overrides=COMPACT)
        matcher = LLMatcher(self._tokens, grammar)
        if matcher.is_error():
            raise ValueError(f"the JSON Schema cannot be followed: {matcher.get_error()}")
        return FollowSchema(matcher, start)


class FollowSchema(LogitsProcessor):
    """Gives a score of minus infinity to each token that the schema does not allow next. For one answer only."""

    def __init__(self, matcher: LLMatcher, start: int):
        self._matcher = matcher
        self._seen = start

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Returns scores float [1, vocabulary] for tokens [1, tokens].

        Raises:
            ValueError: llguidance's parser ended in an error, such as a limit of its own.
        """
        new = input_ids[0, self._seen :].tolist()
        self._seen = input_ids.shape[1]
        if new:
            self._matcher.consume_tokens(new)
        if self._matcher.is_error():
            raise ValueError(f"the JSON Schema cannot be followed any further: {self._matcher.get_error()}")
        bias = torch.frombuffer(bytearray(self._matcher.compute_logit_bias()), dtype=torch.uint8)
        allowed = bias[: scores.shape[-1]].bool().to(scores.device)
        return scores.masked_fill(~allowed, float("-inf"))

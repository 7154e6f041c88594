"""What an answer is worth: whether it ended by itself, says something, and follows its JSON Schema."""

import json
from dataclasses import dataclass
from typing import Any, Literal

from jsonschema import Draft202012Validator

from atlas_resources.instruments.texts.json_schemas import canonical
from atlas_resources.models.protocols import Answer, Question

MAY_BE_EMPTY = ("transcription", "regions")
"""Forms of which nothing is an answer: a plate without lettering."""


@dataclass(frozen=True)
class Verdict:
    """The verdict on one answer.

    Attributes:
        status: only `done` is usable.
        parsed_json: the answer's object as canonical JSON; None without a schema, and for what is no JSON object.
        is_valid: whether the object follows the schema; None without a schema.
    """

    status: Literal["done", "cut_off", "invalid", "empty"]
    parsed_json: str | None = None
    is_valid: bool | None = None

    @property
    def is_usable(self) -> bool:
        """Whether the answer may be read as one."""
        return self.status == "done"


def verdict_on(answer: Answer, question: Question, form: str) -> Verdict:
    """The verdict on an answer. Nothing of it is repaired: fences around JSON, say, make it invalid.

    Args:
        answer: what the model wrote.
        question: what it was asked; its prompt has the schema.
        form: of the instrument's texts.
    """
    schema = question.prompt and question.prompt.json_schema
    parsed = _parse(answer.text) if schema else None
    is_valid = Draft202012Validator(json.loads(schema)).is_valid(parsed) if schema else None
    parsed_json = canonical(parsed) if parsed is not None else None
    if answer.finish_reason == "length":
        return Verdict("cut_off", parsed_json, is_valid)
    if is_valid is False:
        return Verdict("invalid", parsed_json, is_valid)
    if not answer.text.strip() and form not in MAY_BE_EMPTY:
        return Verdict("empty")
    return Verdict("done", parsed_json, is_valid)


def _parse(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is; None if it is none, or has a name twice or a number that JSON does not know."""
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name is given twice")
    return found


def _refuse(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")

"""Describers that give fixed answers, and the instruments of two stages that ask them."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from atlas_resources.instruments.prompts import AskedPrompt, read_prompts
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.protocols import Answer, Question
from support.fake_instruments import fake_spec
from support.made_specs import project_spec

PROMPTS = read_prompts()


def said(text: str, finish_reason: str = "stop", **more: Any) -> Answer:
    return Answer(
        text, f"{text}</s>", finish_reason, 48, 36, **{"output_token_count": 4, "answer_seconds": 0.5, **more}
    )


class Says:
    """Gives the answers in order, over and over, and keeps what it was asked and shown."""

    def __init__(self, *answers: Answer, prompts: Sequence[AskedPrompt] = ()):
        self.answers = answers
        self.prompts = prompts
        self.asked: list[Question] = []
        self.shown: list[tuple[int, ...]] = []

    def describe(self, pixels: np.ndarray, questions: Sequence[Question]) -> list[Answer]:
        found = [self.answers[(len(self.asked) + number) % len(self.answers)] for number in range(len(questions))]
        self.asked += questions
        self.shown.append(pixels.shape)
        return found


def text_spec(key: str, form: str = "caption", **changes: Any) -> Spec:
    """An admitted instrument that is asked; its loader is that of captions, and is never called."""
    content = fake_spec("fake_segmenter").model_dump(mode="json", exclude={"output", "key", "role", "loader"})
    own = {"key": key, "role": "text", "loader": "blip", "output": {"kind": "text", "form": form}}
    return Spec.model_validate({**content, **own, "parameters": {"max_new_tokens": 8}, **changes})


def pins_of(*names: str) -> list[dict[str, Any]]:
    sets = [PROMPTS.sets[name] for name in names]
    return [{"set": one.set, "version": one.version, "sha256": one.sha256} for one in sets]


def text_registry(*specs: Spec) -> Registry:
    by_key = {spec.key: spec for spec in specs}
    return Registry(Path(__file__).parent, by_key, frozenset(by_key), (), prompts=PROMPTS)


def loads(model: Any) -> Callable[[], Any]:
    return lambda: model


def schema_prompt() -> AskedPrompt:
    """The project's question for a structured description."""
    (prompt,) = PROMPTS.asked(project_spec("qwen2_vl_2b").prompts or [])
    assert prompt.json_schema
    return prompt

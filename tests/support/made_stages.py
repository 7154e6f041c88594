"""Caption, keywords and description by a tiny seeded Qwen2-VL, as instruments that read each other."""

from pathlib import Path
from typing import Any

import pytest

from atlas_resources.instruments.prompts import PromptSet, PromptSets
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.served import Served
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.texts.json_schemas import canonical, sha256_of
from atlas_resources.instruments.texts.stage_plans import StagePlan, derive_stages
from support.made_describers import made_qwen2_vl
from support.made_servers import served_spec

SHORT = {"type": "string", "pattern": "^[a-z]{3,8}$"}
FIELDS = {
    "caption": {"caption": SHORT},
    "keywords": {"keywords": {"type": "array", "items": SHORT, "minItems": 1, "maxItems": 3}},
    "description": {"subject": SHORT, "medium": SHORT, "confidence": {"enum": ["low", "high"]}},
}
QUESTIONS = {
    "caption": "Describe this picture.",
    "keywords": "A caption reads: {caption} List keywords.",
    "description": "Keywords are: {keywords} Describe this picture.",
}
STAGES = {form: f"texts/tiny_{form}" for form in QUESTIONS}
"""The asset of each stage."""


def schema_of(form: str) -> dict[str, Any]:
    fields = FIELDS[form]
    return {"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False}


def question_sets(*, has_schema: bool = True) -> PromptSets:
    """A set for each stage. Most random weights end an answer only where a schema does."""
    schemas = {sha256_of(text): text for text in (canonical(schema_of(form)) for form in QUESTIONS)}
    sets = {}
    for form, text in QUESTIONS.items():
        digest = sha256_of(canonical(schema_of(form)))
        own = {"json_schema": {"name": form, "sha256": digest}} if has_schema else {}
        one = PromptSet.model_validate(
            {
                "set": f"tiny_{form}", "version": 1, "kind": "questions", "description": "For the tests.",
                "prompts": [{"id": form, "text": text}], **own,
            }
        )  # fmt: skip
        sets[one.name] = one
    return PromptSets(Path(), sets, (), schemas)


def stage_registry(hub: Path, patch: pytest.MonkeyPatch, **parameters: Any) -> Registry:
    """The three instruments, whose snapshot is saved in a hub's cache. `parameters` are those of the caption."""
    return _registry_of(hub, made_qwen2_vl(hub, patch, max_new_tokens=200).spec, question_sets(), parameters)


def served_registry(
    hub: Path, patch: pytest.MonkeyPatch, served: Served, *, has_schema: bool, **parameters: Any
) -> Registry:
    """The same three instruments, answered for by a server; without a schema, of a model that writes letters."""
    made = made_qwen2_vl(hub, patch, head_dim=32, is_plain=not has_schema)
    return _registry_of(hub, served_spec(made.spec, served, **parameters), question_sets(has_schema=has_schema), {})


def _registry_of(hub: Path, spec: Spec, prompts: PromptSets, of_caption: dict[str, Any]) -> Registry:
    stages: list[dict[str, Any]] = [{"form": form, "instrument": spec.key} for form in QUESTIONS]
    for stage in stages:
        one = prompts.sets[f"tiny_{stage['form']}_v1"]
        stage["prompts"] = [{"set": one.set, "version": 1, "sha256": one.sha256}]
    stages[0]["parameters"] = of_caption
    plan = StagePlan.model_validate({"title": "Tiny", "stages": stages})
    specs = {one.key: one for one in derive_stages("tiny", plan, {spec.key: spec})}
    return Registry(hub, specs, frozenset(specs), (), prompts=prompts)

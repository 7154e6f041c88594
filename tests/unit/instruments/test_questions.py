"""Questions, their JSON Schemas and decoding: what is pinned, and what an instrument that is asked must declare."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.made_specs import PROJECT, content_of, copy_of_project, write_spec

from atlas_resources.instruments.admission import missing_of_itself
from atlas_resources.instruments.prompts import PromptSet, read_prompts
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.texts.json_schemas import canonical, sha256_of

QWEN = "qwen2_vl_2b"
SCHEMA = "prompts/schemas/plate_description_v1.json"


def edited(folder: Path, **changes: Any) -> Path:
    """A copy of the project's specs whose schema has other fields."""
    specs = copy_of_project(folder)
    path = specs / SCHEMA
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
    return specs


def test_a_schema_is_pinned_by_its_content_and_not_by_its_layout(tmp_path: Path):
    assert read_registry(edited(tmp_path)).problems == ()  # another layout of the same content


def test_a_changed_schema_stops_the_instruments_that_ask_by_it(tmp_path: Path):
    registry = read_registry(edited(tmp_path, title="Another"))
    lines = [str(problem) for problem in registry.problems]
    assert any(
        line.startswith("prompts/plate_description_v1.yaml: json_schema") and "expected the schema of sha256" in line
        for line in lines
    )
    assert QWEN not in registry.specs


def test_a_missing_schema_is_told_with_its_file(tmp_path: Path):
    specs = copy_of_project(tmp_path)
    (specs / SCHEMA).unlink()
    assert any("plate_description_v1.json: expected a JSON Schema" in str(one) for one in read_registry(specs).problems)


def test_a_question_carries_the_schema_of_its_set():
    (asked,) = PROJECT.prompts.asked(PROJECT.specs[QWEN].prompts or [])
    assert asked.json_schema
    assert (
        sha256_of(asked.json_schema)
        == PROJECT.prompts.sets["plate_description_v1"].model_dump()["json_schema"]["sha256"]
    )
    assert asked.json_schema == canonical(json.loads(asked.json_schema))


def test_the_schema_is_part_of_the_sets_digest_and_older_sets_keep_theirs():
    one = PROJECT.prompts.sets["plate_description_v1"]
    other = one.model_copy(update={"json_schema": None})
    assert other.sha256 != one.sha256
    recorded = json.loads((read_prompts().folder / "recorded.json").read_bytes())["sha256"]
    assert (
        recorded["medium_v1"] == "68d29731d6ea280a1f7a671621d380eb310032ac9fcfa9f4335d44499fb2323a"
    )  # as it was recorded
    assert PROJECT.prompts.sets["medium_v1"].sha256 == recorded["medium_v1"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"kind": "objects", "prompts": [{"id": "a", "text": "a {caption}"}]}, "only questions have"),
        ({"kind": "objects", "json_schema": {"name": "x", "sha256": "0" * 64}}, "only questions have"),
        ({"kind": "objects", "prompts": [{"id": "a", "text": "a" * 201}]}, "at most 200 characters"),
        ({"prompts": [{"id": "a", "text": "a" * 4001}]}, "at most 4000 characters"),
    ],
)
def test_only_questions_are_long_and_take_in_answers(changed: dict[str, Any], message: str):
    content = {
        "set": "made",
        "version": 1,
        "kind": "questions",
        "description": "",
        "prompts": [{"id": "a", "text": "a"}],
    }
    PromptSet.model_validate(content)
    with pytest.raises(ValueError, match=message):
        PromptSet.model_validate({**content, **changed})


def complete(**changes: Any) -> Spec:
    """Qwen's spec with all that it waits for."""
    content = content_of(QWEN)
    for file in content["weights"]["files"]:
        file["sha256"] = file.get("sha256") or "a" * 64
    content["parameters"]["chat_template_sha256"] = "b" * 64
    return Spec.model_validate({**content, **changes})


def test_a_chat_model_is_admitted_when_all_that_changes_an_answer_is_pinned():
    assert missing_of_itself(complete()) == []


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({"prompts": None}, "prompts: no question"),
        ({"parameters": {"max_new_tokens": 5}}, "parameters: no chat_template_sha256"),
        ({"own_preprocessing": None}, "preprocessing: not declared"),
        ({"own_preprocessing": None, "upstream": "blip_image_captioning_base"}, "preprocessing: not declared"),
    ],
)
def test_what_a_chat_model_must_declare(changes: dict[str, Any], missing: str):
    assert missing_of_itself(complete(**changes)) == [missing]


def test_every_file_of_a_model_that_is_asked_needs_a_digest():
    spec = complete()
    weights: Any = spec.weights
    files = [
        file.model_copy(update={"sha256": None}) if file.path.startswith("tokenizer") else file
        for file in weights.files
    ]
    without = weights.model_copy(update={"files": files})
    assert missing_of_itself(spec.model_copy(update={"weights": without})) == [
        "weights: no sha256 of tokenizer.json, tokenizer_config.json"
    ]
    bare = weights.model_copy(update={"files": [file for file in files if not file.path.startswith("tokenizer")]})
    assert missing_of_itself(spec.model_copy(update={"weights": bare})) == ["weights: no file of the tokenizer"]


def test_a_task_of_florence_is_a_variant_with_other_parameters(tmp_path: Path):
    base, regions = (PROJECT.specs[key] for key in ("florence_2_base_converted", "florence_2_base_dense_regions"))
    assert regions.parameters == {"task": "dense_regions", "max_new_tokens": 1024}
    assert (regions.weights, regions.preprocessing) == (base.weights, base.preprocessing)
    specs = copy_of_project(tmp_path)
    write_spec(specs, {"key": "made", "variant_of": "otsu_luma", "parameters": {"max_regions": 3}})
    assert [str(one) for one in read_registry(specs).problems] == [
        "made.yaml: parameters: found stated, expected none: otsu_luma does not write text"
    ]


def test_wrong_parameters_of_a_variant_are_told(tmp_path: Path):
    specs = copy_of_project(tmp_path)
    path = specs / "florence_2_base_ocr.yaml"
    content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    write_spec(specs, {**content, "parameters": {"task": "sing"}})
    (problem,) = read_registry(specs).problems
    assert str(problem).startswith("florence_2_base_ocr.yaml: parameters.task: found 'sing', expected")

"""`model_specs/stages/`: each stage is an instrument that reads the one before."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from support.made_answers import PROMPTS, pins_of, text_spec
from support.made_specs import PROJECT, copy_of_project, write_spec

from atlas_resources.instruments.instrument import InstrumentIdentity, identity
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.texts.stage_plans import StagePlan, derive_stages

STAGES = ["blip_image_captioning_base", "plate_text_keywords", "plate_text_description"]
RANKING = "plate_text_ranking"


def plan_of(caption_tokens: int = 8, keyword_tokens: int = 8) -> StagePlan:
    return StagePlan.model_validate(
        {
            "title": "Text",
            "stages": [
                {"form": "caption", "instrument": "captioner", "parameters": {"max_new_tokens": caption_tokens}},
                {
                    "form": "keywords", "instrument": "asker", "prompts": pins_of("plate_keywords_v1"),
                    "parameters": {"max_new_tokens": keyword_tokens},
                },
                {"form": "description", "instrument": "asker",
                 "prompts": pins_of("plate_description_of_keywords_v1")},
            ],
        }
    )  # fmt: skip


def fingerprints(plan: StagePlan) -> list[str]:
    specs = {"captioner": text_spec("captioner"), "asker": text_spec("asker", "answer")}
    made: list[InstrumentIdentity] = []
    for spec in derive_stages("made", plan, specs):
        made.append(identity(spec, 1, made[-1] if made else None))
    return [one.fingerprint for one in made]


def test_the_projects_stages_read_each_other():
    specs = [PROJECT.specs[key] for key in STAGES]
    assert [spec.upstream for spec in specs] == [None, *STAGES[:2]]
    assert [spec.output and spec.output.model_dump()["form"] for spec in specs] == [
        "caption",
        "keywords",
        "description",
    ]
    assert [spec.variant_of for spec in specs] == [None, "qwen2_vl_2b", "qwen2_vl_2b"]
    (description,) = PROMPTS.asked(specs[2].prompts or [])
    assert description.json_schema
    assert PROJECT.problems == ()


def test_the_projects_ranking_reads_the_keywords_and_vectors_of_its_own_model_and_no_stage_reads_it():
    spec = PROJECT.specs[RANKING]
    assert spec.reads == ("plate_text_keywords", "siglip_so400m_patch14_384")
    assert (spec.role, spec.output and spec.output.model_dump()["form"]) == ("text", "ranking")
    assert spec.variant_of == "siglip_so400m_patch14_384_prompts"
    assert all("{}" in prompt.text for prompt in PROMPTS.asked(spec.prompts or []))
    assert [one.key for one in PROJECT.specs.values() if RANKING in one.reads] == []


def test_a_changed_stage_changes_those_after_it_and_nothing_else():
    before = fingerprints(plan_of())
    assert len(set(before)) == 3
    caption, keywords = fingerprints(plan_of(caption_tokens=9)), fingerprints(plan_of(keyword_tokens=9))
    assert [one != other for one, other in zip(before, caption, strict=True)] == [True, True, True]
    assert [one != other for one, other in zip(before, keywords, strict=True)] == [False, True, True]


def problems_with(folder: Path, **changed: object) -> list[str]:
    specs = copy_of_project(folder)
    path = specs / "stages" / "plate_text.yaml"
    content: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    write_spec(specs / "stages", {**content, **changed}, path.stem)
    return [str(problem) for problem in read_registry(specs).problems]


def test_a_stage_must_be_served_by_what_writes(tmp_path: Path):
    stages = [{"form": "caption", "instrument": "dinov2_large"}, {"form": "keywords", "instrument": "nothing"}]
    assert problems_with(tmp_path, stages=stages) == [
        "stages/plate_text.yaml: stages.0.instrument: found 'dinov2_large', expected an instrument of role 'text'",
        "stages/plate_text.yaml: stages.1.instrument: found 'nothing', expected an instrument of role 'text'",
    ]


KEYWORDS = {"form": "keywords", "instrument": "florence_2_base"}


@pytest.mark.parametrize("instrument", ["dinov2_large", "siglip_so400m_patch14_384", "qwen2_vl_2b", "nothing"])
def test_a_ranking_must_be_served_by_a_probe_with_a_text_tower(instrument: str, tmp_path: Path):
    stages = [KEYWORDS, {"form": "ranking", "instrument": instrument}]
    assert problems_with(tmp_path, stages=stages) == [
        f"stages/plate_text.yaml: stages.1.instrument: found {instrument!r}, expected a probe that compares prompts "
        f"with the vectors of an embedding"
    ]


def test_a_ranking_comes_after_the_keywords(tmp_path: Path):
    stages = [{"form": "ranking", "instrument": "clip_vit_base_patch32_prompts"}, KEYWORDS]
    assert any("a ranking must come after the keywords" in one for one in problems_with(tmp_path, stages=stages))


def test_only_a_ranking_has_settings_of_one(tmp_path: Path):
    stages = [{**KEYWORDS, "ranking": {"draws": 10}}]
    assert any("only a stage of the form ranking has" in one for one in problems_with(tmp_path, stages=stages))


def test_a_question_must_be_given_what_it_takes_in(tmp_path: Path):
    stages = [{"form": "keywords", "instrument": "qwen2_vl_2b", "prompts": pins_of("plate_keywords_v1")}]
    assert problems_with(tmp_path, stages=stages) == [
        "plate_text_keywords.yaml: upstream: found None, which gives no text, expected an instrument that gives "
        "caption, which its questions take in"
    ]


def test_labels_are_no_questions(tmp_path: Path):
    stages = [{"form": "caption", "instrument": "qwen2_vl_2b", "prompts": pins_of("medium_v1")}]
    assert problems_with(tmp_path, stages=stages) == [
        "plate_text_caption.yaml: prompts: found medium_v1, alternatives, expected sets of questions"
    ]

"""An instrument that ranks keywords: what it reads is part of what it is, and must fit together."""

from pathlib import Path
from typing import Any

import pytest
from support.made_answers import PROMPTS, pins_of, text_registry, text_spec
from support.made_specs import PROJECT, copy_of_project, project_spec, write_spec

from atlas_resources.instruments.admission import missing_for_admission
from atlas_resources.instruments.instrument import InstrumentIdentity, fingerprint, identity
from atlas_resources.instruments.prompts import PromptSet
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.ranking import RankingSettings
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.instruments.texts.rankings import can_rank, problems_with_ranking, ranking_fields

VECTORS, PROBE = "clip_vit_base_patch32", "clip_vit_base_patch32_prompts"
KEYWORDS = text_spec("made_keywords", "keywords")


def ranking(**changes: Any) -> Spec:
    """Ranks the keywords of `made_keywords` by CLIP."""
    fields = ranking_fields(project_spec(PROBE), RankingSettings(draws=20), PROMPTS_PINS)
    return project_spec(PROBE).model_copy(
        update={**fields, "key": "made_ranking", "upstream": "made_keywords", **changes}
    )


PROMPTS_PINS = [pin for pin in text_spec("any", prompts=pins_of("keyword_templates_v1")).prompts or []]
SPECS = {VECTORS: project_spec(VECTORS), "made_keywords": KEYWORDS}


def known(key: str, **changes: Any) -> InstrumentIdentity:
    spec = SPECS[key]
    return identity(spec.model_copy(update=changes), 1)


def test_only_probes_that_compare_texts_with_vectors_can_rank():
    able = {key for key, spec in PROJECT.specs.items() if can_rank(spec)}
    assert able == {
        "biomedclip_prompts",
        "clip_vit_base_patch32_prompts",
        "clip_vit_large_patch14_prompts",
        "siglip_so400m_patch14_384_prompts",
    }


def test_it_is_admitted_with_both_that_it_reads_and_waits_for_either():
    assert missing_for_admission(ranking(), SPECS) == []
    assert missing_for_admission(ranking(), {VECTORS: SPECS[VECTORS]}) == [
        "upstream: there is no instrument 'made_keywords'"
    ]
    assert missing_for_admission(ranking(), {"made_keywords": KEYWORDS}) == [
        f"ranking.vectors: there is no instrument {VECTORS!r}"
    ]
    idea = SPECS[VECTORS].model_copy(update={"licence": None})
    assert missing_for_admission(ranking(), {**SPECS, VECTORS: idea}) == [f"ranking.vectors: {VECTORS} is not admitted"]


def test_it_waits_for_templates():
    assert missing_for_admission(ranking(prompts=[]), SPECS) == ["prompts: no templates"]


def test_an_instrument_that_reads_itself_is_found_on_either_way():
    circle = KEYWORDS.model_copy(update={"upstream": "made_ranking"})
    assert missing_for_admission(ranking(), {**SPECS, "made_keywords": circle, "made_ranking": ranking()}) == [
        "upstream: made_ranking reads made_keywords reads made_ranking"
    ]


def test_both_that_it_reads_and_every_setting_are_part_of_its_fingerprint():
    keywords, vectors = known("made_keywords"), known(VECTORS)
    other_keywords = known("made_keywords", parameters={"max_new_tokens": 9})
    other_vectors = known(VECTORS, numeric=project_spec("dinov2_large").numeric)
    whole = ranking()
    settings = [{"draws": 21}, {"seed": 1}, {"coverage": 0.9}, {"top_count": 3}, {"vectors": "another"}]
    assert whole.ranking
    others = [ranking(ranking=whole.ranking.model_copy(update=changed)) for changed in settings]
    found = [
        fingerprint(whole, 1, keywords, vectors),
        fingerprint(whole, 1, other_keywords, vectors),
        fingerprint(whole, 1, keywords, other_vectors),
        *(fingerprint(other, 1, keywords, vectors) for other in others),
    ]
    assert len(set(found)) == len(found)


def test_the_identity_needs_both_and_has_the_terms_of_all_three():
    keywords, vectors = known("made_keywords"), known(VECTORS)
    with pytest.raises(ValueError, match=f"made_ranking: expected the identity of {VECTORS}, found None"):
        identity(ranking(), 1, keywords)
    strict = keywords.model_copy(update={"licence": "CC-BY-NC-4.0", "commercial_use": "no"})
    found = identity(ranking(), 1, strict, vectors)
    assert (found.licence, found.commercial_use) == ("CC-BY-NC-4.0 AND MIT", "no")


def test_the_registry_makes_it_with_both_that_it_reads():
    made = text_registry(*SPECS.values(), ranking()).instruments["made_ranking"]
    assert [one.key for one in made.reads] == ["made_keywords", VECTORS]
    assert made.depth == 1
    assert len(made.prompts) == 10


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (
            {"ranking": {"vectors": "made_keywords"}},
            "ranking.vectors: found 'made_keywords', text, expected an instrument of role 'embedding'",
        ),
        (
            {"ranking": {"vectors": "siglip_so400m_patch14_384"}},
            "expected an embedding by the same model, openai/clip-vit-base-patch32 at c237dc49",
        ),
        (
            {"upstream": "captions"},
            "upstream: found 'captions', which gives caption, expected an instrument that gives",
        ),
    ],
)
def test_what_it_reads_must_fit(changed: dict[str, Any], problem: str):
    spec = Spec.model_validate({**ranking().model_dump(mode="json"), **changed})
    specs = {**PROJECT.specs, **SPECS, "captions": text_spec("captions", "caption")}
    (found,) = problems_with_ranking(spec, specs)
    assert problem in str(found)


def test_a_probe_ranks_nothing_and_a_ranking_says_how(tmp_path: Path):
    specs = copy_of_project(tmp_path)
    content = project_spec(PROBE).model_dump(mode="json", exclude_none=True)
    content["ranking"] = {"vectors": VECTORS}
    write_spec(specs, content, PROBE)
    problems = [str(one) for one in read_registry(specs).problems]
    assert f"{PROBE}.yaml: ranking: found stated, expected null: clip_prompts ranks none" in problems


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["{}"], "templates must be at least two"),
        (["{}", "a picture"], r"each of the templates must have \{\} once"),
        (["{}", "{} and {}"], r"each of the templates must have \{\} once"),
        (["{}", "{caption} {}"], "only questions have"),
    ],
)
def test_a_template_takes_the_keyword_once(texts: list[str], message: str):
    prompts = [{"id": f"t{number}", "text": text} for number, text in enumerate(texts)]
    with pytest.raises(ValueError, match=message):
        PromptSet.model_validate(
            {"set": "made", "version": 1, "kind": "templates", "description": "", "prompts": prompts}
        )


def test_the_projects_templates_begin_with_the_keyword_alone():
    assert [prompt.text for prompt in PROMPTS.sets["keyword_templates_v1"].prompts][:3] == [
        "{}",
        "a picture of {}",
        "an engraving of {}",
    ]

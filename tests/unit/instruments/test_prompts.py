"""A recorded version of a prompt set never changes: an edit is told with the command that makes it a new version."""

import hashlib
import json
import shutil
from pathlib import Path

import pytest
import yaml
from support.made_specs import content_of, copy_of_project, with_field, write_spec
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli
from atlas_resources.instruments.prompts import PROMPTS_FOLDER, PromptsMismatch, read_prompts, record_prompts
from atlas_resources.instruments.registry import read_registry
from atlas_resources.instruments.spec.spec import PromptPin

MEDIUM = read_prompts().sets["medium_v1"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The project's own sets, to be edited."""
    return Path(shutil.copytree(PROMPTS_FOLDER, tmp_path / "prompts"))


def edit(folder: Path, name: str, old: str, new: str, to: str | None = None) -> None:
    text = (folder / f"{name}.yaml").read_text(encoding="utf-8")
    assert old in text
    (folder / f"{to or name}.yaml").write_text(text.replace(old, new), encoding="utf-8")


def atlas(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["models", *map(str, arguments)])


def test_the_project_ships_the_sets_it_speaks_of():
    read = read_prompts()
    assert read.problems == ()
    assert set(read.sets) == {
        f"{name}_v1"
        for name in (
            "absence", "arousal", "atmosphere", "dominance", "keyword_templates", "medium", "plate_caption",
            "plate_description", "plate_description_of_keywords", "plate_keywords", "plate_objects", "stability",
            "valence",
        )
    }  # fmt: skip
    assert [prompt.id for prompt in MEDIUM.prompts] == ["engraving", "photograph", "scan"]
    assert [prompt.id for prompt in read.sets["atmosphere_v1"].prompts] == [
        "pastoral",
        "oppressive",
        "desolate",
        "luminous",
    ]


def test_a_set_is_known_by_its_words_and_not_by_its_prose(folder: Path):
    """The digest by independent code, over the YAML as it stands without the description."""
    content = yaml.safe_load((PROMPTS_FOLDER / "medium_v1.yaml").read_text(encoding="utf-8"))
    del content["description"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    assert MEDIUM.sha256 == hashlib.sha256(text.encode()).hexdigest()
    assert MEDIUM.prompts[0].sha256 == hashlib.sha256(b"an engraving").hexdigest()
    edit(folder, "medium_v1", "What kind of picture it is.", "Prose.")
    assert read_prompts(folder).sets["medium_v1"].sha256 == MEDIUM.sha256


def test_editing_a_prompt_without_a_new_version_is_told_by_file_with_what_to_do(folder: Path):
    edit(folder, "medium_v1", "text: an engraving", "text: an etching")
    read = read_prompts(folder)
    assert "medium_v1" not in read.sets
    (problem,) = map(str, read.problems)
    assert problem.startswith("medium_v1.yaml: prompts: found sha256 ")
    assert f"expected {MEDIUM.sha256}, as recorded: restore it" in problem
    assert "medium_v2.yaml with version 2; then `atlas models prompts record`" in problem
    with pytest.raises(ValueError, match="as recorded: restore it"):
        record_prompts(folder)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("id: scan", "id: page"),
        ("kind: alternatives", "kind: objects"),
        ("  - {id: scan, text: a scan of a printed page}\n", ""),
    ],
)
def test_any_other_edit_is_told_as_well(folder: Path, old: str, new: str):
    edit(folder, "medium_v1", old, new)
    assert [problem.file for problem in read_prompts(folder).problems] == ["medium_v1.yaml"]


def test_a_new_version_is_recorded_beside_the_old_one_which_stays(folder: Path):
    edit(folder, "medium_v1", "version: 1", "version: 2", to="medium_v2")
    (problem,) = map(str, read_prompts(folder).problems)
    assert problem == (
        "medium_v2.yaml: version: found 2, not recorded, "
        "expected a recorded version: `atlas models prompts record` records it"
    )
    result = atlas("prompts", "record", folder)
    assert result.exit_code == 0
    read = read_prompts(folder)
    assert read.problems == ()
    assert result.stdout == f"recorded medium_v2: sha256 {read.sets['medium_v2'].sha256}\n"
    assert read.sets["medium_v1"] == MEDIUM
    assert read.sets["medium_v2"].sha256 != MEDIUM.sha256


def test_an_old_version_may_not_go(folder: Path):
    (folder / "medium_v1.yaml").unlink()
    (problem,) = map(str, read_prompts(folder).problems)
    assert problem == (
        "recorded.json: medium_v1: found no such file, "
        "expected medium_v1.yaml: old versions must stay readable; restore it"
    )


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("set: medium", "set: media", "medium_v1.yaml: set, version: found 'media_v1', expected the file's stem"),
        ("text: a photograph", "text: an engraving", "each text must be unique in a set"),
        ("id: photograph", "id: engraving", "each id must be unique in a set"),
        ("text: a photograph", "text: ' a photograph'", "medium_v1.yaml: prompts.1.text: found ' a photograph'"),
    ],
)
def test_a_broken_set_is_told_by_file_and_field(folder: Path, old: str, new: str, told: str):
    edit(folder, "medium_v1", old, new)
    assert told in "\n".join(map(str, read_prompts(folder).problems))


def test_a_broken_record_lets_nothing_pass(folder: Path):
    (folder / "recorded.json").write_text('{"sha256": {"medium_v1": "abc"}}', encoding="utf-8")
    read = read_prompts(folder)
    assert read.sets == {}
    assert str(read.problems[0]).startswith("recorded.json: sha256.medium_v1: found 'abc'")


def pin(**changes: object) -> dict:
    return {"set": "medium", "version": 1, "sha256": MEDIUM.sha256} | changes


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (pin(set="mood"), r"mood_v1.yaml: expected a prompt set; there are absence_v1, "),
        (pin(version=7), r"medium_v7.yaml: expected a prompt set; there are absence_v1, "),
        (pin(sha256="0" * 64), rf"medium_v1.yaml: expected the set of sha256 {'0' * 64}, found {MEDIUM.sha256}"),
    ],
)
def test_a_pin_of_another_set_is_refused_by_name(wrong: dict, told: str):
    with pytest.raises(PromptsMismatch, match=told):
        read_prompts().require([PromptPin.model_validate(wrong)])


def test_a_spec_whose_prompts_were_edited_is_broken_and_the_others_load(tmp_path: Path):
    folder = copy_of_project(tmp_path)
    write_spec(folder, with_field(content_of("grounding_dino_base"), ("prompts",), [pin()]))
    assert read_registry(folder).problems == ()
    edit(folder / "prompts", "medium_v1", "text: an engraving", "text: an etching")
    registry = read_registry(folder)
    towers = ("clip_vit_base_patch32", "clip_vit_large_patch14", "siglip_so400m_patch14_384", "biomedclip")
    asking = {"grounding_dino_base", *(f"{key}_prompts" for key in towers)}
    assert {problem.file for problem in registry.problems} == {
        "prompts/medium_v1.yaml",
        *(f"{key}.yaml" for key in asking),
    }
    assert not asking & set(registry.specs)
    assert "otsu_luma" in registry.specs
    checked = atlas("check", folder)
    assert checked.exit_code == 1
    assert "medium_v1.yaml: prompts: found sha256" in checked.stdout


def test_a_list_shows_texts_and_digests():
    shown = atlas("prompts", "list")
    assert shown.exit_code == 0
    assert f"medium version 1, alternatives, sha256 {MEDIUM.sha256}\n  engraving: an engraving\n" in shown.stdout

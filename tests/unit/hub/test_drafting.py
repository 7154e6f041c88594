"""`atlas models pin` drafts a spec of what the hub states, null for the rest, and lists what is to be declared."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from support.hub_server import Commit, Fault
from support.made_hubs import CONFIG, FILES, KEY, LATER, MODEL, REVISION, WEIGHTS, Bench, bench, only_loopback, sha256

from atlas_resources.hub.drafting.model_card import HubFile, needed_files
from atlas_resources.instruments.admission import missing_for_admission
from atlas_resources.instruments.aliases import key_of
from atlas_resources.instruments.registry import read_spec
from atlas_resources.instruments.spec.spec import Spec

__all__ = ["bench", "only_loopback"]  # fixtures

CLIP_PROCESSOR = {  # preprocessor_config.json of openai/clip-vit-base-patch32, as the hub has it
    "crop_size": 224,
    "do_center_crop": True,
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "CLIPFeatureExtractor",
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
    "resample": 3,
    "size": 224,
}
SHARDS, INDEX = [f"model-0000{part}-of-00002.safetensors" for part in (1, 2)], "model.safetensors.index.json"


def pinned(bench: Bench, *arguments: str) -> Spec:
    result = bench.atlas("pin", MODEL, "--write", "--key", "drafted", *arguments)
    assert result.exit_code == 0, result.output
    spec = read_spec(bench.specs / "drafted.yaml")
    assert isinstance(spec, Spec), spec
    return spec


def add_file(bench: Bench, name: str, content: Any) -> None:
    bench.repository.commits[REVISION].files[name] = json.dumps(content).encode()


def test_a_draft_is_printed_as_yaml_that_reads_back(bench: Bench, tmp_path: Path):
    result = bench.atlas("pin", MODEL)
    assert result.exit_code == 0
    content = yaml.safe_load(result.stdout)
    assert content["key"] == "tiny_clip"
    assert content["weights"] == {
        "kind": "hub",
        "repository": MODEL,
        "revision": REVISION,
        "files": [
            {"path": "model.safetensors", "format": "safetensors", "sha256": sha256(WEIGHTS), "size_bytes": 16384},
            {"path": "config.json", "format": "json", "sha256": sha256(CONFIG), "size_bytes": len(CONFIG)},
        ],
    }
    assert (content["role"], content["loader"], content["licence"], content["output"]) == (
        "embedding",
        "clip",
        None,
        None,
    )
    assert f"config.json of {MODEL} @{REVISION}, sha256 {sha256(CONFIG)}" in content["sources"]


def test_a_written_draft_is_an_idea_until_a_person_declares_the_rest(bench: Bench):
    missing = " ".join(missing_for_admission(pinned(bench)))
    for field in ("licence", "output", "preprocessing"):
        assert field in missing
    assert "numeric" not in missing  # as in its family


def test_what_a_person_must_declare_is_listed_with_the_hubs_hints(bench: Bench):
    printed = bench.atlas("pin", MODEL, "--write", "--key", "drafted").stdout
    assert (
        "The hidden size (32) is not a multiple of the number of attention heads (12). (config.json has projection_dim "
        "24; config.json has vision_config.hidden_size 32; config.json has vision_config.image_size 56)"
    ) in printed
    assert "- failure_modes" not in printed
    assert "- licence: the hub's tag is not given; `atlas models pin --fill drafted --licence SPDX`" in printed
    assert "Then: atlas models check; atlas models pull drafted" in printed


def test_every_file_is_listed_with_size_and_digest(bench: Bench):
    printed = bench.atlas("pin", MODEL, "--write", "--key", "drafted").stdout
    assert all(name in printed for name in FILES)
    assert sha256(WEIGHTS) in printed


def test_an_existing_spec_is_not_overwritten(bench: Bench):
    path = bench.specs / f"{KEY}.yaml"
    before = path.read_bytes()
    result = bench.atlas("pin", MODEL, "--write")
    assert result.exit_code == 1
    assert f"{path} exists already and is not overwritten. Give another --key" in result.stderr
    assert path.read_bytes() == before


def test_an_invalid_key_is_refused(bench: Bench):
    result = bench.atlas("pin", MODEL, "--write", "--key", "../escaped")
    assert result.exit_code == 1
    assert "key: found '../escaped'" in result.stderr


def test_the_licence_is_taken_from_card_or_tag(bench: Bench):
    bench.repository.metadata["tags"] = ["clip", "license:cc-by-nc-4.0"]
    licence = pinned(bench).licence
    assert licence is not None
    assert (licence.spdx, licence.commercial_use) == ("CC-BY-NC-4.0", "no")
    bench.repository.metadata["cardData"] = {"license": "mit"}
    assert yaml.safe_load(bench.atlas("pin", MODEL).stdout)["licence"]["spdx"] == "MIT"


def test_a_licence_without_plain_terms_is_left_to_a_person(bench: Bench):
    bench.repository.metadata["tags"] = ["license:other"]
    assert pinned(bench).licence is None


def test_a_tag_is_pinned_by_the_commit_it_names_now(bench: Bench):
    assert yaml.safe_load(bench.atlas("pin", f"{MODEL}@v1").stdout)["weights"]["revision"] == REVISION
    bench.repository.commits[LATER] = Commit({**FILES})
    bench.repository.refs["v1"] = LATER
    assert yaml.safe_load(bench.atlas("pin", f"{MODEL}@v1").stdout)["weights"]["revision"] == LATER


def test_a_plain_preprocessor_becomes_the_projects_preprocessing(bench: Bench):
    add_file(bench, "preprocessor_config.json", CLIP_PROCESSOR)
    steps = pinned(bench).preprocessing
    assert steps is not None
    assert steps.resize is not None
    assert (steps.resize.mode, steps.resize.size_px, steps.crop_px) == ("shortest_side", 224, 224)
    assert (steps.interpolation, steps.mean) == ("bicubic", (0.48145466, 0.4578275, 0.40821073))


def test_a_processor_without_a_class_takes_that_of_the_model_type(bench: Bench):
    """CLIP's processor crops to 224 px where its file gives no other size."""
    add_file(bench, "config.json", {"model_type": "clip"})
    add_file(bench, "preprocessor_config.json", {"size": 336})
    steps = pinned(bench).preprocessing
    assert steps is not None
    assert steps.resize is not None
    assert (steps.resize.mode, steps.resize.size_px, steps.crop_px) == ("shortest_side", 336, 224)


@pytest.mark.parametrize(
    "content",
    [
        {"image_processor_type": "Qwen2VLImageProcessor"},  # its sizes are numbers of pixels in all
        {"image_processor_type": "Studio", "auto_map": {"AutoImageProcessor": "studio/code--steps.Studio"}},
        {"image_processor_type": 5},
    ],
    ids=str,
)
def test_a_processor_that_a_spec_cannot_state_is_left_to_a_person(bench: Bench, content: dict[str, Any]):
    add_file(bench, "preprocessor_config.json", content)
    drafted = bench.atlas("pin", MODEL)
    assert yaml.safe_load(drafted.stdout)["preprocessing"] is None
    assert "# - preprocessing: no preprocessor_config.json whose steps a spec can state" in drafted.stdout


def files(*paths: str) -> tuple[HubFile, ...]:
    return tuple(HubFile(path, 1, None) for path in paths)


@pytest.mark.parametrize(
    ("there", "needed"),
    [
        (["config.json", "model.safetensors", "pytorch_model.bin"], ["model.safetensors", "config.json"]),
        (["config.json", *SHARDS, INDEX], [INDEX, *SHARDS, "config.json"]),
        (["config.json", "pytorch_model.bin", "onnx/model.bin"], ["pytorch_model.bin", "config.json"]),
        (["README.md"], []),
    ],
)
def test_safetensors_come_before_pickles(there: list[str], needed: list[str]):
    assert [file.path for file in needed_files(files(*there))] == needed


def test_a_pickle_is_listed_for_a_person(bench: Bench):
    del bench.repository.commits[REVISION].files["model.safetensors"]
    assert "# - weights: no safetensors here; pytorch_model.bin is a pickle" in bench.atlas("pin", MODEL).stdout


@pytest.mark.parametrize(
    ("model_id", "key"),
    [
        ("openai/clip-vit-base-patch32", "clip_vit_base_patch32"),
        ("owner/3D.Model--X", "model_3d_model_x"),
        ("o/" + "a" * 90, "a" * 63),
    ],
)
def test_a_key_is_made_of_the_name(model_id: str, key: str):
    assert key_of(model_id) == key


def test_text_from_a_hub_cannot_end_a_comment_or_control_a_terminal(bench: Bench):
    bench.repository.metadata |= {"pipeline_tag": "x\nkey: stolen\x1b[31m", "tags": ["license:y\nrole: probe"]}
    result = bench.atlas("pin", MODEL)
    content = yaml.safe_load(result.stdout)
    assert (content["key"], content["role"]) == ("tiny_clip", "embedding")
    assert "\x1b" not in result.stdout


def test_a_renamed_model_is_pinned_under_its_current_id(bench: Bench):
    bench.repository.metadata["id"] = "studio/tiny-clip"
    bench.fake.repositories["studio/old-name"] = bench.repository
    result = bench.atlas("pin", "studio/old-name", "--write", "--key", "moved")
    assert "studio/old-name is studio/tiny-clip now." in result.stderr
    spec = read_spec(bench.specs / "moved.yaml")
    assert isinstance(spec, Spec)
    assert spec.model_id == MODEL


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("studio/nothing", "there is no such model at "),
        (f"{MODEL}@v9", f"{MODEL}@v9: there is no such revision"),
        ("a/b/c", "'a/b/c' is not the id of a repository. Write it as owner/name."),
    ],
)
def test_what_the_hub_does_not_have_is_reported(bench: Bench, asked: str, message: str):
    result = bench.atlas("pin", asked)
    assert message in result.stderr
    assert result.exit_code == 1


def test_a_gated_model_is_reported(bench: Bench):
    bench.repository.is_gated = True
    assert f"{MODEL}: the model is gated. Accept its terms" in bench.atlas("pin", MODEL).stderr


@pytest.mark.parametrize("body", [b"<html>", b"[]", b"{}"])
def test_an_answer_that_is_not_a_hubs_is_reported(bench: Bench, body: bytes):
    bench.fake.faults.append(Fault("GET", "/tiny-clip", status=200, body=body))
    assert "does not answer as a model hub does. Check HF_ENDPOINT." in bench.atlas("pin", MODEL).stderr


def test_a_configuration_that_is_not_json_is_reported(bench: Bench):
    bench.repository.commits[REVISION].files["config.json"] = b"{"
    assert "config.json: expected a JSON object, found none." in bench.atlas("pin", MODEL).stderr

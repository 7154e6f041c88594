"""`atlas models pin --fill KEY` completes a present spec: digests from the hub, the rest from its family."""

import json
from pathlib import Path
from typing import Any

import pytest
from support import tiny_networks as tiny
from support.hub_server import Commit, Repository
from support.made_checkpoints import full_clip, tiny_hub_sam
from support.made_hubs import MODEL, REVISION, Bench, bench, only_loopback, sha256
from support.made_instruments import CONVNEXT
from support.made_specs import PROJECT, content_of, copy_of_project, with_field, write_spec
from transformers import CLIPImageProcessorPil, SamImageProcessorPil
from typer.testing import Result

from atlas_resources.instruments.registry import Registry, read_registry
from atlas_resources.instruments.spec.weights import HubWeights

__all__ = ["bench", "only_loopback"]  # fixtures


@pytest.fixture
def studio(bench: Bench, tmp_path: Path) -> Bench:
    bench.specs = copy_of_project(tmp_path / "project")
    return bench


def publish(studio: Bench, key: str, folder: Path, *parts: Any) -> dict[str, bytes]:
    """Puts what the parts save of themselves at the revision that a spec of the project pins."""
    weights = PROJECT.specs[key].weights
    assert isinstance(weights, HubWeights)
    assert weights.revision is not None
    for part in parts:
        part.save_pretrained(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    commits = {weights.revision: Commit(files)}
    studio.fake.repositories[weights.repository] = Repository(commits, {"main": weights.revision}, {"tags": []})
    return files


def fill(studio: Bench, key: str, *options: str) -> Result:
    return studio.atlas("pin", "--fill", key, *options)


def text_of(studio: Bench, key: str) -> str:
    return (studio.specs / f"{key}.yaml").read_text(encoding="utf-8")


def registry_of(studio: Bench) -> Registry:
    registry = read_registry(studio.specs)
    assert registry.problems == ()
    return registry


def test_an_idea_that_waits_for_its_digest_is_admitted_by_one_command(studio: Bench, tmp_path: Path):
    key = "sam_vit_base_hub"
    files = publish(studio, key, tmp_path / "published", tiny_hub_sam(), SamImageProcessorPil())
    result = fill(studio, key)
    assert result.exit_code == 0, result.output
    assert f"{key}: admitted\n" in result.stdout
    weights = registry_of(studio).instruments[key].spec.weights
    assert isinstance(weights, HubWeights)
    assert {file.path: file.sha256 for file in weights.files} == {
        name: sha256(files[name]) for name in ("model.safetensors", "config.json")
    }
    assert registry_of(studio).specs[key].sources[-1] == (
        "sha256 of model.safetensors, sha256 of config.json, sha256 of preprocessor_config.json: the hub's metadata of "
        "facebook/sam-vit-base @70c1a07f894ebb5b307fd9eaaee97b9dfc16068f"
    )


def test_only_the_weights_and_their_source_are_rewritten(studio: Bench, tmp_path: Path):
    key = "aimv2_large_patch14_336"
    before = text_of(studio, key)
    files = publish(studio, key, tmp_path / "published", tiny.aimv2())
    files["config.json"] = json.dumps(json.loads(files["config.json"]) | {"hidden_size": 1024}).encode()
    assert f"{key}: admitted\n" in fill(studio, key).stdout
    after = text_of(studio, key)
    start, end = before.index("weights:\n"), before.index("licence:\n")
    assert after.startswith(before[:start])
    assert before[end:].rstrip("\n") in after


def test_a_classifier_gets_files_preprocessing_mode_and_failure_modes(studio: Bench, tmp_path: Path):
    """WikiArt: the spec has a revision and the number of labels, and nothing else."""
    key = "wikiart_convnext_tiny"
    network = tiny.classifier("convnext")
    publish(studio, key, tmp_path / "published", network, CONVNEXT)
    write_spec(studio.specs, with_field(content_of(key), ("output", "count"), len(tiny.LABELS)))
    result = fill(studio, key)
    assert f"{key}: admitted\n" in result.stdout, result.output
    spec = registry_of(studio).instruments[key].spec
    output: Any = spec.output
    assert (output.labels, output.count) == ("wikiart", len(tiny.LABELS))  # as the spec said
    assert spec.failure_modes[0].source.endswith("arXiv 1706.04599")
    assert spec.preprocessing is not None
    assert spec.preprocessing.crop_px == CONVNEXT.size["shortest_edge"]


def test_a_classifier_of_emotions_gets_the_labels_of_its_configuration(studio: Bench, tmp_path: Path):
    key = "emotion_cartoon_vit_base"
    publish(studio, key, tmp_path / "published", tiny.classifier("vit"), CONVNEXT)
    assert f"{key}: admitted\n" in fill(studio, key).stdout
    output: Any = registry_of(studio).instruments[key].spec.output
    assert (output.labels, output.count) == ("configuration", len(tiny.LABELS))


def test_another_number_of_labels_than_declared_is_not_written_over(studio: Bench, tmp_path: Path):
    key = "wikiart_convnext_tiny"
    before = text_of(studio, key)
    publish(studio, key, tmp_path / "published", tiny.classifier("convnext"), CONVNEXT)
    result = fill(studio, key)
    assert (result.exit_code, text_of(studio, key)) == (1, before)
    assert f"{key}: output.count is 11 and config.json of davanstrien/convnext-tiny-224-wikiart" in result.stderr
    assert "has count 5. Nothing was written." in result.stderr


def test_another_digest_than_declared_is_not_written_over(studio: Bench, tmp_path: Path):
    key = "sam_vit_base_hub"
    publish(studio, key, tmp_path / "published", tiny_hub_sam(), SamImageProcessorPil())
    content = with_field(
        content_of(key), ("weights", "files", 1), {"path": "config.json", "format": "json", "sha256": "0" * 64}
    )
    before = write_spec(studio.specs, content).read_text(encoding="utf-8")
    result = fill(studio, key)
    assert (result.exit_code, text_of(studio, key)) == (1, before)
    assert f"config.json: the spec pins sha256 {'0' * 64}, the hub states " in result.stderr


def test_a_revision_that_is_not_pinned_is_the_present_one(studio: Bench, tmp_path: Path):
    key = "sam_vit_base_hub"
    publish(studio, key, tmp_path / "published", tiny_hub_sam(), SamImageProcessorPil())
    write_spec(studio.specs, with_field(content_of(key), ("weights", "revision"), None))
    assert f"{key}: admitted\n" in fill(studio, key).stdout
    assert registry_of(studio).specs[key].weights == read_registry(studio.specs).specs[key].weights


def test_a_licence_may_be_declared_with_it(studio: Bench, tmp_path: Path):
    publish(studio, "clip_vit_base_patch32", tmp_path / "published", full_clip(), CLIPImageProcessorPil())
    idea = {**content_of("sam_vit_base_hub"), "licence": None}
    write_spec(studio.specs, idea)
    publish(studio, "sam_vit_base_hub", tmp_path / "sam", tiny_hub_sam(), SamImageProcessorPil())
    assert "idea: licence" in fill(studio, "sam_vit_base_hub").stdout
    assert "admitted\n" in fill(studio, "sam_vit_base_hub", "--licence", "Apache-2.0").stdout


@pytest.mark.parametrize(
    ("key", "words"),
    [("dinov2_base", "dinov2_base: admitted; nothing is filled in."), ("eva_clip_8b", "eva_clip_8b: refused; nothing")],
)
def test_what_is_no_idea_is_left_alone(key: str, words: str, studio: Bench):
    before = text_of(studio, key)
    result = fill(studio, key)
    assert (result.exit_code, text_of(studio, key)) == (0, before)
    assert words in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Give either the ID of a model, or --fill KEY."),
        ([MODEL, "--fill", "sam_vit_base_hub"], "Give either the ID of a model, or --fill KEY."),
        (["--fill", "sam9"], "no instrument 'sam9'"),
    ],
)
def test_what_cannot_be_filled_says_why(arguments: list[str], message: str, studio: Bench):
    result = studio.atlas("pin", *arguments)
    assert result.exit_code == 1
    assert message in result.stderr


def test_a_variant_of_an_idea_is_filled_by_filling_the_idea(studio: Bench):
    numeric = {"dtype": "float32", "device": "cpu"}
    write_spec(studio.specs, {"key": "varied", "variant_of": "sam_vit_base_hub", "numeric": numeric})
    assert "varied has no facts of its own. Fill sam_vit_base_hub instead." in fill(studio, "varied").stderr


FILE = b"the weights of a network" * 100


def served(studio: Bench, home: Path, name: str, patch: pytest.MonkeyPatch) -> str:
    """A spec whose file comes from an address, as torchvision's do, and has no digest."""
    patch.setenv("TORCH_HOME", str(home))
    studio.repository.commits[REVISION] = Commit({name: FILE})
    key = "convnext_tiny_imagenet1k_v1"
    url = f"{studio.fake.storage}/{MODEL}/{REVISION}/{name}"
    content = with_field(content_of(key), ("weights", "files"), [{"path": name, "format": "pickle", "url": url}])
    write_spec(studio.specs, content)
    return key


def test_a_digest_that_the_files_name_begins_is_taken_from_the_file(
    studio: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """torch.hub's rule of names: eight digits of the sha256 after a hyphen."""
    name = f"network-{sha256(FILE)[:8]}.pth"
    key = served(studio, tmp_path / "torch", name, monkeypatch)
    result = fill(studio, key)
    assert f"{key}: admitted\n" in result.stdout, result.output
    spec = registry_of(studio).instruments[key].spec
    assert spec.weights is not None
    assert spec.weights.files[0].sha256 == sha256(FILE)  # type: ignore[union-attr] # library weights
    assert spec.sources[-1].endswith("served; the file's name begins it")
    assert (tmp_path / "torch" / "hub" / "checkpoints" / name).is_file()  # and so it needs no other pull


def test_a_file_whose_name_begins_another_digest_is_removed(
    studio: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    key = served(studio, tmp_path / "torch", "network-00000000.pth", monkeypatch)
    before = text_of(studio, key)
    result = fill(studio, key)
    assert (result.exit_code, text_of(studio, key)) == (1, before)
    assert (
        f"should have a sha256 that begins with 00000000, found {sha256(FILE)}. The file was removed." in result.stderr
    )
    assert not (tmp_path / "torch" / "hub" / "checkpoints" / "network-00000000.pth").exists()


def test_a_digest_that_nothing_states_is_left_to_a_person(
    studio: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    key = served(studio, tmp_path / "torch", "network.pth", monkeypatch)
    before = text_of(studio, key)
    result = fill(studio, key)
    assert (result.exit_code, text_of(studio, key)) == (1, before)
    assert (
        f"has sha256 {sha256(FILE)}, and nothing states that it should. If you trust {studio.fake.storage}"
        in result.stderr
    )


TEMPLATE = "{{ messages }}"


def unpinned_qwen(studio: Bench) -> dict[str, bytes]:
    """Publishes a chat model's files, of which the spec pins none. Returns them."""
    content = content_of("qwen2_vl_2b")
    files = {file["path"]: b"{}" for file in content["weights"]["files"]}
    files["chat_template.json"] = json.dumps({"chat_template": TEMPLATE}).encode()
    for file in content["weights"]["files"]:
        file.pop("sha256", None)
        file.pop("size_bytes", None)
    write_spec(studio.specs, content)
    weights = content["weights"]
    repository = Repository({weights["revision"]: Commit(files)}, {"main": weights["revision"]}, {"tags": []})
    studio.fake.repositories[weights["repository"]] = repository
    return files


def test_a_chat_model_gets_the_digests_of_its_words_and_of_its_template(studio: Bench):
    key = "qwen2_vl_2b"
    files = unpinned_qwen(studio)
    result = fill(studio, key)
    assert result.exit_code == 0, result.output
    assert f"{key}: admitted\n" in result.stdout
    spec = registry_of(studio).instruments[key].spec
    assert isinstance(spec.weights, HubWeights)
    assert {file.path: file.sha256 for file in spec.weights.files} == {path: sha256(files[path]) for path in files}
    assert spec.parameters["chat_template_sha256"] == sha256(TEMPLATE.encode())
    assert spec.parameters["max_pixels"] == PROJECT.specs[key].parameters["max_pixels"]


def test_without_a_template_the_model_stays_an_idea(studio: Bench):
    files = unpinned_qwen(studio)
    files["chat_template.json"] = b"{}"
    result = fill(studio, "qwen2_vl_2b")
    assert "parameters: no chat_template_sha256" in result.output

"""Every family that a loader serves: `atlas models pin --write` ends with an admitted spec, whose model loads.

From a hub with the tiny seeded network and its processor's file: pin, check, pull, derive for the CPU, load.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import open_clip
import pytest
import torch
from support import tiny_networks as tiny
from support.hub_server import Commit
from support.made_checkpoints import SIDE_PX, dinov2, full_clip, tiny_hub_sam, tiny_sam_hq
from support.made_detectors import bert_tokenizer, detr, grounding_dino
from support.made_hubs import MODEL, REVISION, Bench, bench, only_loopback
from support.made_instruments import CONVNEXT
from support.made_segmenters import tiny_mask2former
from support.made_specs import copy_of_project
from transformers import (
    BitImageProcessorPil,
    CLIPImageProcessorPil,
    DetrImageProcessorPil,
    GroundingDinoImageProcessorPil,
    Mask2FormerImageProcessorPil,
    SamImageProcessorPil,
    SiglipImageProcessorPil,
)

from atlas_resources.instruments.registry import read_registry
from atlas_resources.models.loading import load_model

__all__ = ["bench", "only_loopback"]  # fixtures

SQUARE: dict[str, Any] = {"height": SIDE_PX, "width": SIDE_PX}
Parts = tuple[Callable[[], Any], Any, tuple[Any, ...]]


def unnamed_classifier() -> Any:
    network = tiny.classifier("convnext")
    network.config.id2label = {number: f"LABEL_{number}" for number in range(len(tiny.LABELS))}
    return network


# By family: the network, its processor, further parts of the repository.
FAMILIES: dict[str, Parts] = {
    "clip": (full_clip, CLIPImageProcessorPil(size={"shortest_edge": SIDE_PX}, crop_size=SQUARE), ()),
    "dinov2": (dinov2, BitImageProcessorPil(size={"shortest_edge": 64}, crop_size=SQUARE), ()),
    "siglip": (tiny.siglip, SiglipImageProcessorPil(size=SQUARE), ()),
    "image_classifier": (lambda: tiny.classifier("convnext"), CONVNEXT, ()),
    "detr": (detr, DetrImageProcessorPil(), ()),
    "grounding_dino": (grounding_dino, GroundingDinoImageProcessorPil(), (bert_tokenizer(),)),
    "sam": (tiny_hub_sam, SamImageProcessorPil(), ()),
    "sam_hq": (tiny_sam_hq, SamImageProcessorPil(), ()),
    "mask2former": (
        lambda: tiny_mask2former(12),
        Mask2FormerImageProcessorPil(size={"height": 384, "width": 384}, do_reduce_labels=False),
        (),
    ),
}


def publish(bench: Bench, folder: Path, *parts: Any) -> None:
    """Puts what the parts save of themselves on the hub."""
    for part in parts:
        part.save_pretrained(folder)
    files = {path.name: path.read_bytes() for path in folder.iterdir()}
    large = frozenset(name for name in files if not name.endswith(".json"))
    bench.repository.commits[REVISION] = Commit(files, large)
    bench.repository.metadata["tags"] = ["license:mit"]


@pytest.fixture
def studio(bench: Bench, tmp_path: Path) -> Bench:
    """The project's own specs, which a draft's family inherits prompt sets from, are in the folder of specs."""
    bench.specs = copy_of_project(tmp_path / "project")
    return bench


@pytest.mark.parametrize("loader", FAMILIES)
def test_a_pinned_model_of_a_family_is_admitted_and_loads(loader: str, studio: Bench, tmp_path: Path):
    network, processor, further = FAMILIES[loader]
    publish(studio, tmp_path / "published", network(), processor, *further)
    result = studio.atlas("pin", MODEL, "--write", "--key", "drafted")
    assert result.exit_code == 0, result.output
    assert "drafted: admitted\n" in result.stdout
    assert "A person must still declare" not in result.stdout
    spec = read_registry(studio.specs).instruments["drafted"].spec
    assert spec.loader == loader
    assert spec.licence is not None
    assert (spec.licence.spdx, bool(spec.failure_modes)) == ("MIT", True)
    assert studio.atlas("pull", "drafted").exit_code == 0
    assert studio.atlas("derive", "drafted", "--device", "cpu").exit_code == 0
    instrument = read_registry(studio.specs).instruments["drafted_cpu"]
    assert load_model(instrument.spec, instrument.prompts) is not None


def test_a_pinned_open_clip_model_is_admitted_and_loads(studio: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With its own configuration and a pickle, of which only tensors are read."""
    monkeypatch.setitem(open_clip.factory._MODEL_CONFIGS, "tiny", tiny.OPEN_CLIP_SIZES)
    folder = tmp_path / "published"
    folder.mkdir()
    network = tiny.seeded(lambda: open_clip.create_model("tiny"))
    torch.save(network.state_dict(), folder / "open_clip_pytorch_model.bin")
    means = {"mean": open_clip.OPENAI_DATASET_MEAN, "std": open_clip.OPENAI_DATASET_STD}
    configuration = {"model_cfg": tiny.OPEN_CLIP_SIZES, "preprocess_cfg": means}
    (folder / "open_clip_config.json").write_text(json.dumps(configuration), encoding="utf-8")
    publish(studio, folder)
    result = studio.atlas("pin", MODEL, "--write", "--key", "drafted")
    assert "drafted: admitted\n" in result.stdout, result.output
    assert studio.atlas("pull", "drafted").exit_code == 0
    assert studio.atlas("derive", "drafted", "--device", "cpu").exit_code == 0
    assert load_model(read_registry(studio.specs).instruments["drafted_cpu"].spec) is not None


def test_the_labels_of_a_pinned_classifier_are_its_own(studio: Bench, tmp_path: Path):
    publish(studio, tmp_path / "published", tiny.classifier("convnext"), CONVNEXT)
    studio.atlas("pin", MODEL, "--write", "--key", "drafted")
    output: Any = read_registry(studio.specs).specs["drafted"].output
    assert (output.labels, output.count, output.activation) == ("configuration", len(tiny.LABELS), None)


def test_independent_labels_are_drafted_with_a_sigmoid(studio: Bench, tmp_path: Path):
    network = tiny.classifier("convnext")
    network.config.problem_type = "multi_label_classification"
    publish(studio, tmp_path / "published", network, CONVNEXT)
    studio.atlas("pin", MODEL, "--write", "--key", "drafted")
    output: Any = read_registry(studio.specs).specs["drafted"].output
    assert output.activation == "sigmoid"


@pytest.mark.parametrize(
    "case",
    [
        (
            full_clip,
            CLIPImageProcessorPil(),
            ["license:other"],
            "- licence: the hub's tag is other; `atlas models pin --fill drafted --licence SPDX`",
        ),
        (full_clip, None, ["license:mit"], "- preprocessing: no preprocessor_config.json"),
        (unnamed_classifier, CONVNEXT, ["license:mit"], "- output: config.json names no labels"),
    ],
    ids=["licence", "preprocessing", "labels"],
)
def test_the_one_thing_that_a_person_must_decide_is_said(
    case: tuple[Callable[[], Any], Any, list[str], str], studio: Bench, tmp_path: Path
):
    network, processor, tags, missing = case
    publish(studio, tmp_path / "published", network(), *([processor] if processor else []))
    studio.repository.metadata["tags"] = tags
    printed = studio.atlas("pin", MODEL, "--write", "--key", "drafted").stdout
    assert "drafted: idea: " in printed
    lines = printed.splitlines()
    (line,) = lines[lines.index("A person must still declare:") + 1 : -1]
    assert line.startswith(missing)


def test_a_licence_that_a_person_declares_completes_it(studio: Bench, tmp_path: Path):
    publish(studio, tmp_path / "published", full_clip(), CLIPImageProcessorPil())
    studio.repository.metadata["tags"] = []
    printed = studio.atlas("pin", MODEL, "--write", "--key", "drafted", "--licence", "CC-BY-NC-4.0").stdout
    assert "drafted: admitted\n" in printed
    licence = read_registry(studio.specs).specs["drafted"].licence
    assert licence is not None
    assert (licence.spdx, licence.commercial_use) == ("CC-BY-NC-4.0", "no")
    assert licence.source == "declared when the spec was drafted; the hub's licence tag is not given"


def test_what_was_declared_is_no_longer_asked_for(studio: Bench, tmp_path: Path):
    publish(studio, tmp_path / "published", full_clip())
    studio.repository.metadata["tags"] = []
    studio.atlas("pin", MODEL, "--write", "--key", "drafted")
    asked = (studio.specs / "drafted.yaml").read_text(encoding="utf-8")
    assert [line[:9] for line in asked.splitlines() if line.startswith("#")] == ["# Drafted", "# - licen", "# - prepr"]
    studio.atlas("pin", "--fill", "drafted", "--licence", "unknown")
    left = (studio.specs / "drafted.yaml").read_text(encoding="utf-8")
    assert [line[:9] for line in left.splitlines() if line.startswith("#")] == ["# Drafted", "# - prepr"]
    publish(studio, tmp_path / "published", CLIPImageProcessorPil())
    assert "drafted: admitted\n" in studio.atlas("pin", "--fill", "drafted").stdout
    assert "#" not in (studio.specs / "drafted.yaml").read_text(encoding="utf-8")


def test_a_pickle_that_the_family_does_not_read_keeps_it_an_idea(studio: Bench, tmp_path: Path):
    publish(studio, tmp_path / "published", full_clip(), CLIPImageProcessorPil())
    files = studio.repository.commits[REVISION].files
    files["pytorch_model.bin"] = files.pop("model.safetensors")
    studio.repository.commits[REVISION] = Commit(files, frozenset({"pytorch_model.bin"}))
    printed = studio.atlas("pin", MODEL, "--write", "--key", "drafted").stdout
    assert "- weights: no safetensors here; pytorch_model.bin is a pickle" in printed
    assert "drafted: idea: loader" in printed

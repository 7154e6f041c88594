"""Every loader loads and runs without opening a socket."""

import socket
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from support.made_checkpoints import pinned, put_in_torch_hub, tiny_hub_sam, tiny_sam, tiny_sam_hq, use_tiny_sam
from support.made_describers import made_blip, made_blip2_opt, made_florence, made_qwen2_vl
from support.made_detectors import detr, grounding_dino, miniature_detector, put_detector_in_hub_cache, seeded_mtcnn
from support.made_instruments import MINIATURES, in_snapshot
from support.made_readers import put_reader_in_hub_cache, reader_spec, trocr
from support.made_segmenters import ON_CPU, mask2former_spec, pinned_spec, tiny_mask2former
from support.made_specs import project_spec
from support.network import NetworkUsed, shut_network

from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.prompts import read_prompts
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders.segmenters.u2net import U2NetNetwork
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Describer, Detector, Embedder, LineReader, Question, Scorer, Segmenter
from atlas_resources.models.weights import is_on_disk

__all__ = ["shut_network"]  # a fixture


def tiny_sam_spec(folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    use_tiny_sam(patch)
    spec = project_spec("sam_vit_base")
    parameters = {**spec.parameters, "points_per_side": 2, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.0}
    return put_in_torch_hub(tiny_sam(), spec.model_copy(update={"parameters": parameters}), folder, patch)


def tiny_detr_spec(folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    spec = miniature_detector(project_spec("detr_resnet50"), threshold=0.0)
    return put_detector_in_hub_cache(detr(), spec, folder / "hub", patch)


def tiny_grounding_dino_spec(folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    spec = miniature_detector(project_spec("grounding_dino_base"), box_threshold=0.0, text_threshold=0.0)
    return put_detector_in_hub_cache(grounding_dino(), spec, folder / "hub", patch)


def seeded_u2net_spec(folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    """The one size that there is."""
    spec = project_spec("u2net").model_copy(update={"numeric": ON_CPU})
    snapshot = in_snapshot(spec, folder, patch)
    torch.save(U2NetNetwork().state_dict(), snapshot / "full_weights.pth")
    return pinned(spec, snapshot)


def miniature(name: str) -> Callable[[Path, pytest.MonkeyPatch], Spec]:
    return lambda folder, patch: MINIATURES[name](folder, patch).spec


INSTRUMENTS: dict[str, Callable[[Path, pytest.MonkeyPatch], Spec]] = {
    **{name: miniature(name) for name in MINIATURES},
    "efficientnet_lite0": lambda folder, patch: project_spec("efficientnet_lite0"),
    "efficientnet_lite0_imagenet": lambda folder, patch: project_spec("efficientnet_lite0_imagenet"),
    "efficientnet_lite2": lambda folder, patch: project_spec("efficientnet_lite2"),
    "efficientnet_lite2_imagenet": lambda folder, patch: project_spec("efficientnet_lite2_imagenet"),
    "otsu_luma": lambda folder, patch: project_spec("otsu_luma"),
    "u2netp": lambda folder, patch: project_spec("u2netp"),
    "sam_vit_base": tiny_sam_spec,
    "detr_resnet50": tiny_detr_spec,
    "grounding_dino_base": tiny_grounding_dino_spec,
    "mtcnn_faces": seeded_mtcnn,
    "ppocr_v6_small": lambda folder, patch: project_spec("ppocr_v6_small"),
    "tesseract": lambda folder, patch: project_spec("tesseract"),
    "trocr_base_printed": lambda folder, patch: put_reader_in_hub_cache(trocr(), reader_spec(), folder, patch),
    "sam_vit_base_hub": lambda folder, patch: pinned_spec("sam_vit_base_hub", tiny_hub_sam(), folder, patch),
    "sam_hq_vit_huge": lambda folder, patch: pinned_spec("sam_hq_vit_huge", tiny_sam_hq(), folder, patch),
    "mask2former_swin_large_ade": lambda folder, patch: mask2former_spec(tiny_mask2former(), folder, patch),
    "u2net": seeded_u2net_spec,
    "blip_image_captioning_base": lambda folder, patch: made_blip(folder, patch).spec,
    "blip2_opt_2_7b": lambda folder, patch: made_blip2_opt(folder, patch).spec,
    "florence_2_base_converted": lambda folder, patch: made_florence(folder, patch).spec,
    "qwen2_vl_2b": lambda folder, patch: made_qwen2_vl(folder, patch).spec,
}
LOADER_OF = {key: project_spec(key).loader for key in INSTRUMENTS if key not in MINIATURES}


def test_every_loader_is_among_the_cases():
    """Add a new loader of embeddings or probes to made_instruments.py, and any other that takes pixels to the cases."""
    here = {name: entry for name, entry in LOADERS.items() if not entry.is_served}
    taking_pixels = {name for name, entry in here.items() if entry.reads in (None, "text")}
    assert {name.partition(",")[0] for name in MINIATURES} | set(LOADER_OF.values()) == taking_pixels


def test_the_network_is_shut(shut_network: None):
    with pytest.raises(NetworkUsed), socket.socket() as opened:
        opened.connect(("127.0.0.1", 9))


def input_side_px(spec: Spec) -> tuple[int, int]:
    steps = spec.preprocessing
    assert steps is not None
    assert steps.resize is not None
    side_px = steps.crop_px or steps.resize.size_px
    return side_px, side_px


@pytest.mark.parametrize("key", INSTRUMENTS)
def test_it_loads_and_runs_without_a_socket(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shut_network: None
):
    spec = INSTRUMENTS[key](tmp_path, monkeypatch)
    if key == "tesseract" and not is_on_disk(spec):
        pytest.skip("needs Debian's tesseract-ocr-eng and tesseract-ocr-lat")
    model = load_model(spec, read_prompts().asked(spec.prompts or []))
    if isinstance(model, Describer):
        words = "" if spec.loader == "florence2" else "what bird"
        (answer,) = model.describe(np.zeros((48, 64, 3), np.uint8), [Question(text=words)])
        assert answer.output_token_count
        return
    if spec.role == "text":
        line = np.random.default_rng(0).integers(0, 256, (48, 200, 3), np.uint8)
        assert isinstance(model.read_lines([line]) if isinstance(model, LineReader) else model.read_page(line), list)  # type: ignore[union-attr] # a reader
        return
    batch = torch.zeros(2, 3, *input_side_px(spec))
    if isinstance(model, Scorer) and spec.role == "probe":
        assert len(model.score(batch)[0]) == 2
    elif isinstance(model, Embedder):
        assert len(model.embed(batch)) == 2
    elif isinstance(model, Detector):
        assert model.detect(torch.zeros(3, 160, 160))  # the coarsest of its maps has more than one cell
    else:
        assert isinstance(model, Segmenter)
        size = input_side_px(spec) if spec.loader == "onnx" else (48, 64)
        assert model.segment(np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8))


@pytest.mark.parametrize("key", ["clip_vit_base_patch32", "dinov2_base", "sam_vit_base"])
def test_missing_weights_are_an_error_and_not_a_download(
    key: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shut_network: None
):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="is not on disk; expected"):
        load_model(project_spec(key))

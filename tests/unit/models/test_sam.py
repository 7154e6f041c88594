"""`sam` and `sam_hq` give the masks that transformers' mask-generation pipeline gives over the same seeded weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support.made_checkpoints import tiny_hub_sam, tiny_sam_hq
from support.made_segmenters import pinned_spec
from transformers import SamImageProcessor, SamVisionConfig, pipeline
from transformers.models.sam import image_processing_sam
from transformers.models.sam.modeling_sam import SamVisionSdpaAttention

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders.segmenters.prompted import mask_generation
from atlas_resources.models.loaders.segmenters.prompted.attention import BlockedAttention
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Mask, Segmenter

SIZE: dict[str, Any] = {
    "size": {"longest_edge": 64},
    "pad_size": {"height": 64, "width": 64},
    "mask_size": {"longest_edge": 16},
}
MODELS = [("sam_vit_base_hub", tiny_hub_sam), ("sam_hq_vit_huge", tiny_sam_hq)]


def raster(height: int, width: int) -> np.ndarray:
    """uint8 [H, W, 3]: a dark disc and a brown rectangle on noisy paper."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.random.default_rng(3).integers(215, 240, (height, width, 3)).astype(np.uint8)
    pixels[(rows - height // 3) ** 2 + (columns - width // 3) ** 2 < (height // 5) ** 2] = (25, 25, 30)
    pixels[height * 2 // 3 : height * 5 // 6, width // 2 : width * 5 // 6] = (110, 70, 40)
    return pixels


def segment(spec: Spec, pixels: np.ndarray) -> list[Mask]:
    model = load_model(spec)
    assert isinstance(model, Segmenter)
    return model.segment(pixels)


def by_pipeline(network: Any, pixels: np.ndarray, parameters: dict[str, Any]) -> dict[str, Any]:
    generate = pipeline("mask-generation", model=network, image_processor=SamImageProcessor(**SIZE), device="cpu")
    return generate(
        Image.fromarray(pixels),
        points_per_crop=parameters["points_per_side"],
        points_per_batch=parameters["points_per_batch"],
        pred_iou_thresh=parameters["pred_iou_thresh"],
        stability_score_thresh=parameters["stability_score_thresh"],
        stability_score_offset=parameters["stability_score_offset"],
        crops_n_layers=parameters["crop_n_layers"],
        crop_overlap_ratio=parameters["crop_overlap_ratio"],
        crops_nms_thresh=parameters["crop_nms_thresh"],
    )


def require_same(masks: list[Mask], found: dict[str, Any]) -> None:
    """Same count, same masks in the same order, scores to float rounding."""
    assert len(masks) == len(found["masks"])
    for mask, pixels, score in zip(masks, found["masks"], found["scores"], strict=True):
        assert np.array_equal(mask.pixels, np.asarray(pixels))
        assert mask.predicted_iou == pytest.approx(float(score), rel=1e-4, abs=1e-5)
        assert mask.class_name is None


@pytest.mark.parametrize(("key", "made"), MODELS, ids=["sam", "sam_hq"])
def test_a_grid_over_the_whole_raster(
    key: str, made: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Rasters at the encoder's size, and one that it sees at half of its own; with suppression and without."""
    network = made()
    spec = pinned_spec(key, network, tmp_path, monkeypatch)
    counts = []
    for size, nms in (((48, 64), 1.0), ((64, 41), 1.0), ((96, 128), 1.0), ((48, 64), 0.7)):
        pixels = raster(*size)
        thresholds = {"box_nms_thresh": nms, "crop_nms_thresh": nms}
        asked = spec.model_copy(update={"parameters": {**spec.parameters, **thresholds}})
        masks = segment(asked, pixels)
        require_same(masks, by_pipeline(network, pixels, asked.parameters))
        counts.append(len({mask.counts for mask in masks}))
    assert min(counts[:3]) > 4  # different masks, so that equality proves something
    assert counts[3] < counts[0]


@pytest.mark.parametrize(("key", "made"), MODELS, ids=["sam", "sam_hq"])
def test_a_grid_over_crops(key: str, made: Callable[[], Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The pipeline suppresses once, over the masks of all crops together, by predicted IoU.

    A third of 192 px overlaps, so each of four crops has 128 px: the encoder sees all at a whole fraction, at which
    torchvision reduces as Pillow does. Seeded weights draw masks that fill their crop, which both would drop as cut
    off: both are kept from that.
    """

    def nothing(boxes: torch.Tensor, *_: Any) -> torch.Tensor:
        return torch.zeros(len(boxes), dtype=torch.bool)

    monkeypatch.setattr(image_processing_sam, "_is_box_near_crop_edge", nothing)
    monkeypatch.setattr(mask_generation, "is_cut_off", nothing)
    network = made()
    counts = []
    for nms in (1.0, 0.7):
        thresholds = {"box_nms_thresh": 1.0, "crop_nms_thresh": nms}
        order = {"crop_n_layers": 1, "crop_nms_order": "predicted_iou", "crop_overlap_ratio": 1 / 3}
        spec = pinned_spec(key, network, tmp_path / str(nms), monkeypatch, **order, **thresholds)
        pixels = raster(192, 192)
        masks = segment(spec, pixels)
        require_same(masks, by_pipeline(network, pixels, spec.parameters))
        counts.append(len({mask.counts for mask in masks}))
    assert counts[0] > 5  # there are five crops
    assert counts[0] > counts[1] > 1


@pytest.mark.parametrize("block_bytes", [1, 40 * 1024, 1 << 30])
@pytest.mark.parametrize("has_places", [True, False])
def test_attention_in_blocks_equals_the_librarys(has_places: bool, block_bytes: int):
    """Six windows of 5 x 5 positions and two heads, of 2,500 bytes a map: one row, sixteen maps, all at a time."""
    torch.manual_seed(7)
    config = SamVisionConfig(hidden_size=16, num_attention_heads=2, use_rel_pos=has_places)
    whole = SamVisionSdpaAttention(config, 5).eval()
    for values in whole.parameters():
        torch.nn.init.normal_(values)
    windows = torch.randn(6, 5, 5, 16)
    with torch.inference_mode():
        expected, none = whole(windows)
        found, also_none = BlockedAttention(whole, block_bytes)(windows)
    assert none is also_none is None
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6 * float(expected.abs().max()))


def test_a_snapshot_without_the_decoder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """SAM's weights lack those of SAM-HQ, which would be left random."""
    spec = pinned_spec("sam_vit_base_hub", tiny_hub_sam(), tmp_path, monkeypatch)
    with pytest.raises(ValueError, match="expected every weight of SamHQModel and no other, found none for"):
        load_model(spec.model_copy(update={"loader": "sam_hq"}))

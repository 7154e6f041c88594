"""`segment_anything` gives the masks that SamAutomaticMaskGenerator gives; so does the real ViT-B, seeded."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_checkpoints import put_in_torch_hub, spread, tiny_sam, use_tiny_sam
from made_specs import project_spec, write_spec
from segment_anything import SamAutomaticMaskGenerator, sam_model_registry
from segment_anything.modeling import Sam

from atlas_resources.inference import Mask, Segmenter, load_model
from atlas_resources.registry import read_spec
from atlas_resources.specs import Spec

# Seeded weights draw masks of no quality: the thresholds let all of them through, or nothing would be compared.
OPEN_THRESHOLDS = {"pred_iou_thresh": 0.0, "stability_score_thresh": 0.0, "box_nms_thresh": 1.0}


def raster(height: int = 48, width: int = 64) -> np.ndarray:
    """uint8 [H, W, 3]: a dark disc and a brown rectangle on noisy paper."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.random.default_rng(3).integers(215, 240, (height, width, 3)).astype(np.uint8)
    pixels[(rows - height // 3) ** 2 + (columns - width // 3) ** 2 < (height // 5) ** 2] = (25, 25, 30)
    pixels[height * 2 // 3 : height * 5 // 6, width // 2 : width * 5 // 6] = (110, 70, 40)
    return pixels


def read_pinned(network: Sam, folder: Path, patch: pytest.MonkeyPatch, **parameters: float) -> Spec:
    """The project's spec with the digest of this network's checkpoint, through a file."""
    spec = project_spec("sam_vit_base")
    spec = spec.model_copy(update={"parameters": {**spec.parameters, **OPEN_THRESHOLDS, **parameters}})
    saved = put_in_torch_hub(network, spec, folder / "torch", patch)
    read = read_spec(write_spec(folder / "model_specs", saved.model_dump(mode="json")))
    assert isinstance(read, Spec), read
    return read


def segment(spec: Spec, pixels: np.ndarray) -> list[Mask]:
    model = load_model(spec)
    assert isinstance(model, Segmenter)
    return model.segment(pixels)


def reference(network: Sam, pixels: np.ndarray, parameters: dict[str, Any]) -> list[dict[str, Any]]:
    """The library's own generator over the network that was saved."""
    with torch.no_grad():
        return SamAutomaticMaskGenerator(network, **parameters).generate(pixels)


def require_same(masks: list[Mask], records: list[dict[str, Any]]) -> None:
    assert len(masks) == len(records)
    for mask, record in zip(masks, records, strict=True):
        assert mask.pixels.dtype == np.bool_
        assert np.array_equal(mask.pixels, record["segmentation"])
        assert mask.predicted_iou == pytest.approx(record["predicted_iou"], rel=1e-5)
        assert mask.stability_score == pytest.approx(record["stability_score"], rel=1e-5)
        assert mask.class_name is None


@pytest.mark.parametrize("points_per_side", [2, 3, 4])
def test_small_networks_give_the_same_masks(points_per_side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use_tiny_sam(monkeypatch)
    network = spread(tiny_sam(), 0.5)
    spec = read_pinned(network, tmp_path, monkeypatch, points_per_side=points_per_side)
    records = reference(network, raster(), spec.parameters)
    assert (
        len({record["area"] for record in records}) > points_per_side
    )  # masks that differ, so that equality says something
    require_same(segment(spec, raster()), records)


def test_parameters_reach_the_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With the threshold at the upper median of the masks' own stability, some are left out and some stay."""
    use_tiny_sam(monkeypatch)
    network = spread(tiny_sam(), 0.5)
    spec = read_pinned(network, tmp_path, monkeypatch, points_per_side=3)
    masks = segment(spec, raster())
    stability = sorted(mask.stability_score or 0.0 for mask in masks)
    assert stability[0] < stability[-1] <= 1
    threshold = stability[len(stability) // 2]
    strict = spec.model_copy(update={"parameters": {**spec.parameters, "stability_score_thresh": threshold}})
    assert 0 < len(segment(strict, raster())) < len(masks)


@pytest.mark.parametrize("name", ["mean", "std"])
def test_another_normalisation_than_the_models_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use_tiny_sam(monkeypatch)
    spec = read_pinned(tiny_sam(), tmp_path, monkeypatch)
    assert spec.preprocessing is not None
    declared = spec.preprocessing.model_copy(update={name: (0.5, 0.5, 0.5)})
    with pytest.raises(
        ValueError, match=rf"the model's pixel_{name} is .*sam_vit_base\.yaml declares \(0\.5, 0\.5, 0\.5\)"
    ):
        load_model(spec.model_copy(update={"preprocessing": declared}))


def test_a_checkpoint_that_lacks_a_weight_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use_tiny_sam(monkeypatch)
    network = tiny_sam()
    del network.mask_decoder.iou_token
    with pytest.raises(RuntimeError, match=r"Missing key.*mask_decoder\.iou_token\.weight"):
        load_model(read_pinned(network, tmp_path, monkeypatch))


@pytest.mark.system
def test_the_real_architecture_gives_the_same_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """ViT-B as segment-anything builds it, 375 MB of seeded weights: two passes of its encoder, over a minute."""
    torch.manual_seed(7)
    network = sam_model_registry["vit_b"]().eval()
    spec = read_pinned(network, tmp_path, monkeypatch, points_per_side=3)
    records = reference(network, raster(), spec.parameters)
    assert len(records) > 3
    require_same(segment(spec, raster()), records)

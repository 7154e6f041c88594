"""`segment_anything` gives the masks that SamAutomaticMaskGenerator gives; so does the real ViT-B, seeded."""

import sys
import types
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage
from segment_anything import SamAutomaticMaskGenerator, automatic_mask_generator, sam_model_registry
from segment_anything.modeling import Sam
from segment_anything.modeling.image_encoder import Attention
from segment_anything.utils import amg
from support.made_checkpoints import put_in_torch_hub, spread, tiny_sam, use_tiny_sam
from support.made_specs import content_of, project_spec, write_spec

from atlas_resources.instruments.parameters.segmenting import SamParameters
from atlas_resources.instruments.registry import read_spec
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loaders.segmenters.prompted import mask_generation
from atlas_resources.models.loaders.segmenters.prompted.attention import BlockedAttention
from atlas_resources.models.loaders.segmenters.prompted.point_prompts import (
    Crop,
    boxes_of,
    is_cut_off,
    lay_crops,
    point_grid,
)
from atlas_resources.models.loaders.segmenters.prompted.segment_anything import SegmentAnything
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Mask, Segmenter
from atlas_resources.models.weights import WeightsMismatch

# Seeded weights give masks of low quality: the thresholds let all of them pass, or nothing would be compared.
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
        if np.isnan(record["stability_score"]):  # 0 / 0: nothing passes even the lower threshold
            assert mask.stability_score is None
        else:
            # A ratio of two counts of pixels: on some CPUs, one logit rounds to the other side of a threshold.
            one_pixel = 1 / max(record["area"], 1)
            assert mask.stability_score == pytest.approx(record["stability_score"], rel=1e-5, abs=one_pixel)
        assert mask.class_name is None


@pytest.mark.parametrize("points_per_side", [2, 3, 4])
def test_small_networks_give_the_same_masks(points_per_side: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use_tiny_sam(monkeypatch)
    network = spread(tiny_sam(), 0.5)
    spec = read_pinned(network, tmp_path, monkeypatch, points_per_side=points_per_side)
    records = reference(network, raster(), spec.parameters)
    assert (
        len({record["area"] for record in records}) > points_per_side
    )  # different masks, so that equality proves something
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


def keep_what_is_cut_off(patch: pytest.MonkeyPatch) -> None:
    """Seeded weights give masks that fill their crop, which both generator and reference would drop as cut off."""
    nothing = lambda boxes, *_: torch.zeros(len(boxes), dtype=torch.bool)  # noqa: E731 - a fake of one line
    patch.setattr(automatic_mask_generator, "is_box_near_crop_edge", nothing)
    patch.setattr(mask_generation, "is_cut_off", nothing)


def test_crops_give_the_same_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Suppressed within each crop by predicted IoU, then between crops with the smaller crop's first."""
    use_tiny_sam(monkeypatch)
    keep_what_is_cut_off(monkeypatch)
    network = spread(tiny_sam(), 0.5)
    crops = {"points_per_side": 4, "crop_n_layers": 1, "crop_n_points_downscale_factor": 2}
    thresholds = {"box_nms_thresh": 0.95, "crop_nms_thresh": 0.9, "stability_score_thresh": 0.05}
    spec = read_pinned(network, tmp_path, monkeypatch, **crops, **thresholds)
    records = reference(network, raster(100, 140), spec.parameters)
    assert len({tuple(record["crop_box"]) for record in records}) > 1
    require_same(segment(spec, raster(100, 140)), records)


@pytest.mark.parametrize("stability", [0.0, 0.05])
@pytest.mark.parametrize("min_area", [0, 40])
@pytest.mark.parametrize("crop_layers", [0, 1])
def test_masks_without_a_pixel_are_returned_where_the_reference_returns_them(
    crop_layers: int, min_area: int, stability: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The second mask of each point is empty. A stability threshold above 0 drops these masks; one of 0 does not."""
    use_tiny_sam(monkeypatch)
    monkeypatch.setitem(sys.modules, "cv2", fake_opencv())
    network = spread(tiny_sam(), 0.5)
    with torch.no_grad():
        for weight in network.mask_decoder.output_hypernetworks_mlps[2].parameters():
            weight.zero_()  # logits of 0, which is not above the threshold
    crops = {"points_per_side": 4, "crop_n_layers": crop_layers, "crop_n_points_downscale_factor": 2}
    asked = {**crops, "min_mask_region_area": min_area, "stability_score_thresh": stability}
    spec = read_pinned(network, tmp_path, monkeypatch, **asked)
    records = reference(network, raster(100, 140), spec.parameters)
    assert any(record["area"] > 0 for record in records)
    assert any(record["area"] == 0 for record in records) == (stability == 0)
    require_same(segment(spec, raster(100, 140)), records)


class DrawsNothing:
    """A model whose logits are below the threshold, two of them below the lower one of stability: -0.5, -1 and -5."""

    side_px = 64
    point_dtype: type[np.floating] = np.float64
    points_at_once: int | None = None

    def embed(self, raster: np.ndarray) -> None:
        pass

    def decode(self, embedding: None, points: np.ndarray) -> mask_generation.Decoded:
        logits = torch.tensor([-0.5, -1.0, -5.0])[None, :, None, None].expand(len(points), 3, 16, 16)
        ious = torch.tensor([[0.9, 0.8, 0.7]]).expand(len(points), 3)
        return mask_generation.Decoded(ious, lambda is_wanted: logits[is_wanted])


def test_the_stability_of_an_empty_mask_is_not_a_number():
    """Of one point: 0 of 3072 pixels is 0, 0 of 0 is none."""
    parameters = SamParameters.model_validate({"points_per_side": 1, "points_per_batch": 1, **OPEN_THRESHOLDS})
    masks = mask_generation.MaskGenerator(DrawsNothing(), parameters).segment(raster())
    assert [mask.stability_score for mask in masks] == [0.0, None, None]
    assert not any(mask.pixels.any() for mask in masks)


def fake_opencv() -> types.ModuleType:
    """The one function of OpenCV that the reference asks for, by SciPy: regions, and their sizes in the last column."""

    def connected_components(mask: np.ndarray, connectivity: int) -> tuple[int, np.ndarray, np.ndarray, None]:
        assert connectivity == 8
        regions = np.empty(mask.shape, np.int32)
        ndimage.label(mask, structure=np.ones((3, 3)), output=regions)
        sizes = np.bincount(regions.ravel())
        return len(sizes), regions, np.stack([np.zeros_like(sizes), sizes], axis=1), None

    module = types.ModuleType("cv2")
    module.connectedComponentsWithStats = connected_components  # type: ignore[attr-defined]
    return module


@pytest.mark.parametrize("min_area", [4, 40, 4000])
def test_small_regions_are_removed_as_by_the_reference(min_area: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    use_tiny_sam(monkeypatch)
    monkeypatch.setitem(sys.modules, "cv2", fake_opencv())
    network = spread(tiny_sam(), 0.5)
    asked = {"points_per_side": 3, "stability_score_thresh": 0.05, "box_nms_thresh": 0.99}
    spec = read_pinned(network, tmp_path, monkeypatch, **asked)
    untouched = reference(network, raster(), spec.parameters)
    spec = spec.model_copy(update={"parameters": {**spec.parameters, "min_mask_region_area": min_area}})
    records = reference(network, raster(), spec.parameters)
    assert [record["area"] for record in records] != [record["area"] for record in untouched]
    require_same(segment(spec, raster()), records)


@given(st.integers(30, 900), st.integers(30, 900), st.integers(0, 3), st.floats(0.05, 0.6))
def test_crops_are_where_the_reference_has_them(height: int, width: int, layers: int, overlap: float):
    boxes, numbers = amg.generate_crop_boxes((height, width), layers, overlap)
    crops = lay_crops(height, width, layers, overlap)
    assert [[crop.left, crop.top, crop.right, crop.bottom] for crop in crops] == boxes
    assert [crop.layer for crop in crops] == numbers


@given(st.integers(1, 40))
def test_points_are_where_the_reference_has_them(points_per_side: int):
    assert np.array_equal(point_grid(points_per_side), amg.build_point_grid(points_per_side))


@given(st.data())
def test_boxes_and_which_are_cut_off_equal_the_references(data: st.DataObject):
    """Masks in one crop of 120 x 150 within a raster of 200 x 300."""
    crop = Crop(1, *data.draw(st.sampled_from([(0, 0, 150, 120), (150, 80, 300, 200), (60, 40, 210, 160)])))
    corners = st.tuples(*[st.integers(0, 119), st.integers(0, 149)] * 2)
    drawn = data.draw(st.lists(corners, min_size=1, max_size=4))
    masks = torch.zeros(len(drawn) + 1, crop.height, crop.width, dtype=torch.bool)  # the last has no pixel
    for mask, (y, x, other_y, other_x) in zip(masks[:-1], drawn, strict=True):
        mask[y, x] = mask[other_y, other_x] = True
    boxes = boxes_of(masks)
    assert torch.equal(boxes, amg.batched_mask_to_box(masks).float())
    box = [crop.left, crop.top, crop.right, crop.bottom]
    in_raster = boxes + torch.tensor([crop.left, crop.top] * 2)
    expected = amg.is_box_near_crop_edge(boxes, box, [0, 0, 300, 200])
    assert torch.equal(is_cut_off(in_raster, crop, 200, 300), expected)


@pytest.mark.parametrize("block_bytes", [1, 40 * 1024, 1 << 30])
@pytest.mark.parametrize("has_places", [True, False])
def test_attention_in_blocks_equals_the_librarys(has_places: bool, block_bytes: int):
    """Six windows of 5 x 7 positions and two heads, of 4,900 bytes a map: one row, eight maps, all maps at a time."""
    torch.manual_seed(7)
    whole = Attention(16, 2, use_rel_pos=has_places, input_size=(5, 7)).eval()
    for values in whole.parameters():
        torch.nn.init.normal_(values)
    windows = torch.randn(6, 5, 7, 16)
    with torch.inference_mode():
        expected = whole(windows)
        found = BlockedAttention(whole, block_bytes)(windows)
        with pytest.raises(ValueError, match="has no map"):
            BlockedAttention(whole, block_bytes)(windows, output_attentions=True)
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-6 * float(expected.abs().max()))


def test_points_and_masks_are_decoded_as_by_the_library():
    """Eleven points, and the masks of a part of them, some points with one mask, some with none."""
    network = spread(tiny_sam(), 0.5)
    model = SegmentAnything(network, "cpu")
    points = point_grid(4)[:11] * (64, 48)
    is_wanted = torch.rand(11, 3, generator=torch.Generator().manual_seed(7)) < 0.3
    assert not is_wanted.any(dim=1).all()
    with torch.inference_mode():
        embedding = model.embed(raster())
        decoded = model.decode(embedding, points)
        prompts = torch.from_numpy(points)[:, None], torch.ones(11, 1, dtype=torch.int)
        sparse, dense = network.prompt_encoder(points=prompts, boxes=None, masks=None)
        pixels = network.preprocess(torch.from_numpy(raster()).permute(2, 0, 1)[None])
        logits, ious = network.mask_decoder(
            image_embeddings=network.image_encoder(pixels),
            image_pe=network.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=True,
        )
        drawn = decoded.draw(is_wanted)
    assert torch.allclose(decoded.predicted_iou, ious, rtol=1e-5, atol=1e-6)
    assert torch.allclose(drawn, logits[is_wanted], rtol=1e-4, atol=1e-6 * float(logits.abs().max()))


def test_a_model_is_given_no_more_points_than_it_decodes_at_once():
    """19 points of a batch in parts of at most 8: 7, 6 and 6; the last batch of 6 in one."""
    given = []

    class Few(DrawsNothing):
        points_at_once: int | None = 8

        def decode(self, embedding: None, points: np.ndarray) -> mask_generation.Decoded:
            given.append(len(points))
            return super().decode(embedding, points)

    asked = {**OPEN_THRESHOLDS, "points_per_side": 5, "points_per_batch": 19}
    mask_generation.MaskGenerator(Few(), SamParameters.model_validate(asked)).segment(raster())
    assert given == [7, 6, 6, 6]


def test_masks_that_the_model_itself_rates_low_are_not_drawn():
    """Of ratings 0.9, 0.8 and 0.7, one is above 0.85; with 0.95 no mask is asked for."""
    asked_for = []

    class Counts(DrawsNothing):
        def decode(self, embedding: None, points: np.ndarray) -> mask_generation.Decoded:
            decoded = super().decode(embedding, points)

            def draw(is_wanted: torch.Tensor) -> torch.Tensor:
                asked_for.append(is_wanted.tolist())
                return decoded.draw(is_wanted)

            return mask_generation.Decoded(decoded.predicted_iou, draw)

    for threshold in (0.85, 0.95):
        asked = {**OPEN_THRESHOLDS, "points_per_side": 1, "points_per_batch": 1, "pred_iou_thresh": threshold}
        mask_generation.MaskGenerator(Counts(), SamParameters.model_validate(asked)).segment(raster())
    assert asked_for == [[[True, False, False]]]


def test_more_layers_than_points_are_refused(tmp_path: Path):
    content = content_of("sam_vit_base")
    content["parameters"] |= {"points_per_side": 4, "crop_n_layers": 3, "crop_n_points_downscale_factor": 2}
    (problem,) = cast(list, read_spec(write_spec(tmp_path, content)))
    assert "points_per_side must be at least 8, found 4" in str(problem)


@pytest.mark.parametrize("name", ["mean", "std"])
def test_a_normalisation_other_than_the_models_is_refused(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
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
    with pytest.raises(WeightsMismatch, match=r"found others: mask_decoder\.iou_token\.weight .*, found none\)"):
        load_model(read_pinned(network, tmp_path, monkeypatch))


@pytest.mark.system
def test_the_real_architecture_gives_the_same_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """ViT-B as segment-anything builds it, 375 MB of seeded weights: two passes of its encoder, over a minute."""
    torch.manual_seed(7)
    network = sam_model_registry["vit_b"]().eval()
    spec = read_pinned(network, tmp_path, monkeypatch, points_per_side=3)
    records = reference(network, raster(), spec.parameters)
    assert len(records) == 27  # three of each point, some of them without a pixel
    assert any(record["area"] == 0 for record in records)  # their highest logits are -0.0007 to -0.011, noise is 1e-7
    require_same(segment(spec, raster()), records)

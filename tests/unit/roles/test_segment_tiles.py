"""A drawn region is found again at the source's pixels: plain, resized, tiled, and found in crops."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from pycocotools import mask as coco
from support.made_specs import project_spec

from atlas_assets.roles.segment_tiles import lay_tiles, segment_tiles
from atlas_assets.roles.segmentation import SegmentationWork
from atlas_resources.instruments.parameters.segmenting import SamParameters
from atlas_resources.instruments.spec.input import Resize, Tiling
from atlas_resources.models.loaders.segmenters.prompted.mask_generation import Decoded, MaskGenerator
from atlas_resources.models.loaders.segmenters.prompted.point_prompts import fitted_size
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Mask
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.runs.stages import Stopwatch

PAPER, INK = (240, 232, 215), (25, 25, 30)
HALF = Resize(mode="longest_side", size_px=192)  # for a source of 320 x 384
LOOSE = {"points_per_batch": 5, "pred_iou_thresh": 0.0, "stability_score_thresh": 0.9, "box_nms_thresh": 0.7}


def plate(folder: Path, printed: np.ndarray) -> tuple[Dataset, str]:
    """A dataset of one plate, with ink where the mask is True and paper elsewhere."""
    pixels = np.where(printed[..., None], INK, PAPER).astype(np.uint8)
    folder.mkdir(exist_ok=True)
    Image.fromarray(pixels).save(folder / "scan.png")
    dataset = Dataset(folder / "atlas")
    (registration,) = register_scans(dataset, [folder / "scan.png"])
    return dataset, str(registration.plate_id)


def printed_masks(folder: Path, printed: np.ndarray, model: Any, **preprocessing: Any) -> list[np.ndarray]:
    """The masks that are not paper, decoded from a plate's rows by pycocotools alone."""
    spec = project_spec("otsu_luma")
    assert spec.preprocessing is not None
    spec = spec.model_copy(update={"preprocessing": spec.preprocessing.model_copy(update=preprocessing)})
    if isinstance(model, MaskGenerator):
        assert spec.output is not None
        spec = spec.model_copy(update={"output": spec.output.model_copy(update={"classes": []})})
    dataset, plate_id = plate(folder, printed)
    work = SegmentationWork(spec, lambda: model or load_model(spec))
    work.load()
    (found,) = work.measure([work.prepare(dataset.plate(plate_id), None, Stopwatch())])
    return [
        coco.decode({"size": [row["height_px"], row["width_px"]], "counts": row["mask_rle"]}).astype(bool)
        for row in found.rows.to_dicts()
        if row["class_name"] != "paper"
    ]


def drawn(height: int, width: int, unit: int) -> np.ndarray:
    """An L and a bar, every edge at a multiple of the unit; the L crosses the middle of the raster both ways."""
    mask = np.zeros((height, width), bool)
    mask[4 * unit : 16 * unit, 4 * unit : 8 * unit] = True
    mask[12 * unit : 16 * unit, 4 * unit : 20 * unit] = True
    mask[4 * unit : 6 * unit, 14 * unit : 22 * unit] = True
    return mask


def union(masks: list[np.ndarray]) -> np.ndarray:
    return np.any(masks, axis=0)


@pytest.mark.parametrize(
    ("unit", "preprocessing"),
    [
        (8, {"resize": None}),
        (16, {"resize": HALF}),
        (8, {"resize": None, "tiling": Tiling(tile_px=100, overlap_px=20, merge_iou=0.5)}),
        (16, {"resize": HALF, "tiling": Tiling(tile_px=64, overlap_px=16, merge_iou=0.5)}),
    ],
    ids=["plain", "resized", "tiled", "resized and tiled"],
)  # fmt: skip
def test_a_threshold_segmenter_finds_both_regions(unit: int, preprocessing: dict[str, Any], tmp_path: Path):
    """20 by 24 units, so sources of 160 x 192 and 320 x 384. Seams split no region."""
    truth = drawn(20 * unit, 24 * unit, unit)
    masks = printed_masks(tmp_path, truth, None, **preprocessing)
    assert len(masks) == 2
    assert np.array_equal(union(masks), truth)
    assert not (masks[0] & masks[1]).any()


class InkAtThePoint:
    """A model whose masks are exactly the dark 4-connected regions of its input; for points on paper, nothing.

    Like a SAM, it works on a square, here of 192 px: its input is fitted to it, and its logits cover the square.
    """

    side_px = 192
    point_dtype: type[np.floating] = np.float64
    points_at_once: int | None = None

    def embed(self, raster: np.ndarray) -> np.ndarray:
        height, width = fitted_size(raster.shape[0], raster.shape[1], self.side_px)
        fitted = Image.fromarray(raster).resize((width, height), Image.Resampling.NEAREST)
        square = np.zeros((self.side_px, self.side_px), bool)
        square[:height, :width] = np.asarray(fitted)[..., 0] < 128
        return square

    def decode(self, embedding: np.ndarray, points: np.ndarray) -> Decoded:
        from skimage.measure import label

        regions = np.asarray(label(embedding, connectivity=1))
        logits = np.full((len(points), 3, self.side_px, self.side_px), -8.0, np.float32)
        for row, (x, y) in zip(logits, points.astype(int), strict=True):
            if regions[y, x]:
                row[0][regions == regions[y, x]] = 8.0
        drawn = torch.from_numpy(logits)
        return Decoded(torch.full((len(points), 3), 0.9), lambda is_wanted: drawn[is_wanted])


@pytest.mark.parametrize(
    ("unit", "layers", "preprocessing"),
    [
        (8, 0, {"resize": None}),  # the encoder sees the source's own pixels
        (16, 0, {"resize": None}),  # it sees half of them in each direction, and its logits are enlarged
        (16, 0, {"resize": HALF}),
        (16, 1, {"resize": None}),
    ],
    ids=["plain", "fitted to the encoder", "resized", "crops"],
)
def test_a_point_prompted_segmenter_finds_both_regions(
    unit: int, layers: int, preprocessing: dict[str, Any], tmp_path: Path
):
    """Logits of one step, enlarged twofold, cross zero halfway between two pixels' centres: at the drawn edge."""
    truth = drawn(20 * unit, 24 * unit, unit)
    parameters = SamParameters(points_per_side=12, crop_n_layers=layers, **LOOSE)  # type: ignore[arg-type]
    masks = printed_masks(tmp_path, truth, MaskGenerator(InkAtThePoint(), parameters), **preprocessing)
    assert len(masks) == 2
    assert np.array_equal(union(masks), truth)


def test_a_small_region_between_the_points_of_the_whole_is_found_in_a_crop(tmp_path: Path):
    """Two points per side are at 48 and 144 px of the whole, and at 32 and 96 px of crops that start at 0 and 64."""
    truth = np.zeros((192, 192), bool)
    truth[92:100, 92:100] = True
    found = {}
    for layers in (0, 1):
        parameters = SamParameters(points_per_side=2, crop_n_layers=layers, crop_overlap_ratio=1 / 3, **LOOSE)  # type: ignore[arg-type]
        model = MaskGenerator(InkAtThePoint(), parameters)
        found[layers] = printed_masks(tmp_path / str(layers), truth, model, resize=None)
    assert found[0] == []
    assert len(found[1]) == 1
    assert found[1][0].sum() == pytest.approx(64, abs=16)  # 128 px fitted to 192 px and back, by a ratio of 1.5
    rows, columns = np.nonzero(found[1][0])
    assert (rows.mean() + 0.5, columns.mean() + 0.5) == pytest.approx((96, 96), abs=1)


class GivesPieces:
    """A segmenter that returns one mask for each red level in `names`, each with the next of `scores`."""

    def __init__(self, names: dict[int, str], scores: list[float]):
        self.names = names
        self.scores = iter(scores)

    def segment(self, raster: np.ndarray) -> list[Mask]:
        masks = []
        for number, name in self.names.items():
            if (raster[..., 0] == number).any():
                mask = Mask.encode(raster[..., 0] == number, name)
                masks.append(Mask(mask.counts, mask.height_px, mask.width_px, name, None, next(self.scores), 0.5))
        return masks


def test_pieces_of_one_class_that_agree_in_the_overlap_are_joined():
    """A bar across three tiles of 40 px that overlap by 10 is one mask, with the lowest of its scores."""
    raster = np.zeros((40, 100, 3), np.uint8)
    raster[10:20, 5:95] = 1
    (mask,) = segment_tiles(GivesPieces({1: "a"}, [0.9, 0.7, 0.8]), raster, TILING)
    assert np.array_equal(mask.pixels, raster[..., 0] == 1)
    assert (mask.class_name, mask.predicted_iou, mask.stability_score) == ("a", 0.7, 0.5)


def test_pieces_of_two_classes_are_not_joined():
    """The second tile gives the same bar another class."""

    class ChangesItsMind(GivesPieces):
        def segment(self, raster: np.ndarray) -> list[Mask]:
            self.names = {1: "b" if self.names[1] == "a" else "a"}
            return super().segment(raster)

    raster = np.zeros((40, 70, 3), np.uint8)
    raster[10:20, 5:65] = 1
    masks = segment_tiles(ChangesItsMind({1: "b"}, [0.9, 0.9]), raster, TILING)
    assert [mask.class_name for mask in masks] == ["a", "b"]


def test_pieces_that_disagree_in_the_overlap_are_not_joined():
    """In columns 30 to 39, which both tiles cover, one mask has the upper half and the other the lower."""

    class Halves:
        def __init__(self):
            self.rows = iter((slice(0, 20), slice(20, 40)))

        def segment(self, raster: np.ndarray) -> list[Mask]:
            pixels = np.zeros(raster.shape[:2], bool)
            pixels[next(self.rows)] = True
            return [Mask.encode(pixels)]

    assert len(segment_tiles(Halves(), np.zeros((40, 70, 3), np.uint8), TILING)) == 2


TILING = Tiling(tile_px=40, overlap_px=10, merge_iou=0.5)


@pytest.mark.parametrize("side", [1, 39, 40, 41, 70, 71, 100, 257])
def test_tiles_cover_a_raster_and_stay_inside_it(side: int):
    seen = np.zeros((side, 50), int)
    for tile in lay_tiles(side, 50, TILING):
        seen[tile.rows, tile.columns] += 1
        assert tile.rows.stop <= side
        assert tile.rows.stop - tile.rows.start == min(40, side)
    assert seen.min() == 1
    assert seen[:, 10:40].min() == 2  # both columns of tiles cover the middle


def test_tiles_that_do_not_advance_are_refused():
    with pytest.raises(ValueError, match="overlap_px is less than tile_px, found 40 of 40"):
        Tiling(tile_px=40, overlap_px=40, merge_iou=0.5)

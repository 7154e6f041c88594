"""The demonstration set: its contents, and that index, masks and palettes describe what was drawn."""

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps
from skimage.filters import threshold_otsu

from atlas_assets.demo.drawing.composition import choose_sheet
from atlas_assets.demo.drawing.subjects.kinds import SUBJECTS
from atlas_assets.demo.plates import DemoPlate, draw_demo_plates, is_drawn_otherwise


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> list[DemoPlate]:
    """The whole set, small."""
    folder = tmp_path_factory.mktemp("demo")
    return draw_demo_plates(folder / "scans", folder / "truth", scale=0.08, processes=1)


def luminance(plate: DemoPlate) -> np.ndarray:
    """The scan upright over white, as L levels, whatever its medium."""
    with Image.open(plate.path) as stored:
        image = ImageOps.exif_transpose(stored)
        if image.mode == "I;16":
            return (np.asarray(image) >> 8).astype(np.uint8)
        if image.mode == "RGBA":
            image = Image.alpha_composite(Image.new("RGBA", image.size, (255, 255, 255, 255)), image)
        return np.asarray(image.convert("RGB").convert("L"))


def test_the_first_24_are_every_kind_in_every_colourway(plates: list[DemoPlate]) -> None:
    assert Counter(plate.plan.kind for plate in plates) == dict.fromkeys(SUBJECTS, 4)
    assert len({(plate.plan.kind, plate.plan.colourway) for plate in plates}) == 24


def test_the_index_names_every_plate_and_its_file(plates: list[DemoPlate]) -> None:
    folder = plates[0].path.parent
    index = json.loads((folder / "data.json").read_text())
    assert index[0] == {
        "plate": 1,
        "name": "Scarlet Perched Bird",
        "slug": "scarlet-perched-bird",
        "fileName": "plate-1-scarlet-perched-bird.jpg",
        "license": "CC0",
    }
    assert [entry["plate"] for entry in index] == list(range(1, 25))
    assert all((folder / entry["fileName"]).is_file() for entry in index)
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        [entry["fileName"] for entry in index] + ["data.json"]
    )


def test_masks_are_one_bit_and_the_size_of_the_upright_scan(plates: list[DemoPlate]) -> None:
    for plate in plates:
        truth = json.loads(plate.truth_path.read_text())
        with Image.open(plate.mask_path) as mask:
            assert (mask.mode, mask.size) == ("1", (truth["width"], truth["height"]))
            assert 0.03 < float(np.asarray(mask).mean()) < 0.4
        assert luminance(plate).shape == (truth["height"], truth["width"])


def test_the_subject_is_dark_on_the_paper(plates: list[DemoPlate]) -> None:
    for plate in plates:
        levels = luminance(plate)
        with Image.open(plate.mask_path) as mask:
            subject = np.asarray(mask)
        dark = levels <= threshold_otsu(levels)
        assert (dark & subject).sum() / subject.sum() > 0.6, plate.plate_id
        assert dark[~subject].mean() < 0.12, plate.plate_id


def test_palettes_sum_to_one_and_name_printed_colours(plates: list[DemoPlate]) -> None:
    for plate in plates:
        truth = json.loads(plate.truth_path.read_text())
        shares = [entry["share"] for entry in truth["palette"]]
        assert sum(shares) == pytest.approx(1.0, abs=1e-5)
        assert shares == sorted(shares, reverse=True)
        if "grayscale" in plate.plan.medium:
            assert all(len({entry["srgb_hex"][i : i + 2] for i in (1, 3, 5)}) == 1 for entry in truth["palette"])


def test_truth_has_the_digest_of_the_scan(plates: list[DemoPlate]) -> None:
    for plate in plates:
        truth = json.loads(plate.truth_path.read_text())
        assert truth["source_sha256"] == hashlib.sha256(plate.path.read_bytes()).hexdigest()


@pytest.mark.parametrize(
    ("number", "image_format", "mode"),
    [
        (1, "JPEG", "RGB"),
        (3, "JPEG", "RGB"),
        (5, "JPEG", "L"),
        (8, "JPEG", "CMYK"),
        (12, "PNG", "I;16"),
        (15, "TIFF", "RGB"),
        (16, "WEBP", "RGB"),
        (19, "PNG", "RGBA"),
        (23, "JPEG", "RGB"),
    ],
)
def test_the_set_has_the_media_that_libraries_have(
    plates: list[DemoPlate], number: int, image_format: str, mode: str
) -> None:
    with Image.open(plates[number - 1].path) as scan:
        assert (scan.format, scan.mode) == (image_format, mode)
        assert scan.getexif().get(0x0112) == (6 if number == 23 else None)
        assert ("icc_profile" in scan.info) == (number == 3)


def test_full_size_sides_are_2000_to_4000_px_in_both_orientations() -> None:
    sheets = [choose_sheet(kind, np.random.default_rng(seed), 1.0) for kind in SUBJECTS for seed in range(60)]
    sides = [side for sheet in sheets for side in (sheet.width_px, sheet.height_px)]
    assert min(sides) >= 2000
    assert max(sides) <= 4000
    assert {sheet.width_px > sheet.height_px for sheet in sheets} == {True, False}


def test_progress_is_reported_plate_by_plate_in_order(tmp_path: Path) -> None:
    reported: list[str] = []
    draw_demo_plates(
        tmp_path / "scans", tmp_path / "truth", 2, on_plate=lambda plate: reported.append(plate.plate_id),
        scale=0.05, processes=1,
    )  # fmt: skip
    assert reported == ["plate-001", "plate-002"]


def test_no_plates_or_no_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="count >= 1 and scale > 0, found 0"):
        draw_demo_plates(tmp_path, tmp_path, count=0)


def test_plates_of_another_version_are_known_from_their_truth(plates: list[DemoPlate], tmp_path: Path) -> None:
    truth_folder = plates[0].truth_path.parent
    assert not is_drawn_otherwise(truth_folder, scale=plates[0].plan.scale)
    assert is_drawn_otherwise(truth_folder, scale=plates[0].plan.scale / 2)
    assert not is_drawn_otherwise(tmp_path, scale=1.0)

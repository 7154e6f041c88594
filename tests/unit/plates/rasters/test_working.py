"""A working raster is a smaller copy of a plate, kept without loss under a digest of all that decides its pixels."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin
from support.made_datasets import make_dataset

from atlas_resources.plates.decode import decode_source
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.rasters import working
from atlas_resources.plates.rasters.working import keep_raster, raster_path, read_raster, reduce


@pytest.fixture
def plate(tmp_path: Path) -> Plate:
    return make_dataset(tmp_path, "red").plate("plate-001")


def noise(width: int, height: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(7).integers(0, 256, (height, width, 3), dtype=np.uint8))


def kept(plate: Plate, image: Image.Image) -> Path:
    keep_raster(plate, "work_1024", image)
    return raster_path(plate, "work_1024")


@pytest.mark.parametrize(
    ("size", "expected"),
    [((4000, 3000), (1024, 768)), ((1500, 3000), (512, 1024)), ((5000, 1), (1024, 1)), ((1024, 900), (1024, 900))],
)
def test_its_longer_side_is_as_declared_and_nothing_is_enlarged(size: tuple[int, int], expected: tuple[int, int]):
    assert reduce(Image.new("RGB", size), "work_1024").size == expected


def test_it_is_pillows_lanczos_over_the_whole_picture():
    image = noise(2100, 1400)
    own = image.resize((1024, 683), Image.Resampling.LANCZOS)
    assert np.array_equal(np.asarray(reduce(image, "work_1024")), np.asarray(own))


def test_what_is_no_larger_and_the_source_s_own_size_are_left_as_they_are():
    image = noise(40, 30)
    assert reduce(image, "work_1024") is image
    assert reduce(noise(3000, 20), "source").size == (3000, 20)


def test_reduced_twice_is_reduced_once():
    once = reduce(noise(2000, 1999), "work_1024")
    assert reduce(once, "work_1024") is once


def test_it_is_read_back_pixel_by_pixel(plate: Plate):
    image = noise(301, 77)
    path = kept(plate, image)
    found = read_raster(plate, "work_1024")
    assert found is not None
    assert (found.mode, found.size) == ("RGB", (301, 77))
    assert np.array_equal(np.asarray(found), np.asarray(image))
    assert path.relative_to(plate.rasters_folder).parts[0] == "work_1024"
    assert read_raster(plate, "work_2048") is None


def test_its_name_and_its_file_state_what_it_is_of(plate: Plate):
    path = kept(plate, decode_source(plate).image)
    with Image.open(path) as file:
        facts = json.loads(file.info["atlas"])
    assert (facts["source_sha256"], facts["raster"]) == (plate.source_sha256(), "work_1024")
    assert len(path.stem) == len(hashlib.sha256().hexdigest())


def test_that_of_another_source_or_another_pillow_is_not_taken(plate: Plate, tmp_path: Path, monkeypatch):
    kept(plate, noise(30, 20))
    other = make_dataset(tmp_path / "other", "green").plate("plate-001")
    assert raster_path(other, "work_1024").name != raster_path(plate, "work_1024").name
    monkeypatch.setattr(working.PIL, "__version__", "99.0")
    assert read_raster(plate, "work_1024") is None


def flip_a_bit(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize(
    "damage", [flip_a_bit, lambda content: content[:-40], lambda content: b"", lambda content: b"no image" * 9]
)
def test_a_damaged_one_is_none(plate: Plate, damage):
    path = kept(plate, noise(60, 50))
    path.write_bytes(damage(path.read_bytes()))
    assert read_raster(plate, "work_1024") is None


@pytest.mark.parametrize("facts", ["{}", "[]", "nonsense", '{"pixels_sha256": "0"}'])
def test_one_whose_pixels_are_not_those_it_states_is_none(plate: Plate, facts: str):
    path = kept(plate, noise(60, 50))
    text = PngImagePlugin.PngInfo()
    text.add_text("atlas", facts)
    noise(60, 49).save(path, "PNG", pnginfo=text)
    assert read_raster(plate, "work_1024") is None


def test_a_killed_writer_leaves_no_part_of_it(plate: Plate, monkeypatch):
    def ended(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("os.replace", ended)
    with pytest.raises(KeyboardInterrupt):
        kept(plate, noise(60, 50))
    assert read_raster(plate, "work_1024") is None

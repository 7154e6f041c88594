"""Which page of a scan is decoded, and which pages there are."""

import numpy as np
import pytest
import tifffile
from PIL import Image
from support.decoded import BLUE, GREEN, RED, actions, decode_image, pixels
from support.made_scans import encoded

from atlas_resources.plates.decode import ImageRefused, decode, list_pages


def test_each_page_of_a_tiff_can_be_read(tmp_path):
    tints = (RED, BLUE, GREEN)
    pages = [Image.new("RGB", (2, 1), tint) for tint in tints]
    path = tmp_path / "a.tif"
    path.write_bytes(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    assert list_pages(path) == [1, 2, 3]
    for number, tint in enumerate(tints, start=1):
        decoded = decode(path, page=number)
        assert set(pixels(decoded)) == {tint}
        page = {"page": "first_of_several" if number == 1 else "later_of_several", "page_number": number}
        assert actions(decoded) == {key: value for key, value in page.items() if value != 1}


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_later_page_may_have_16_bits(tmp_path, compression):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for sample in (257, 2570):
            writer.write(np.full((3, 4, 3), sample, np.uint16), photometric="rgb", compression=compression)
    assert [set(pixels(decode(path, page=number))) for number in (1, 2)] == [{(1, 1, 1)}, {(10, 10, 10)}]


@pytest.mark.parametrize(("page", "reason"), [(3, "page 3 was asked for; it has 2"), (0, "counted from 1")])
def test_a_page_that_is_not_there_is_refused(tmp_path, page, reason):
    path = tmp_path / "a.tif"
    path.write_bytes(encoded(Image.new("L", (1, 1)), "TIFF", save_all=True, append_images=[Image.new("L", (1, 1))]))
    with pytest.raises(ImageRefused, match=reason):
        decode(path, page=page)


def test_other_formats_have_page_1_only(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(Image.new("L", (1, 1)), "PNG"))
    assert list_pages(path) == [1]
    with pytest.raises(ImageRefused, match="page 2 was asked for; only page 1 of a PNG is read"):
        decode(path, page=2)


def test_a_tiff_of_very_many_pages_is_measured_but_its_pages_are_not_counted(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        for _ in range(1001):
            writer.write(np.zeros((1, 1), np.uint8), photometric="minisblack", metadata=None)
    assert decode(path).facts.colour_policy.page == "first_of_several"
    with pytest.raises(ImageRefused, match="it has more than 1000 pages"):
        list_pages(path)


@pytest.mark.parametrize("kind", ["TIFF", "WEBP"])
def test_of_several_pages_the_first_is_taken(tmp_path, kind):
    first, second = Image.new("RGB", (2, 2), RED), Image.new("RGB", (2, 2), BLUE)
    options = {"lossless": True} if kind == "WEBP" else {}
    decoded = decode_image(tmp_path, first, kind, save_all=True, append_images=[second], **options)
    assert set(pixels(decoded)) == {RED}
    assert decoded.facts.colour_policy.page == "first_of_several"

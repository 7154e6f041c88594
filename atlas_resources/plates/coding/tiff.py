"""The pages of a TIFF, and whether its tags and its compressed pixels are whole."""

import struct
import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import Any

from PIL import TiffImagePlugin

NEW_SUBFILE_TYPE, REDUCED_RESOLUTION = 254, 1  # TIFF 6.0, section 8: such as thumbnails and levels of a pyramid

# TIFF 6.0, sections 8 and 15: offsets and lengths of strips, and of tiles.
SEGMENTS = ((273, 279), (324, 325))
COMPRESSION, UNCOMPRESSED = 259, 1
DEFLATE = {8, 32946}  # Adobe Photoshop TIFF Technical Notes, 2002; and the older number of the same
PIECE_BYTES = 1 << 20

# Pillow compares each page with all before it, so the time to reach a page grows with its square.
MAX_PAGES = 1000

# Bytes of a value by TIFF 6.0's and BigTIFF's field types; other types have no size here and are not read by Pillow.
TYPE_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
MAX_TAGS = 65535  # TIFF 6.0 counts the tags of a page in 16 bits


def list_full_pages(image: TiffImagePlugin.TiffImageFile) -> list[int]:
    """The pages of an opened TIFF, counted from 1: the first, and those that are no smaller copy of another page.

    The image is left at another page. Raises ValueError beyond MAX_PAGES.
    """
    pages = [1]
    for index in range(1, MAX_PAGES + 1):
        try:
            image.seek(index)
        except EOFError:
            return pages
        if not int(image.tag_v2.get(NEW_SUBFILE_TYPE, 0)) & REDUCED_RESOLUTION:
            pages.append(index + 1)
    raise ValueError(f"it has more than {MAX_PAGES} pages")


def seek_tiff_page(image: TiffImagePlugin.TiffImageFile, page: int) -> None:
    """Moves an opened TIFF to a page, counted from 1. Raises ValueError without such a page, or beyond MAX_PAGES."""
    if not 1 <= page <= MAX_PAGES:
        raise ValueError(f"page {page} was asked for; pages are counted from 1, and at most {MAX_PAGES} are read")
    for index in range(1, page):  # one by one: Pillow miscounts a file's pages after a seek beyond its end
        try:
            image.seek(index)
        except EOFError as error:
            raise ValueError(f"page {page} was asked for; it has {index}") from error


def read_page_tags(data: bytes, page: int) -> TiffImagePlugin.ImageFileDirectory_v2:
    """The tags of a page, counted from 1, also of one whose samples Pillow has no mode for.

    Raises:
        SyntaxError, ValueError, struct.error: The file has no such page, or its tags are damaged.
    """
    stream = BytesIO(data)
    is_big = 43 in data[2:4]  # BigTIFF's version; its header has 16 bytes, TIFF's 8
    tags = TiffImagePlugin.ImageFileDirectory_v2(stream.read(16 if is_big else 8))
    for _ in range(page):
        if not tags.next:
            raise ValueError(f"page {page} was asked for; the file has fewer")
        stream.seek(tags.next)
        tags.load(stream)
    return tags


def require_whole_tags(data: bytes, directory: int) -> None:
    """Raises ValueError if a tag's value ends beyond the file. Pillow would read such a page without the tag.

    Args:
        data: the whole file.
        directory: offset of the page's list of tags.

    Raises:
        ValueError: names the tag.
        struct.error: the list itself ends beyond the file.
    """
    order = "<" if data.startswith(b"II") else ">"
    is_big = 43 in data[2:4]  # BigTIFF's version; 42 is TIFF's
    count_format, entry_format, offset_format = ("Q", "HHQ", "Q") if is_big else ("H", "HHI", "I")
    (count,) = struct.unpack_from(order + count_format, data, directory)
    if count > MAX_TAGS:
        raise ValueError(f"a page of {count} tags")
    entry = directory + struct.calcsize(order + count_format)
    value_bytes = struct.calcsize(order + offset_format)
    for _ in range(count):
        tag, kind, number = struct.unpack_from(order + entry_format, data, entry)
        entry += struct.calcsize(order + entry_format)
        size = TYPE_SIZES.get(kind, 0) * number
        if size > value_bytes:
            (start,) = struct.unpack_from(order + offset_format, data, entry)
            if start + size > len(data):
                raise ValueError(f"tag {tag} ends at byte {start + size:,}, beyond the file's {len(data):,}")
        entry += value_bytes


def require_whole_segments(data: bytes, tags: Mapping[int, Any]) -> None:
    """Raises ValueError if a strip or tile of a compressed page is cut. libtiff accepts one without its last bytes.

    Args:
        data: the whole file.
        tags: the page's tags, as Pillow reads them.

    Raises:
        ValueError: a segment ends beyond the file, or its deflate stream does not end, or fails its checksum.
    """
    compression = tags.get(COMPRESSION, UNCOMPRESSED)
    if compression == UNCOMPRESSED:  # Pillow reads such a page without the stated lengths, which some writers get wrong
        return
    for offsets, lengths in SEGMENTS:
        for number, (start, length) in enumerate(zip(tags.get(offsets, ()), tags.get(lengths, ()), strict=False)):
            if start + length > len(data):
                raise ValueError(f"segment {number} ends at byte {start + length:,}, beyond the file's {len(data):,}")
            if compression in DEFLATE:
                require_whole_stream(data[start : start + length], number)


def require_whole_stream(packed: bytes, number: int) -> None:
    """Raises ValueError if a zlib stream (RFC 1950) does not end. It is unpacked in pieces, and nothing is kept."""
    stream = zlib.decompressobj()
    try:
        while packed and not stream.eof:
            stream.decompress(packed, PIECE_BYTES)
            packed = stream.unconsumed_tail
        stream.flush()
    except zlib.error as error:
        raise ValueError(f"segment {number}: {error}") from error
    if not stream.eof:
        raise ValueError(f"segment {number}: its deflate stream is cut")

"""Image files and ICC profiles made byte by byte, so that their content is known without Pillow."""

import io
import struct
import zlib
from pathlib import Path

from PIL import Image, ImageCms

SRGB_ICC = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

# sRGB with the primaries of red and green exchanged: its red is sRGB's green.
SWAPPED_ICC = SRGB_ICC.replace(b"rXYZ", b"temp", 1).replace(b"gXYZ", b"rXYZ", 1).replace(b"temp", b"gXYZ", 1)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def write_png(
    path: Path, size: tuple[int, int], depth: int, colour_type: int, rows: list[bytes], *, extra: bytes = b""
) -> Path:
    """A PNG of one unfiltered IDAT; `rows` hold the packed samples of each, `extra` chunks before the pixels."""
    header = struct.pack(">IIBBBBB", *size, depth, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = png_chunk(b"IHDR", header) + extra + png_chunk(b"IDAT", pixels) + png_chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    return path


def write_tiff(path: Path, order: str, size: tuple[int, int], tags: dict[int, list[int]], samples: bytes) -> Path:
    """A TIFF of one uncompressed strip; `order` is "<" or ">", `tags` beyond size and strip, all of 16-bit values."""
    strip = 8
    directory = strip + len(samples)
    entries = {256: [size[0]], 257: [size[1]], 259: [1], 278: [size[1]], 279: [len(samples)], 273: [strip]} | tags
    after = directory + 2 + 12 * len(entries) + 4
    fields, values = b"", b""
    for tag, numbers in sorted(entries.items()):
        packed = struct.pack(f"{order}{len(numbers)}H", *numbers)
        if len(packed) > 4:
            packed, values = struct.pack(f"{order}I", after + len(values)), values + packed
        fields += struct.pack(f"{order}HHI", tag, 3, len(numbers)) + packed.ljust(4, b"\0")
    start = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(f"{order}I", directory)
    path.write_bytes(
        start + samples + struct.pack(f"{order}H", len(entries)) + fields + struct.pack(f"{order}I", 0) + values
    )
    return path


def write_image(
    path: Path, colour: int | tuple[int, ...] = (10, 20, 30), size: tuple[int, int] = (4, 3), mode: str = "RGB"
) -> Path:
    """A flat image of the format that the suffix names."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, colour).save(path)
    return path


def encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format=kind, **options)
    return stream.getvalue()


def icc_profile(device_class: bytes, space: bytes, connection: bytes, tags: dict[bytes, bytes]) -> bytes:
    """An ICC version 2 profile of these tags (ICC.1:2001-04, section 6): header, tag table, data on 4-byte bounds."""
    table, data = struct.pack(">I", len(tags)), b""
    start = 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content.ljust(-(-len(content) // 4) * 4, b"\0")
    illuminant = struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)  # D50, s15Fixed16
    header = struct.pack(">I4sI4s4s4s", start + len(data), b"lcms", 0x02100000, device_class, space, connection)
    header = header.ljust(36, b"\0") + b"acsp"
    return header.ljust(68, b"\0") + illuminant.ljust(60, b"\0") + table + data


def linear_gray_icc() -> bytes:
    """A gray profile whose samples are proportional to light (kTRC of no points is the identity)."""
    curve = b"curv" + bytes(4) + struct.pack(">I", 0)
    white = b"XYZ " + bytes(4) + struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)
    return icc_profile(b"mntr", b"GRAY", b"XYZ ", {b"wtpt": white, b"kTRC": curve})


def black_only_cmyk_icc() -> bytes:
    """A CMYK profile in which only black ink is visible.

    A lut8 of 2 grid points: encoded Lab (255, 128, 128), which is white, without K and (0, 128, 128), black, with it.
    """
    identity = struct.pack(">9i", *(0x10000 if i % 4 == 0 else 0 for i in range(9)))
    ramp = bytes(range(256))
    nodes = b"".join(bytes([0 if node & 1 else 255, 128, 128]) for node in range(16))  # K varies fastest
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + identity + ramp * 4 + nodes + ramp * 3
    white = b"XYZ " + bytes(4) + struct.pack(">iii", 0xF6D6, 0x10000, 0xD32D)
    return icc_profile(b"prtr", b"CMYK", b"Lab ", {b"wtpt": white, b"A2B0": lut, b"A2B1": lut})

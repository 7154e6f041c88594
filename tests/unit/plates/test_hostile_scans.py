"""Scans that are pipes, devices, files of the system, sparse or cut cost nothing, and are refused with a reason."""

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from support.made_datasets import draw_scans

from atlas_resources.plates import decode as decode_module
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import ImageRefused, decode, require_decodable
from atlas_resources.plates.intake.registration import register_scans

pytestmark = pytest.mark.timeout(60)  # what is refused too late waits for ever

PIXELS = (np.random.default_rng(0).integers(0, 4, (32, 32)) * 60).astype(np.uint8)
HALVES = [zlib.compress(half.tobytes()) for half in np.split(PIXELS, 2)]
DATA_START = 8 + 2 + 9 * 12 + 4 + 16


def deflate_tiff(first: bytes, second: bytes, lengths: tuple[int, int] | None = None) -> bytes:
    """A gray TIFF (TIFF 6.0) of two strips, which are its last bytes."""
    short, long = 3, 4
    places = DATA_START - 16
    tags = [
        *((256, short, 1, 32), (257, short, 1, 32), (258, short, 1, 8), (259, short, 1, 8), (262, short, 1, 1)),
        *((273, long, 2, places), (277, short, 1, 1), (278, short, 1, 16), (279, long, 2, places + 8)),
    ]
    directory = struct.pack("<H", 9) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    offsets = struct.pack("<II", DATA_START, DATA_START + len(first))
    counts = struct.pack("<II", *(lengths or (len(first), len(second))))
    return b"II*\0" + struct.pack("<I", 8) + directory + offsets + counts + first + second


def test_a_whole_deflate_tiff_is_read(tmp_path: Path):
    path = tmp_path / "whole.tif"
    path.write_bytes(deflate_tiff(HALVES[0], HALVES[1]))
    assert np.array_equal(np.asarray(decode(path).image)[..., 0], PIXELS)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(strip=0, cut=1, states_it=True)
@example(strip=1, cut=4, states_it=True)
@given(strip=st.sampled_from([0, 1]), cut=st.integers(1, 100), states_it=st.booleans())
def test_a_deflate_tiff_whose_stream_is_cut_is_refused(strip: int, cut: int, states_it: bool, tmp_path: Path):
    """The strip's length is that of the cut stream, or still the whole one's. libtiff accepts cuts of 1 to 4 bytes."""
    halves = list(HALVES)
    halves[strip] = halves[strip][:-cut]
    lengths = None if states_it else (len(HALVES[0]), len(HALVES[1]))
    path = tmp_path / "cut.tif"
    path.write_bytes(deflate_tiff(halves[0], halves[1], lengths))
    with pytest.raises(ImageRefused, match="is a truncated or damaged TIFF"):
        require_decodable(path)


def test_a_sparse_scan_is_refused_by_its_size(tmp_path: Path):
    path = tmp_path / "sparse.tif"
    path.write_bytes(deflate_tiff(HALVES[0], HALVES[1]))
    os.truncate(path, 30_000_000_000)
    with pytest.raises(ImageRefused) as refused:
        require_decodable(path)
    assert refused.value.reason == "has 30,000,000,000 bytes; the limit is 8,000,000,000 bytes. Fix: compress it"


def test_the_limit_of_bytes_is_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = tmp_path / "whole.tif"
    path.write_bytes(deflate_tiff(HALVES[0], HALVES[1]))
    monkeypatch.setattr(decode_module, "MAX_BYTES", path.stat().st_size)
    require_decodable(path)
    monkeypatch.setattr(decode_module, "MAX_BYTES", path.stat().st_size - 1)
    with pytest.raises(ImageRefused, match="the limit is"):
        require_decodable(path)


def test_what_is_no_file_of_data_is_refused_and_the_rest_registered(tmp_path: Path):
    scans = draw_scans(tmp_path / "scans", "red")[0].parent
    os.mkfifo(scans / "pipe.tif")
    for name, target in {
        "device.tif": "/dev/zero",
        "kernel.tif": "/proc/kmsg",
        "system": "/proc",
        "system.jpg": "/sys",
        "nowhere.png": "missing",
        "loop": ".",
    }.items():
        (scans / name).symlink_to(target)
    dataset = Dataset(tmp_path / "atlas")
    dataset.ensure()
    found = {one.path.name: one.reason for one in register_scans(dataset, [scans])}
    of_system = "leads to a folder of the operating system, which has no scans. Fix: remove the link"
    assert {name: reason for name, reason in found.items() if reason} == {
        "device.tif": "is not a file",
        "kernel.tif": of_system,
        "nowhere.png": "does not exist",
        "pipe.tif": "is not a file",
        "system": of_system,
        "system.jpg": of_system,
    }
    assert list(found.values()).count(None) == 1

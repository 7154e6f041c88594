"""Real scans and broken files from the folder `shared` next to the repository; skipped if it is absent."""

import csv
import hashlib

import pytest
from support.shared import SHARED

from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode
from atlas_resources.plates.intake.registration import register_scans

NASTY, PLATES = SHARED / "nasty", SHARED / "plates"

pytestmark = pytest.mark.skipif(not (NASTY.is_dir() and PLATES.is_dir()), reason=f"no real scans: {SHARED} is absent")

REFUSED = {
    "animated.gif": "is a GIF; accepted are JPEG, PNG, TIFF, WebP. Fix: save it as a PNG or TIFF",
    "found_gif1x1_named.jpg": "is a GIF; accepted are JPEG, PNG, TIFF, WebP. Fix: save it as a PNG or TIFF",
    "truncated.jpg": "is a truncated or damaged JPEG: image file is truncated (9 bytes not processed)."
    " Fix: export the scan again",
    "zero_bytes.jpg": "is empty (0 bytes). Fix: export the scan again",
}

# The upright size, and the recorded actions that differ from those of a plain image.
MEASURED = {
    "bomb_220mp_1bit.png": ((40_000, 5_500), {"bit_depth": "1_to_8"}),
    "cmyk.jpg": ((988, 1200), {"cmyk": "pillow_naive"}),
    "exif_rot6.jpg": ((988, 1200), {"exif_orientation": "applied"}),
    "found_icc_exif.jpg": ((2000, 2429), {"exif_orientation": "identity", "icc_profile": "converted"}),
    "found_jpeg_named.png": ((1292, 2116), {"exif_orientation": "identity", "icc_profile": "converted"}),
    "gray16.png": ((823, 1000), {"bit_depth": "16_to_8_rounded"}),
    "palette_alpha.png": ((741, 900), {"alpha": "composited_over_white"}),
    "unicode náme – plate №1.jpg": ((659, 800), {}),
}


def test_every_nuisance_is_registered_or_refused_with_its_reason(tmp_path):
    dataset = Dataset(tmp_path / "atlas")
    found = {r.path.name: r for r in register_scans(dataset, [NASTY])}
    assert {name: r.reason for name, r in found.items() if r.status == "refused"} == REFUSED
    assert {name for name, r in found.items() if r.status == "registered"} == set(MEASURED)
    assert len(dataset.plate_ids()) == len(MEASURED)


@pytest.mark.parametrize("name", MEASURED)
def test_every_registered_nuisance_becomes_upright_srgb(name):
    size, expected = MEASURED[name]
    decoded = decode(NASTY / name)
    assert (decoded.image.mode, decoded.image.size) == ("RGB", size)
    policy = decoded.facts.colour_policy.model_dump()
    assert {key: policy[key] for key in expected} == expected


def test_a_limit_below_220_megapixels_refuses_the_bomb_by_its_header(tmp_path):
    (refused,) = register_scans(Dataset(tmp_path), [NASTY / "bomb_220mp_1bit.png"], max_pixels=200_000_000)
    assert (
        refused.reason == "has 220,000,000 pixels (40000 x 5500); the limit is 200,000,000. "
        "Fix: save it at a lower resolution, or in parts"
    )


def test_every_real_plate_is_registered_byte_for_byte(tmp_path):
    dataset = Dataset(tmp_path / "atlas")
    assert {r.status for r in register_scans(dataset, [PLATES])} == {"registered"}
    with (PLATES / "manifest.csv").open(newline="", encoding="utf-8") as file:
        expected = sorted(row["sha256"] for row in csv.DictReader(file))
    sources = [dataset.plate(plate_id).source_path() for plate_id in dataset.plate_ids()]
    assert sorted(hashlib.sha256(source.read_bytes()).hexdigest() for source in sources) == expected


def test_every_real_plate_has_the_data_of_its_index(tmp_path):
    """`manifest.csv`, with `file`, `title`, `artist`, `year`, `licence` and more, is understood as it is."""
    dataset = Dataset(tmp_path / "atlas")
    list(register_scans(dataset, [PLATES]))
    with (PLATES / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["sha256"]: row for row in csv.DictReader(file)}
    for plate in dataset.plates():
        row, manifest = rows[plate.source_sha256()], plate.manifest()
        assert (manifest.title, manifest.license) == (row["title"], row["licence"])
        assert (manifest.extra["artist"], str(manifest.extra["year"])) == (row["artist"], row["year"])
        assert manifest.extra["bytes"] == plate.source_path().stat().st_size

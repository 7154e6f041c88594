"""Demonstration plates are reproducible: pixels depend on seed, number, scale and version only."""

import hashlib
from pathlib import Path

from atlas_assets.demo.plates import DemoPlate, draw_demo_plates

SCALE = 0.08


def digests(plates: list[DemoPlate]) -> list[tuple[str, str]]:
    """sha256 of each plate's scan and mask files."""
    return [
        (hashlib.sha256(plate.path.read_bytes()).hexdigest(), hashlib.sha256(plate.mask_path.read_bytes()).hexdigest())
        for plate in plates
    ]


def draw(folder: Path, seed: int = 5, count: int = 3, processes: int = 1) -> list[DemoPlate]:
    return draw_demo_plates(folder / "scans", folder / "truth", count, seed, scale=SCALE, processes=processes)


def test_the_same_seed_gives_the_same_bytes_in_one_process_or_two(tmp_path: Path) -> None:
    assert digests(draw(tmp_path / "alone")) == digests(draw(tmp_path / "together", processes=2))


def test_another_seed_gives_other_bytes(tmp_path: Path) -> None:
    first, second = digests(draw(tmp_path / "first", seed=5)), digests(draw(tmp_path / "second", seed=6))
    assert not {value for pair in first for value in pair} & {value for pair in second for value in pair}


def test_a_plate_does_not_depend_on_how_many_are_drawn(tmp_path: Path) -> None:
    assert digests(draw(tmp_path / "one", count=1)) == digests(draw(tmp_path / "two", count=2))[:1]


def test_plates_already_drawn_are_kept(tmp_path: Path) -> None:
    first = draw(tmp_path)
    modified = [plate.path.stat().st_mtime_ns for plate in first]
    again = draw(tmp_path)
    assert [plate.is_new for plate in first] == [True] * 3
    assert [plate.is_new for plate in again] == [False] * 3
    assert [plate.path.stat().st_mtime_ns for plate in again] == modified


def test_a_plate_with_damaged_truth_or_a_missing_scan_is_drawn_again_alone(tmp_path: Path) -> None:
    first = draw(tmp_path)
    before = digests(first)
    first[0].truth_path.write_text("{")
    first[2].path.unlink()
    again = draw(tmp_path)
    assert [plate.is_new for plate in again] == [True, False, True]
    assert digests(again) == before


def test_another_seed_overwrites_the_plates(tmp_path: Path) -> None:
    draw(tmp_path, seed=5)
    assert [plate.is_new for plate in draw(tmp_path, seed=6)] == [True] * 3

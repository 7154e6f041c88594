"""The retrieval benchmark's figures for vectors of two numbers, whose neighbours are obvious."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support.made_datasets import draw_scans

from benchmarks.retrieval import (
    agreement,
    chance_of_agreement,
    crop,
    detail,
    encode_histogram,
    group_of,
    main,
    read_plates,
    similarities,
    top_1,
)

EAST, NORTH, WEST, NORTH_EAST = np.array([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.8, 0.6]])


def test_a_query_finds_its_plate_when_that_is_the_nearest():
    """North-east is nearer to east (0.8) than to north (0.6): as a query of north it finds the wrong one."""
    plates = [EAST[None], NORTH[None]]
    assert top_1(np.stack([EAST, NORTH]), plates) == 1.0
    assert top_1(np.stack([EAST, NORTH_EAST]), plates) == 0.5
    assert top_1(np.stack([NORTH, EAST]), plates) == 0.0


def test_a_tie_finds_nothing():
    assert top_1(np.stack([EAST, EAST]), [EAST[None], EAST[None]]) == 0.0


def test_a_plate_is_as_near_as_its_nearest_part():
    """The second plate as a whole points west; one of its tiles points north."""
    whole, with_tile = [EAST[None], WEST[None]], [EAST[None], np.stack([WEST, NORTH])]
    assert similarities(NORTH[None], whole).tolist() == [[0.0, 0.0]]
    assert similarities(NORTH[None], with_tile).tolist() == [[0.0, 1.0]]
    assert top_1(np.stack([EAST, NORTH]), with_tile) == 1.0


def test_agreement_counts_the_nearest_other_of_the_same_group():
    """Nearest to east and to north is north-east; to north-east and to west: east (0.8) and north (0)."""
    vectors = np.stack([EAST, NORTH, WEST, NORTH_EAST])
    assert agreement(vectors, ["a", "b", "b", "a"]) == 0.75
    assert agreement(vectors, ["a", "b", "a", "b"]) == 0.25


def test_chance_is_that_of_a_neighbour_drawn_at_random():
    """Two groups of two: of three others, one is of one's own group. Of three and one: (3 * 2 / 3 + 0) / 4."""
    assert chance_of_agreement(["a", "a", "b", "b"]) == pytest.approx(1 / 3)
    assert chance_of_agreement(["a", "a", "a", "b"]) == 0.5


def test_the_histograms_order_as_the_catalogues_macro(tmp_path: Path):
    """Hellinger distance, squared: one less the product of the roots; 0 to itself, 1 where no colour is shared."""
    red, blue = (encode_histogram(Image.new("RGB", (9, 9), colour))[0] for colour in ("red", "blue"))
    half = Image.new("RGB", (10, 10), "red")
    half.paste((0, 0, 255), (0, 0, 5, 10))
    mixed = encode_histogram(half)[0]
    assert red @ red == pytest.approx(1)
    assert red @ blue == 0
    assert red @ mixed == pytest.approx(np.sqrt(0.5))


def test_a_detail_is_where_there_is_something_to_see():
    """A quarter of the plate is chequered, the rest is blank; sixteen random squares hardly all miss it."""
    plate = np.full((200, 200, 3), 255, np.uint8)
    plate[:100, :100] = np.indices((100, 100)).sum(axis=0)[..., None] % 2 * 255
    found = np.asarray(detail(Image.fromarray(plate), np.random.default_rng(0)))
    assert found.shape == (50, 50, 3)
    assert found.std() > 0


def test_a_crop_keeps_the_proportions():
    assert crop(Image.new("RGB", (100, 50)), np.random.default_rng(0)).size == (60, 30)


@pytest.mark.parametrize(("expected", "group"), [("Pelican", "water"), ("junco", "land"), ("teapot", ""), ("", "")])
def test_birds_are_of_land_or_water_by_their_class(expected: str, group: str):
    assert group_of(expected) == group


def test_a_manifest_gives_what_a_plate_shows(tmp_path: Path):
    draw_scans(tmp_path, "red", "blue")
    (tmp_path / "manifest.csv").write_text("file,expected_imagenet\n02-blue.png,pelican\n", encoding="utf-8")
    assert [(plate.path.name, plate.expected) for plate in read_plates(tmp_path)] == [
        ("01-red.png", ""),
        ("02-blue.png", "pelican"),
    ]


def test_it_prints_a_row_per_task_with_the_histograms(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    draw_scans(tmp_path, "red", "blue", "green")
    assert main(["--plates", str(tmp_path), "--instruments", "efficientnet_lite0"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert lines[0] == "| task | chance | colour histograms | efficientnet_lite0 |"
    assert [line.split(" | ")[:2] for line in lines[2:]] == [
        ["| grey: finds its plate", "0.33"],
        ["| mirrored, grey: finds its plate", "0.33"],
        ["| a crop, grey: finds its plate", "0.33"],
        ["| a detail: finds its plate", "0.33"],
        ["| a detail, grey: finds its plate", "0.33"],
    ]


def test_a_missing_folder_is_reported(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["--plates", str(tmp_path / "none")]) == 1
    assert "expected at least two scans, found 0. Name a folder: --plates FOLDER" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("otsu_luma", "otsu_luma: expected an admitted embedding, found segmentation, admitted"),
        ("efficientnet_lite0_bf16", "expected an admitted embedding, found embedding, refused numeric: bfloat16 gives"),
        ("no_such_thing", "no_such_thing"),
    ],
)
def test_only_admitted_embeddings_are_measured(
    key: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    draw_scans(tmp_path, "red", "blue")
    assert main(["--plates", str(tmp_path), "--instruments", key]) == 1
    assert message in capsys.readouterr().out

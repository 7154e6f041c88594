"""The demonstration with four small plates: from drawing to the contact sheet, with real weights."""

import re

import duckdb
import pytest
from PIL import Image
from rich.console import Console

from atlas_assets.demo import tour as demo
from atlas_assets.demo.judgement import neighbours_of_all
from atlas_assets.demo.plates import draw_demo_plates
from atlas_resources.plates.dataset import Dataset

pytestmark = pytest.mark.system

PLATES = ["plate-001", "plate-002", "plate-003", "plate-004"]


@pytest.fixture(scope="module")
def toured(tmp_path_factory):
    """The dataset after the tour, whether the tour succeeded, and what it printed."""
    root = tmp_path_factory.mktemp("demo")
    console = Console(record=True, width=200, file=(root / "printed.txt").open("w"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(root / "dagster"))
        patch.setattr(
            demo,
            "draw_demo_plates",
            lambda folder, truth, count, scale, on_plate: draw_demo_plates(
                folder, truth, 4, on_plate=on_plate, scale=0.15, processes=1
            ),
        )
        is_whole = demo.tour(Dataset(root / "atlas"), None, console)
    console.file.close()
    return Dataset(root / "atlas"), is_whole, console.export_text()


@pytest.fixture
def connection(toured):
    with duckdb.connect(str(toured[0].catalogue_path), read_only=True) as connection:
        yield connection


def test_every_plate_was_measured(toured, connection):
    dataset, is_whole, _ = toured
    assert is_whole
    assert dataset.plate_ids() == PLATES
    assert connection.execute(
        "SELECT instrument, count(*), count(*) FILTER (is_current) FROM runs GROUP BY ALL ORDER BY ALL"
    ).fetchall() == [
        ("efficientnet_lite0", 4, 4),
        ("efficientnet_lite0_imagenet", 4, 4),
        ("efficientnet_lite2", 4, 4),
        ("otsu_luma", 4, 4),
        ("otsu_luma_efficientnet_lite0", 4, 4),
        ("otsu_luma_kept", 4, 4),
        ("otsu_luma_palette", 4, 4),
        ("ppocr_v6_small", 4, 4),
        ("u2netp", 4, 4),
        ("u2netp_efficientnet_lite0", 4, 4),
        ("u2netp_efficientnet_lite2", 4, 4),
        ("u2netp_kept", 4, 4),
    ]


def test_the_catalogue_has_real_measurements(connection):
    assert connection.execute("SELECT count(*) FROM plates WHERE width IS NOT NULL").fetchone() == (4,)
    assert connection.execute("SELECT count(*) FROM histograms").fetchone() == (4,)
    assert connection.execute(
        "SELECT typeof(vector), count(*) FROM embeddings_efficientnet_lite0 GROUP BY 1"
    ).fetchall() == [("FLOAT[1280]", 4)]
    assert connection.execute("SELECT count(*) FROM probes").fetchone() == (4000,)
    sums = connection.execute("SELECT sum(score) FROM probes_efficientnet_lite0_imagenet GROUP BY plate_id").fetchall()
    assert [row[0] for row in sums] == pytest.approx([1.0] * 4, abs=1e-4)  # a softmax
    assert connection.execute("SELECT count(*) FROM nearest('plate-001', 'efficientnet_lite0', 3)").fetchone() == (3,)


@pytest.mark.parametrize("segmenter", ["otsu_luma", "u2netp"])
def test_both_segmenters_find_the_drawn_subjects(toured, segmenter):
    pattern = rf"{segmenter} against the drawn subjects.* 4 plates: median ([\d.]+), worst ([\d.]+)"
    found = re.search(pattern, toured[2])
    assert found
    median, worst = map(float, found.groups())
    assert 0.5 < median <= 1.0
    assert 0.0 < worst <= median


def test_the_neighbours_of_all_are_those_of_the_macro(connection):
    for embedder in demo.EMBEDDERS:
        found = neighbours_of_all(connection, embedder, 3)
        for plate_id in PLATES:
            rows = connection.execute("FROM nearest(?, ?, 3)", [plate_id, embedder]).fetchall()
            assert found[plate_id] == [(other, pytest.approx(cosine, abs=1e-5)) for other, _, cosine in rows]


def test_the_contact_sheet_is_a_picture(toured):
    with Image.open(toured[0].root / "contact_sheet.jpg") as sheet:
        sheet.load()
        assert sheet.format == "JPEG"
        assert min(sheet.size) > 300


def test_the_report_answers_the_questions_and_names_the_files(toured):
    dataset, _, printed = toured
    for words in (
        "What was made?",
        "What is plate-001 like?",
        "What has the colours of plate-001?",
        "Where does a number come from?",
        "efficientnet_lite0 and efficientnet_lite2 name the same nearest plate for",
        "Do two instruments see the same subject?",
        "Which plates say a word",
        "ppocr_v6_small against the drawn lettering of 4 plates: character error rate ",
        str(dataset.catalogue_path),
        "contact_sheet.jpg",
    ):
        assert words in printed, words

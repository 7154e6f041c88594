"""The demonstration by the wheel, in an empty folder: from drawing to the contact sheet, with real weights.

On its dataset, queries of pages give the answers shown, and those of docs/catalogue.md run.
"""

import re
from pathlib import Path

import duckdb
import pytest
from PIL import Image
from support.readme_answers import README, differences, shown
from support.wheel import atlas, installed_wheel

from atlas_assets.demo.judgement import neighbours_of_all
from atlas_assets.demo.tour import EMBEDDERS
from atlas_resources.catalogue.build import connect
from atlas_resources.files.project import PROJECT_ROOT
from atlas_resources.plates.dataset import Dataset

pytestmark = [pytest.mark.system, pytest.mark.timeout(900)]

PLATES = [f"plate-{number:03d}" for number in range(1, 25)]
CATALOGUE_PAGE = PROJECT_ROOT / "docs" / "catalogue.md"
QUERIES_PAGE = PROJECT_ROOT / "docs" / "queries.md"


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the wheel's packages."""
    return installed_wheel(tmp_path_factory)


@pytest.fixture(scope="module")
def toured(packages: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, str]:
    """The dataset in a folder that was empty before `atlas demo`, and what that printed.

    It also has a snapshot, which a worked question asks about.
    """
    folder = tmp_path_factory.mktemp("demonstrated")
    printed = atlas(packages, folder, "demo")  # fails unless every plate was measured
    atlas(packages, folder, "snapshot", "create", "first")
    atlas(packages, folder, "run", "@ledgers")
    return Dataset(folder / "data" / "atlas"), printed


@pytest.fixture(scope="module")
def connection(toured):
    with connect(toured[0]) as opened:
        yield opened


def test_every_plate_was_measured(toured, connection):
    assert toured[0].plate_ids() == PLATES
    assert connection.execute(
        "SELECT instrument, count(*), count(*) FILTER (is_current) FROM runs GROUP BY ALL ORDER BY ALL"
    ).fetchall() == [
        ("efficientnet_lite0", 24, 24),
        ("efficientnet_lite0_imagenet", 24, 24),
        ("efficientnet_lite2", 24, 24),
        ("otsu_luma", 24, 24),
        ("otsu_luma_efficientnet_lite0", 24, 24),
        ("otsu_luma_kept", 24, 24),
        ("otsu_luma_palette", 24, 24),
        ("ppocr_v6_small", 24, 24),
        ("u2netp", 24, 24),
        ("u2netp_efficientnet_lite0", 24, 24),
        ("u2netp_efficientnet_lite2", 24, 24),
        ("u2netp_kept", 24, 24),
    ]


def test_the_catalogue_has_real_measurements(connection):
    assert connection.execute("SELECT count(*) FROM plates WHERE width IS NOT NULL").fetchone() == (24,)
    assert connection.execute("SELECT count(*) FROM histograms").fetchone() == (24,)
    assert connection.execute(
        "SELECT typeof(vector), count(*) FROM embeddings_efficientnet_lite0 GROUP BY 1"
    ).fetchall() == [("FLOAT[1280]", 24)]
    assert connection.execute("SELECT count(*) FROM probes").fetchone() == (24000,)
    sums = connection.execute("SELECT sum(score) FROM probes_efficientnet_lite0_imagenet GROUP BY plate_id").fetchall()
    assert [row[0] for row in sums] == pytest.approx([1.0] * 24, abs=1e-4)  # a softmax
    assert connection.execute("SELECT count(*) FROM nearest('plate-001', 'efficientnet_lite0', 3)").fetchone() == (3,)


@pytest.mark.parametrize("segmenter", ["otsu_luma", "u2netp"])
def test_both_segmenters_find_the_drawn_subjects(toured, segmenter):
    pattern = rf"{segmenter} against the drawn subjects.* 24 plates: median ([\d.]+), worst ([\d.]+)"
    found = re.search(pattern, toured[1])
    assert found
    median, worst = map(float, found.groups())
    assert 0.5 < median <= 1.0
    assert 0.0 < worst <= median


def test_the_neighbours_of_all_are_those_of_the_macro(connection):
    for embedder in EMBEDDERS:
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
    dataset, printed = toured
    for words in (
        "What was made?",
        "What is plate-001 like?",
        "What has the colours of plate-001?",
        "Where does a number come from?",
        "efficientnet_lite0 and efficientnet_lite2 name the same nearest plate for",
        "Do two instruments see the same subject?",
        "Which plates say a word",
        "ppocr_v6_small against the drawn lettering of 24 plates: character error rate ",
        str(dataset.catalogue_path),
        "contact_sheet.jpg",
    ):
        assert words in printed, words


def test_the_command_answers_queries_there(packages, toured):
    folder = toured[0].root.parents[1]
    assert "24" in atlas(packages, folder, "query", "SELECT count(*) AS plates FROM plates")


def statements(page: str) -> list[str]:
    """The statements of a page's SQL blocks."""
    blocks = re.findall(r"```sql\n(.*?)```", page, flags=re.DOTALL)
    return [statement for block in blocks for statement in re.split(r";[^\n]*\n", block) if statement.strip()]


@pytest.mark.parametrize(("page", "count"), [(README, 7), (QUERIES_PAGE, 45)], ids=["README.md", "queries.md"])
def test_each_query_gives_the_rows_below_it(connection, page, count):
    examples = shown(page)
    assert len(examples) == page.read_text(encoding="utf-8").count("```sql") == count
    wrong = {sql: found for sql, expected in examples if (found := differences(connection, sql, expected))}
    assert wrong == {}


def test_the_statements_of_the_catalogue_s_page_run(connection):
    failed = {}
    for statement in statements(CATALOGUE_PAGE.read_text(encoding="utf-8")):
        try:
            connection.execute(statement).fetchall()
        except duckdb.Error as error:
            failed[statement] = str(error)
    assert failed == {}


def test_statements_of_a_page_are_found():
    assert statements("```sql\nSHOW TABLES;  -- all\nFROM models\nLIMIT 1;\n```\n```sh\nls;\n```") == [
        "SHOW TABLES",
        "FROM models\nLIMIT 1",
    ]
    assert len(statements(CATALOGUE_PAGE.read_text(encoding="utf-8"))) >= 6

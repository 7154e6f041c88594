"""Lines that a reader finds become rows in source pixels; a second reader reads the lines that the first one found."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageDraw
from support.made_datasets import make_dataset
from support.made_results import build_ledgers, measure, measure_groundwork
from support.made_specs import project_spec

from atlas_assets.graph.checks.ledgers import build_ledger_checks
from atlas_assets.roles.declared import ContractBroken
from atlas_assets.roles.text.reading import ReadingWork, cut_line
from atlas_assets.roles.text.scripts import script_of
from atlas_assets.roles.works import ANSWERING_WORK, WORKS, work_path
from atlas_assets.ui.instrument import result_metadata
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.numeric import Numeric
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.ledgers.parquet import ledger_path, read_ledger
from atlas_resources.models.protocols import TextLine
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource
from atlas_resources.runs.sealed import find_done
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.tables.results import INSTRUMENT_TABLES

READER, SECOND = "ppocr_v6_small", "trocr_base_printed"
MARKUP = "![a](http://127.0.0.1/b.png) | <b>"


def line(text: str, left: float, top: float, score: float | None = 0.9, **more: Any) -> TextLine:
    corners = [(left, top), (left + 100, top), (left + 100, top + 20), (left, top + 20)]
    return TextLine(text, score, np.array(corners, float), **more)


FOUND = [line("SNOW BIRD", 100, 10, 0.8), line("noise", 20, 100, 0.79), line("東海道", 50, 200, language="jpn")]


class Reads:
    """A page reader that finds the same lines on every plate of 400 x 300 px."""

    def __init__(self, *found: TextLine):
        self.found = list(found)

    def read_page(self, pixels: np.ndarray) -> list[TextLine]:
        assert pixels.shape == (300, 400, 3)
        assert pixels.dtype == np.uint8
        return self.found


class ReadsLines:
    """A line reader that says how large a line is; the second one of a plate is empty."""

    def read_lines(self, lines: Sequence[np.ndarray]) -> list[tuple[str, float | None]]:
        return [("" if number == 1 else f"{one.shape[1]} x {one.shape[0]}", None) for number, one in enumerate(lines)]


def specs() -> dict[str, Spec]:
    second = project_spec(SECOND).model_copy(update={"numeric": Numeric(dtype="float32", device="cpu")})
    return {READER: project_spec(READER), SECOND: second}


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path, "red")


@pytest.fixture
def registry() -> Registry:
    return Registry(Path(), specs(), frozenset(), ())


def read_on(dataset: Dataset, *found: TextLine) -> Any:
    work = ReadingWork(project_spec(READER), lambda: Reads(*found))
    work.load()
    (measurement,) = work.measure([work.prepare(dataset.plate("plate-001"), None, Stopwatch())])
    return measurement


class TestRows:
    def test_lines_are_rows_in_the_order_given_with_box_script_and_threshold(self, dataset: Dataset):
        rows = read_on(dataset, *FOUND).rows
        names = ("text_id", "text", "is_above_threshold", "language", "script", "x_min", "y_min", "x_max", "y_max")
        assert rows.select(names).rows() == [
            ("line-0001", "SNOW BIRD", True, None, "Latn", 100.0, 10.0, 200.0, 30.0),
            ("line-0002", "noise", False, None, "Latn", 20.0, 100.0, 120.0, 120.0),
            ("line-0003", "東海道", True, "jpn", "Hani", 50.0, 200.0, 150.0, 220.0),
        ]
        assert rows["quadrilateral"][0].to_list() == [100, 10, 200, 10, 200, 30, 100, 30]
        assert set(rows["machine_made"]) == {True}
        assert set(rows["form"]) == {"transcription"}
        assert set(rows["scope"]) == {"plate"}

    def test_the_columns_of_answers_are_null(self, dataset: Dataset):
        rows = read_on(dataset, *FOUND).rows
        for name in ("status", "attempt", "finish_reason", "raw_text", "output_token_count", "prompt_sha256"):
            assert rows[name].null_count() == 3, name

    def test_nothing_read_is_a_result(self, dataset: Dataset):
        measurement = read_on(dataset)
        assert measurement.rows.height == 0
        assert measurement.metrics["line_count"] == 0
        assert measurement.preview is not None

    def test_metrics_count_lines_above_the_threshold(self, dataset: Dataset):
        assert read_on(dataset, *FOUND).metrics == {
            "line_count": 3, "line_above_threshold_count": 2, "character_count": 12, "longest_line": "SNOW BIRD",
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("wrong", "complaint"),
        [
            (line(" ", 0, 0), "expected text in every line, found ' '"),
            (line("a", 0, 0, 1.2), r"expected a score of 0 to 1, found 1\.2"),
            (line("a", float("nan"), 0), "expected four finite corners"),
            (TextLine("a", 0.5, np.zeros((2, 2))), "expected four finite corners"),
        ],
    )
    def test_an_invalid_line_is_refused_with_the_readers_name(self, dataset: Dataset, wrong: TextLine, complaint: str):
        with pytest.raises(ContractBroken, match=f"{READER}: {complaint}"):
            read_on(dataset, wrong)

    def test_a_model_that_reads_no_pages_is_refused(self):
        with pytest.raises(ContractBroken, match="expected a PageReader, found ReadsLines"):
            ReadingWork(project_spec(READER), ReadsLines).load()


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Snow Bird 13.", "Latn"),
        ("東海道 no. 1", "Hani"),
        ("ひらがな a", "Hira"),
        ("Птица", "Cyrl"),
        ("13 . &", None),
        ("ﬁn", "Latn"),  # a ligature
        ("ΑΒ", "Grek"),
        ("ᚠᚢ", "Zzzz"),  # runes, which have no code here
    ],
)
def test_the_script_is_that_of_most_letters(text: str, script: str | None):
    assert script_of(text) == script


class TestCutting:
    def test_a_line_is_cut_out_as_large_as_it_is(self):
        plate = Image.new("RGB", (100, 60))
        plate.paste((250, 0, 0), (20, 10, 60, 30))
        cut = cut_line(plate, np.array([(20, 10), (60, 10), (60, 30), (20, 30)], float))
        assert cut.shape == (20, 40, 3)
        assert (cut == (250, 0, 0)).all()

    def test_a_line_that_runs_down_is_upright_afterwards(self):
        """The text begins at the upper right of its box: its first half is red, its second half blue."""
        plate = Image.new("RGB", (60, 100))
        draw = ImageDraw.Draw(plate)
        draw.rectangle((20, 10, 39, 49), fill=(250, 0, 0))
        draw.rectangle((20, 50, 39, 89), fill=(0, 0, 250))
        cut = cut_line(plate, np.array([(40, 10), (40, 90), (20, 90), (20, 10)], float))
        assert cut.shape == (20, 80, 3)
        assert (cut[4:16, 4:36] == (250, 0, 0)).all()
        assert (cut[4:16, 44:76] == (0, 0, 250)).all()


class TestSecondReader:
    @pytest.fixture
    def rows(self, dataset: Dataset, registry: Registry) -> pl.DataFrame:
        measure_groundwork(dataset)
        for key, model in ((READER, Reads(*FOUND, line("third", 0, 240))), (SECOND, ReadsLines())):
            assert measure(dataset, registry, key, ReadingWork(specs()[key], lambda model=model: model)) == ["complete"]
        build_ledgers(dataset, registry)
        return read_ledger(dataset, INSTRUMENT_TABLES["text"]).filter(instrument=SECOND)

    def test_it_reads_lines_above_the_threshold_and_keeps_their_ids_and_places(self, rows: pl.DataFrame):
        """line-0002 is below it, line-0003 is read as nothing."""
        names = ("text_id", "text", "scope", "is_above_threshold", "x_min", "y_max", "is_current")
        assert rows.select(names).rows() == [
            ("line-0001", "100 x 20", "line", None, 100.0, 30.0, True),
            ("line-0004", "100 x 20", "line", None, 0.0, 260.0, True),
        ]

    def test_its_rows_have_both_licences(self, rows: pl.DataFrame):
        assert set(rows["licence"]) == {"Apache-2.0 AND unknown"}
        assert set(rows["commercial_use"]) == {"unknown"}


class TestShown:
    def test_what_was_read_is_escaped_in_the_ui(self, dataset: Dataset, registry: Registry):
        work = ReadingWork(project_spec(READER), lambda: Reads(line(MARKUP, 0, 0), line("noise", 0, 50, 0.1)))
        measure(dataset, registry, READER, work)
        plate = dataset.plate("plate-001")
        manifest = find_done(plate, registry.instruments[READER].identity)
        assert manifest is not None
        found = result_metadata(plate, manifest, is_reused=False)
        assert found["lines"].text.splitlines() == [
            "| id | text | score |",
            "|---|---|---|",
            r"| line-0001 | !\[a\](http://127.0.0.1/b.png) \| \<b\> | 0.90 |",
            "| line-0002 | noise | 0.10 (below the threshold) |",
        ]
        assert found["line_count"] == 2

    def test_the_preview_outlines_lines_above_the_threshold_and_lists_them(self, dataset: Dataset):
        with_line, without = (
            np.asarray(Image.open(io.BytesIO(read_on(dataset, *found).preview)), dtype=int)
            for found in ([line("SNOW", 100, 100)], [line("SNOW", 100, 100, 0.1)])
        )
        assert with_line.shape == without.shape
        is_drawn = np.abs(with_line - without).sum(axis=2) > 60
        rows, columns = np.nonzero(is_drawn[:, :400])
        assert (columns.min(), columns.max(), rows.min(), rows.max()) == pytest.approx((100, 200, 100, 120), abs=4)
        assert is_drawn[:20, 400:].any()


class TestSoundness:
    @pytest.mark.parametrize(
        "change",
        [
            pl.col("x_max") + 1,
            pl.lit(False).alias("machine_made"),
            pl.lit(1.5, pl.Float32).alias("score"),
            pl.lit(None, pl.String).alias("text"),
            pl.lit([0.0, 1.0], pl.List(pl.Float64)).alias("quadrilateral"),
            pl.lit(None, pl.List(pl.Float64)).alias("quadrilateral"),
            pl.lit(None, pl.Float32).alias("score"),
            *((pl.lit(None, pl.Float64).alias(edge)) for edge in ("x_min", "y_max")),
        ],
    )
    def test_a_row_that_contradicts_itself_keeps_the_catalogue_back(
        self, dataset: Dataset, registry: Registry, change: pl.Expr
    ):
        assert self.passed(dataset, registry, None)
        assert not self.passed(dataset, registry, change)

    def passed(self, dataset: Dataset, registry: Registry, change: pl.Expr | None) -> bool:
        measure_groundwork(dataset)
        measure(dataset, registry, READER, ReadingWork(project_spec(READER), lambda: Reads(*FOUND)))
        build_ledgers(dataset, registry)
        path = ledger_path(dataset, INSTRUMENT_TABLES["text"])
        if change is not None:
            pl.read_parquet(path).with_columns(change).write_parquet(path)
        checks = build_ledger_checks(registry)
        (check,) = [one for one in checks if next(iter(one.check_keys)).name == "texts_are_sound"]
        return check(dataset=DatasetResource(root=str(dataset.root))).passed


class TestWhichWork:
    def test_a_reader_reads_and_a_model_that_is_asked_answers(self):
        assert work_path(project_spec(READER)) == WORKS["text"]
        assert work_path(project_spec("blip_image_captioning_base")) == ANSWERING_WORK

    def test_lettering_that_a_model_is_asked_for_is_an_answer(self):
        assert work_path(project_spec("florence_2_base_ocr")) == ANSWERING_WORK

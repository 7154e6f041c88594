"""A benchmark times real calls: at once only where the model allows it, failures counted, the cold call left out."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.made_answers import Says, loads, said, text_registry, text_spec
from support.made_datasets import make_dataset
from support.made_results import build_ledgers
from support.made_specs import project_spec
from support.made_withdrawals import withdrawn
from typer.testing import CliRunner

from atlas_assets.cli import app as cli
from atlas_assets.roles.text.benchmarking import MOST_FAILED, NotMeasurable, measure_benchmark, write_benchmark
from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.ledgers.benchmarks.build import build_benchmarks, changed_benchmarks, read_benchmark
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.models.protocols import Answer, Question
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import DatasetBroken
from atlas_resources.plates.records.benchmark import Benchmark
from atlas_resources.withdrawals.in_force import InstrumentWithdrawn

PLATES = ("plate-001", "plate-002", "plate-003")
REGISTRY = text_registry(text_spec("captioner"), text_spec("reader_of_captions", "keywords", upstream="captioner"))
CAPTIONER = REGISTRY.instruments["captioner"]
ANSWER_SECONDS = 0.1


class Waits(Says):
    """Takes ANSWER_SECONDS for an answer, and counts how many it gives at once."""

    def __init__(self, concurrency: int | None, failing: Sequence[int] = ()):
        super().__init__(said("a heron"))
        if concurrency is not None:
            self.concurrency = concurrency
        self.failing = failing
        self.calls = self.now = self.most = 0
        self._lock = threading.Lock()

    def describe(self, pixels: np.ndarray, questions: Sequence[Question]) -> list[Answer]:
        with self._lock:
            self.calls += 1
            self.now += 1
            self.most = max(self.most, self.now)
            number = self.calls
        time.sleep(ANSWER_SECONDS)
        with self._lock:
            self.now -= 1
        if number in self.failing:
            raise RuntimeError("the server said 500")
        return [self.answers[0] for _ in questions]


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path, "red", "green", "blue")


def measured(dataset: Dataset, model: Any, concurrencies: Sequence[int] = (1, 2, 4)) -> Benchmark:
    return measure_benchmark(dataset, CAPTIONER, PLATES, concurrencies, loads(model))


@pytest.mark.parametrize("concurrency", [None, 1])
def test_a_model_in_this_process_has_a_figure_for_one_at_a_time_alone(dataset: Dataset, concurrency: int | None):
    model = Waits(concurrency)
    found = measured(dataset, model)
    assert [figure.images_per_second is None for figure in found.figures] == [False, True, True]
    assert {figure.reason for figure in found.figures[1:]} == {"the model is asked about 1 at once"}
    assert (model.most, model.calls) == (1, 1 + 3)  # the cold call, and each plate
    assert found.figures[0].images_per_second == pytest.approx(1 / ANSWER_SECONDS, rel=0.4)
    assert found.most_at_once == 1


def test_a_model_that_allows_four_at_once_is_asked_by_four_threads_and_no_more(dataset: Dataset):
    model = Waits(4)
    found = measured(dataset, model, (1, 4, 8))
    one, four, eight = found.figures
    assert model.most == 4
    assert one.images_per_second
    assert four.images_per_second
    assert four.images_per_second > 2 * one.images_per_second
    assert four.image_count == 8  # two for each thread
    assert eight.images_per_second is None
    assert found.cold_seconds >= ANSWER_SECONDS


def test_a_failure_is_counted_and_named_and_does_not_count_as_an_image(dataset: Dataset):
    (figure,) = measured(dataset, Waits(1, failing=[3]), [1]).figures
    assert (figure.image_count, figure.failure_count) == (2, 1)
    assert figure.reason == "RuntimeError: the server said 500"


def test_a_model_that_died_is_not_asked_for_ever(dataset: Dataset):
    model = Waits(8, failing=range(2, 99))
    (figure,) = measured(dataset, model, [8]).figures
    assert (figure.images_per_second, figure.image_count, figure.failure_count) == (None, 0, 16)
    assert model.calls <= 1 + 8 + MOST_FAILED


def test_the_first_call_of_all_must_succeed(dataset: Dataset):
    with pytest.raises(RuntimeError, match="the server said 500"):
        measured(dataset, Waits(1, failing=[1]), [1])


def test_what_writes_no_text_has_no_benchmark(dataset: Dataset):
    embedder = text_registry(project_spec("clip_vit_base_patch32")).instruments["clip_vit_base_patch32"]
    with pytest.raises(NotMeasurable, match="expected an instrument of role 'text', found 'embedding' and 3 plates"):
        measure_benchmark(dataset, embedder, PLATES, [1], loads(None))
    with pytest.raises(NotMeasurable, match="expected at least one plate"):
        measure_benchmark(dataset, CAPTIONER, [], [1], loads(None))


def test_a_plate_without_what_the_instrument_reads_is_named(dataset: Dataset):
    reader = REGISTRY.instruments["reader_of_captions"]
    with pytest.raises(NotMeasurable, match=r"plate-001 cannot be shown to reader_of_captions.*no sealed result"):
        measure_benchmark(dataset, reader, PLATES, [1], loads(Waits(1)))


def test_the_file_becomes_rows_of_the_ledger_which_is_behind_until_then(dataset: Dataset):
    build_ledgers(dataset, REGISTRY)
    build_catalogue(dataset, REGISTRY)
    assert why_behind(dataset, REGISTRY) == ""
    path = write_benchmark(dataset, measured(dataset, Waits(2)))
    assert path.parent == dataset.root / "benchmarks" / "captioner"
    (reason,) = changed_benchmarks(dataset)
    assert reason.startswith("1 benchmarks were added or removed")
    assert why_behind(dataset, REGISTRY) == reason
    rows = build_benchmarks(dataset).sort("concurrency")
    assert rows["concurrency"].to_list() == [1, 2, 4]
    assert rows["images_per_second"].is_null().to_list() == [False, False, True]
    assert set(rows["fingerprint"]) == {CAPTIONER.identity.fingerprint}
    assert set(rows["plate_count"]) == {3}
    assert list(changed_benchmarks(dataset)) == []
    path.unlink()
    assert len(list(changed_benchmarks(dataset))) == 1


def test_a_file_that_was_edited_is_left_out(dataset: Dataset):
    path = write_benchmark(dataset, measured(dataset, Waits(1), [1]))
    path.write_text(
        path.read_text(encoding="utf-8").replace('"image_count": 3', '"image_count": 300'), encoding="utf-8"
    )
    with pytest.raises(DatasetBroken):
        read_benchmark(path)
    assert build_benchmarks(dataset).height == 0


def test_a_withdrawn_instrument_is_not_asked(dataset: Dataset):
    withdrawn(dataset, "model", "captioner")
    with pytest.raises(InstrumentWithdrawn):
        measured(dataset, Waits(1))


@pytest.mark.parametrize("given", ["", "0", "a", "1,,2", "-1"])
def test_the_command_refuses_what_is_no_list_of_numbers(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path))
    result = CliRunner().invoke(cli.app, ["models", "bench", "ppocr_v6_small", "--concurrency", given])
    assert result.exit_code == 1
    assert "--concurrency: expected numbers from 1" in result.stderr


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("qwen2_vl_2b", "qwen2_vl_2b is not admitted: "),
        ("ppocr_v6_smal", "ppocr_v6_small"),
        ("ppocr_v6_small", "has no plates. Fix: atlas plates add FOLDER"),
        ("trocr_base_printed", "no plate has the results of ppocr_v6_small, which trocr_base_printed reads"),
    ],
)
def test_the_command_says_why_it_measures_nothing(
    key: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ATLAS_HOME", str(tmp_path))
    result = CliRunner().invoke(cli.app, ["models", "bench", key])
    assert result.exit_code == 1
    assert message in result.stderr

"""Plates that a server answers for: several at once, a refused one alone, a lost server, and the server in each row."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from support.made_answers import Says, loads, said, text_registry, text_spec
from support.made_datasets import make_dataset, run_folders
from support.made_results import build_ledgers, measure
from support.made_servers import HONOURED

from atlas_assets.roles.text.answering import AnsweringWork
from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.protocols import Answer, Question
from atlas_resources.models.servers.client import RequestRefused, ServerLost
from atlas_resources.models.servers.records import server_sha256
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.json_files import read_json
from atlas_resources.plates.run_contracts import RunManifest, ServerRecord
from atlas_resources.runs.sealed import MANIFEST_NAME
from atlas_resources.runs.stages import Stopwatch

SERVER = ServerRecord(
    program="vllm", version="0.33.0", flags={"seed": 0}, dtype="bfloat16", device="cuda", command=["vllm", "serve"],
    endpoint="http://127.0.0.1:8000", model_name="tiny", model_id="tiny/model", files={"model.safetensors": "1" * 64},
    host="here", process_id=4711, started_at="2026-01-01T00:00:00Z", attested_by=None, honoured=HONOURED,  # type: ignore[arg-type] # read from text
    notes=["seed: kept"],
)  # fmt: skip
GREEN = 140  # of the second plate's subject


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return make_dataset(tmp_path, "red", "green", "blue", "ochre")


class Served(Says):
    """A model behind a server. Refuses or is lost at the green plate."""

    concurrency = 4
    server = SERVER

    def __init__(self, *answers: Answer, error: Exception | None = None, seconds: float = 0.0):
        super().__init__(*answers)
        self.error = error
        self.seconds = seconds
        self.times = 0
        self.at_once = self.most_at_once = 0
        self._lock = threading.Lock()

    def describe(self, pixels: np.ndarray, questions: Sequence[Question]) -> list[Answer]:
        with self._lock:
            self.times += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        time.sleep(self.seconds)
        with self._lock:
            self.at_once -= 1
        if self.error is not None and tuple(pixels[150, 150]) == (40, GREEN, 60):
            raise self.error
        size = f"{pixels.shape[1]} x {pixels.shape[0]}"
        return [said(size, server_sha256=server_sha256(SERVER), request_count=2) for _ in questions]


@pytest.fixture
def spec() -> Spec:
    return text_spec("captioner", batch_size=4)


def prepared(dataset: Dataset, work: AnsweringWork) -> list[Any]:
    work.load()
    return [work.prepare(dataset.plate(plate_id), None, Stopwatch()) for plate_id in dataset.plate_ids()]


def manifest_of(dataset: Dataset, plate_id: str) -> Path:
    (name,) = run_folders(dataset, plate_id)
    return dataset.plate(plate_id).runs_folder / name / MANIFEST_NAME


def test_plates_are_asked_about_at_once_and_answered_in_their_order(dataset: Dataset, spec: Spec):
    model = Served(seconds=0.2)
    work = AnsweringWork(spec, loads(model))
    found: list[Any] = work.measure(prepared(dataset, work))
    assert model.most_at_once == 4
    assert [one.rows["text"][0] for one in found] == ["400 x 300", "300 x 420", "360 x 360", "600 x 340"]


def test_a_strict_instrument_asks_about_one_plate_at_a_time(dataset: Dataset, spec: Spec):
    model = Served(seconds=0.05)
    model.concurrency = 1
    work = AnsweringWork(spec, loads(model))
    work.measure(prepared(dataset, work))
    assert model.most_at_once == 1


@pytest.mark.parametrize("concurrency", [1, 4])
def test_a_refused_plate_fails_alone_and_no_other_is_asked_again(dataset: Dataset, spec: Spec, concurrency: int):
    model = Served(error=RequestRefused("captioner: the server answers 400: too many tokens"))
    model.concurrency = concurrency
    registry = text_registry(spec)
    statuses = measure(dataset, registry, "captioner", AnsweringWork(spec, loads(model)))
    assert statuses == ["complete", "failed", "complete", "complete"]
    assert model.times == 4
    failed = read_json(manifest_of(dataset, "plate-002"), RunManifest)
    assert failed.error is not None
    assert (failed.error.type, failed.error.stage) == ("RequestRefused", "compute")
    assert failed.environment.server == SERVER


def test_a_lost_server_ends_the_run_fails_no_plate_and_the_next_run_goes_on(dataset: Dataset, spec: Spec):
    spec = spec.model_copy(update={"batch_size": 1})
    registry = text_registry(spec)
    lost = Served(error=ServerLost("captioner: its process 4711 has ended. Fix: `atlas models serve captioner`"))
    with pytest.raises(ServerLost) as caught:
        measure(dataset, registry, "captioner", AnsweringWork(spec, loads(lost)))
    assert str(caught.value).startswith(
        "this process has lost its server while measuring plate-002: captioner: its process 4711 has ended. "
        "Fix: `atlas models serve captioner`. These plates and those after them are not measured, and none counts as "
        "failed. Start the server again"
    )
    assert [len(run_folders(dataset, plate_id)) for plate_id in dataset.plate_ids()] == [1, 0, 0, 0]
    assert (
        measure(dataset, registry, "captioner", AnsweringWork(spec, loads(Served()))) == ["reused"] + ["complete"] * 3
    )


def test_every_row_joins_the_record_of_its_server(dataset: Dataset, spec: Spec):
    import duckdb

    registry = text_registry(spec)
    assert measure(dataset, registry, "captioner", AnsweringWork(spec, loads(Served()))) == ["complete"] * 4
    texts = build_ledgers(dataset, registry)["texts"]
    assert set(texts["request_count"]) == {2}
    with duckdb.connect(str(build_catalogue(dataset, registry)), read_only=True) as connection:
        rows = connection.execute(
            """
            SELECT count(*), program, version, flags, command, endpoint, files, process_id,
                   started_at, servers.attested_by, honoured, instruments, plate_count
            FROM texts JOIN servers USING (server_sha256) GROUP BY ALL
            """
        ).fetchall()
        lineage = connection.execute(
            "SELECT DISTINCT subject_kind, relation, object, object_name FROM lineage WHERE object_kind = 'server'"
        ).fetchall()
    assert len(rows) == 1
    assert rows[0][:4] == (4, "vllm", "0.33.0", '{"seed":0}')
    assert rows[0][4:8] == ('["vllm","serve"]', SERVER.endpoint, f'{{"model.safetensors":"{"1" * 64}"}}', 4711)
    assert rows[0][9] is None
    assert rows[0][11:] == (["captioner"], 4)
    assert lineage == [("run", "used", server_sha256(SERVER), "vllm 0.33.0 http://127.0.0.1:8000")]


def test_a_model_of_the_runs_own_process_has_no_server(dataset: Dataset, spec: Spec):
    registry = text_registry(spec)
    assert (
        measure(dataset, registry, "captioner", AnsweringWork(spec, loads(Says(said("a heron"))))) == ["complete"] * 4
    )
    manifest = manifest_of(dataset, "plate-001")
    assert read_json(manifest, RunManifest).environment.server is None
    assert '"server"' not in manifest.read_text()
    runs = build_ledgers(dataset, registry)["runs"]
    assert runs.filter(pl.col("server_sha256").is_not_null()).height == 0

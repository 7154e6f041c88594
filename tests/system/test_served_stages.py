"""A tiny seeded model describes plates through real servers: killed and resumed, and compared with the in-process one.

`transformers serve` comes with the library and ignores schemas. A server that keeps to them, vLLM, needs an environment
of its own: its path is in ATLAS_TEST_VLLM, or `vllm` is on PATH.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest
from support.made_datasets import Graph, make_dataset, source_digests
from support.made_describers import made_qwen2_vl
from support.made_results import build_ledgers
from support.made_servers import served_spec
from support.made_stages import QUESTIONS, STAGES, question_sets, served_registry
from support.sealed_stages import require_whole_texts, sealed

from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.instruments.registry import Registry
from atlas_resources.instruments.spec.served import Served
from atlas_resources.instruments.spec.spec import PromptPin, Spec
from atlas_resources.instruments.texts.json_schemas import sha256_of
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Question
from atlas_resources.models.servers.records import read_records, server_sha256
from atlas_resources.models.servers.running import require_server
from atlas_resources.plates.dataset import Dataset
from atlas_resources.serving.ending import stop
from atlas_resources.serving.finding import find_program
from atlas_resources.serving.probing import ProbeRefused
from atlas_resources.serving.starting import Started, Wanted, start

pytestmark = [pytest.mark.system, pytest.mark.timeout(600)]

PROGRAM = Path(__file__).with_name("described.py")
PLATES = ["red", "green", "blue", "ochre", "teal"]
TRANSFORMERS = Path(sys.executable).with_name("transformers")
VLLM = os.environ.get("ATLAS_TEST_VLLM") or shutil.which("vllm")
VLLM_FLAGS = {
    "enforce-eager": True,
    "limit-mm-per-prompt": '{"image":1,"video":0}',
    "max-model-len": 1024,
    "max-num-seqs": 4,
    "mm-processor-kwargs": '{"min_pixels":3136,"max_pixels":12544}',
    "structured-outputs-config": '{"backend":"guidance","disable_any_whitespace":true}',
}
needs_vllm = pytest.mark.skipif(VLLM is None, reason="vLLM is not here: no ATLAS_TEST_VLLM, and no `vllm` on PATH")


def transformers_version() -> str:
    import transformers

    return transformers.__version__


def vllm_version() -> str:
    done = subprocess.run([str(VLLM), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.split()[-1].partition("+")[0]


BEGUN: list[Started] = []
"""The servers of the present test."""


def begin(spec: Spec, program: Path, *, has_schema: bool = False) -> Started:
    """Starts a server that ends with the test."""
    BEGUN.append(start(spec, Wanted(path=str(program)), has_schema=has_schema, on_line=lambda line: None))
    return BEGUN[-1]


@dataclass
class Bench:
    """Stages that one server answers for.

    Attributes:
        hub: the cache with the snapshot.
        registry: the stages.
        program: that serves.
        asked: what `described.py` needs to make the same registry.
    """

    hub: Path
    registry: Registry
    program: Path
    asked: dict[str, Any]

    def serve(self) -> Started:
        """Starts the server under the key of the caption; all stages ask it."""
        spec = self.registry.specs["tiny_caption"]
        has_schema = self.asked["has_schema"]
        return begin(spec, self.program, has_schema=has_schema)

    def describe(self, dataset: Dataset) -> subprocess.Popen:
        """Starts a process that takes the dataset through the stages."""
        process = subprocess.Popen(
            [sys.executable, PROGRAM, dataset.root, self.hub, json.dumps(self.asked)],
            stdout=subprocess.PIPE, text=True, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process


def make_bench(folder: Path, patch: pytest.MonkeyPatch, program: str) -> Bench:
    if program == "transformers":
        served = Served(program="transformers", version=transformers_version())
        parameters = {
            "temperature": 5.0,
            "attempts": 10,
            "seed": 11,
            "is_constrained": False,
            "concurrency": 1,
            "max_new_tokens": 30,
        }
        asked = {"has_schema": False, "parameters": parameters}
        path = TRANSFORMERS
    else:
        served = Served(program="vllm", version=vllm_version(), flags=dict(VLLM_FLAGS))
        asked = {"has_schema": True, "parameters": {"concurrency": 2}}
        path = Path(str(VLLM))
    hub = folder / "hub"
    registry = served_registry(hub, patch, served, has_schema=asked["has_schema"], **asked["parameters"])
    return Bench(hub, registry, path, {"served": served.model_dump(mode="json"), **asked})


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Records of servers of this test alone. Every server ends with it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv("VLLM_CPU_OMP_THREADS_BIND", "nobind")
    yield
    for key in read_records():
        stop(key)
    while BEGUN:
        BEGUN.pop().process.wait(20)


def wait_for(count: int, dataset: Dataset, process: subprocess.Popen) -> None:
    """Waits until so many results are sealed by a process that is not to end before."""
    deadline = time.monotonic() + 120
    while len(sealed(dataset)) < count:
        assert process.poll() is None, "ended before it was killed"
        assert time.monotonic() < deadline
        time.sleep(0.01)


def end(process: subprocess.Popen, *, by: signal.Signals | None = None) -> int:
    if by is not None:
        process.send_signal(by)
    code = process.wait(timeout=120)
    assert process.stdout is not None
    process.stdout.close()
    return code


@pytest.mark.parametrize("program", ["transformers", pytest.param("vllm", marks=needs_vllm)])
def test_served_stages_go_on_after_the_run_and_after_the_server_was_killed(
    program: str, tmp_path: Path, monkeypatch, instance
):
    bench = make_bench(tmp_path, monkeypatch, program)
    dataset = make_dataset(tmp_path, *PLATES)
    sources = source_digests(dataset)
    first = bench.serve()
    killed = bench.describe(dataset)
    wait_for(2, dataset, killed)
    end(killed, by=signal.SIGKILL)  # the run, in the middle of the captions
    before = sealed(dataset)
    left_alone = bench.describe(dataset)
    wait_for(7, dataset, left_alone)
    family = psutil.Process(first.process.pid).children(recursive=True)
    first.process.kill()  # the server, in the middle of the keywords
    first.process.wait(10)
    for one in family:  # what vLLM started sees its end, not always at once
        with suppress(psutil.NoSuchProcess):
            one.kill()
    end(left_alone)
    found = sealed(dataset)
    assert found.items() >= before.items(), "a sealed result changed"
    assert 7 <= len(found) < 5 * len(STAGES)
    assert {one.status for some in found.values() for one in some} == {"complete"}, "a dead server failed a plate"
    second = bench.serve()
    graph = Graph(dataset, bench.registry, instance)
    for asset in STAGES.values():
        assert graph.materialize(asset).success
    again = sealed(dataset)
    assert again.items() >= found.items()
    assert {len(manifests) for manifests in again.values()} == {1}, "a done plate was described again"
    assert Counter(key for _, key in again) == dict.fromkeys(bench.registry.specs, 5)
    assert source_digests(dataset) == sources
    texts = build_ledgers(dataset, bench.registry)["texts"]
    if bench.asked["has_schema"]:
        require_whole_texts(texts, again)
    require_answered(texts, bench, {server_sha256(first.record), server_sha256(second.record)})
    require_joined(dataset, bench.registry)


def require_answered(texts: pl.DataFrame, bench: Bench, servers: set[str]) -> None:
    """Each row says which question, weights, server and attempt; the answer before is in the question."""
    done = texts.filter(status="done")
    assert done.height == 5 * len(QUESTIONS)
    assert set(texts["server_sha256"]) == servers
    assert texts["request_count"].to_list() == [1] * texts.height
    assert texts["attested_by"].null_count() == texts.height
    assert texts["weights_sha256"].n_unique() == 1
    answers = {(row["plate_id"], row["form"]): row["text"] for row in done.to_dicts()}
    forms = list(QUESTIONS)
    for row in texts.to_dicts():
        before = forms[forms.index(row["form"]) - 1] if row["form"] != forms[0] else None
        earlier = " ".join(answers[row["plate_id"], before].split()) if before else ""
        assert row["question_sha256"] == sha256_of(QUESTIONS[row["form"]].replace(f"{{{before}}}", earlier))
        assert row["prompt_sha256"] is not None
        assert row["text_id"] == "answer-0001" + (f"-attempt-{row['attempt']}" if row["attempt"] > 1 else "")
    if not bench.asked["has_schema"]:
        assert texts["attempt"].max() > 1, "no answer was asked for again"  # type: ignore[operator] # numbers


def require_joined(dataset: Dataset, registry: Registry) -> None:
    """Every answer joins the record of its server."""
    import duckdb

    with duckdb.connect(str(build_catalogue(dataset, registry)), read_only=True) as connection:
        rows = connection.execute(
            "SELECT DISTINCT program, files, process_id IS NOT NULL FROM texts JOIN servers USING (server_sha256)"
        ).fetchall()
        counted = connection.execute("SELECT sum(plate_count) FROM servers").fetchall()
    assert [(row[0], row[2]) for row in rows] == [(registry.specs["tiny_caption"].served.program, True)]  # type: ignore[union-attr] # declared
    assert "model.safetensors" in rows[0][1]
    assert counted == [(5 * len(QUESTIONS),)]


def drawn_pixels() -> Any:
    import numpy as np
    from PIL import Image

    return np.asarray(Image.effect_mandelbrot((390, 270), (-2, -1.2, 1, 1.2), 90).convert("RGB"))


def both(spec: Spec, in_process: Spec, *, has_schema: bool) -> list[tuple[str, str]]:
    """The answers to each question by a server and in process."""
    sets = question_sets(has_schema=has_schema)
    pins = [PromptPin(set=one.set, version=1, sha256=one.sha256) for one in sets.sets.values()]
    prompts = sets.asked(pins)
    models: list[Any] = [load_model(one.model_copy(update={"prompts": pins}), prompts) for one in (spec, in_process)]
    questions = [Question(prompt, prompt.text.replace("{", "").replace("}", "")) for prompt in prompts]
    found = [model.describe(drawn_pixels(), questions) for model in models]
    for one, other in zip(*found, strict=True):
        assert (one.sent_width_px, one.sent_height_px) == (other.sent_width_px, other.sent_height_px)
        assert (one.prompt_token_count, one.finish_reason) == (other.prompt_token_count, other.finish_reason)
        assert one.output_token_count == other.output_token_count
        assert one.chat_template_sha256 == other.chat_template_sha256
    return [(one.text, other.text) for one, other in zip(*found, strict=True)]


def test_transformers_serve_writes_what_the_same_network_writes_in_process(tmp_path: Path, monkeypatch):
    made = made_qwen2_vl(tmp_path / "hub", monkeypatch, head_dim=32, is_plain=True, max_new_tokens=60)
    free = {"is_constrained": False, "max_new_tokens": 60}
    served = Served(program="transformers", version=transformers_version())
    spec = served_spec(made.spec, served, **free)
    begin(spec, TRANSFORMERS)
    in_process = made.spec.model_copy(update={"parameters": {**made.spec.parameters, **free}})
    pairs = both(spec, in_process, has_schema=False)
    assert len({text for text, _ in pairs}) == len(QUESTIONS)
    assert [text for text, _ in pairs] == [other for _, other in pairs]


def test_transformers_serve_is_found_to_ignore_schemas(tmp_path: Path, monkeypatch):
    made = made_qwen2_vl(tmp_path / "hub", monkeypatch)
    spec = served_spec(made.spec, Served(program="transformers", version=transformers_version()))
    with pytest.raises(ProbeRefused, match="was found to ignore the JSON Schema"):
        begin(spec, TRANSFORMERS, has_schema=True)
    assert read_records() == {}


@needs_vllm
def test_vllm_writes_what_the_same_network_writes_in_process(tmp_path: Path, monkeypatch):
    made = made_qwen2_vl(tmp_path / "hub", monkeypatch, head_dim=32, max_new_tokens=200)
    spec = served_spec(made.spec, Served(program="vllm", version=vllm_version(), flags=dict(VLLM_FLAGS)))
    assert find_program(spec, None, VLLM)[3].partition("+")[0] == vllm_version()
    started = begin(spec, Path(str(VLLM)), has_schema=True)
    assert require_server(spec) == started.record
    assert started.record.honoured == dict.fromkeys(started.record.honoured, True)
    pairs = both(spec, made.spec, has_schema=True)
    assert [text for text, _ in pairs] == [other for _, other in pairs]

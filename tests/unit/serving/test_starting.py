"""A server is started over verified files in the declared version, probed and recorded, or does not run at all."""

import os
import signal
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from support.made_describers import MadeDescriber
from support.made_servers import attested, by_vllm, served_spec

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.servers.records import ServerMissing, read_records
from atlas_resources.models.servers.running import require_server
from atlas_resources.models.weights import WeightsMismatch
from atlas_resources.serving.ending import stop
from atlas_resources.serving.finding import ServingFailed
from atlas_resources.serving.probing import ProbeRefused
from atlas_resources.serving.starting import Started

Begin = Callable[..., Started]


@pytest.fixture
def spec(made: MadeDescriber) -> Spec:
    return served_spec(made.spec, by_vllm(enforce_eager=True))


@pytest.fixture
def children() -> Callable[[], list[psutil.Process]]:
    """The processes that the test has begun and that have not ended; other tests may have left some to this process."""
    before = {one.pid for one in psutil.Process().children()}
    return lambda: [
        one for one in psutil.Process().children() if one.pid not in before and one.status() != psutil.STATUS_ZOMBIE
    ]


def test_what_is_started_is_recorded_whole_and_may_answer_for_the_instrument(
    spec: Spec, made: MadeDescriber, begin: Begin, state: Path
):
    started = begin(spec)
    record = started.record
    assert read_records() == {spec.key: record}
    assert require_server(spec) == record
    assert (record.program, record.version) == ("vllm", "0.32.0+fake")
    assert record.files == {file.path: file.sha256 for file in made.spec.weights.files}  # type: ignore[union-attr] # a hub's
    assert record.process_id == started.process.pid
    assert record.command[:3] == ["vllm", "serve", f"{spec.key}.files"]
    assert str(state) not in record.model_dump_json()
    assert record.command[-1] == "--enforce-eager"
    assert record.honoured == {
        "max_tokens": True, "seed": True, "json_schema": True, "images": True, "image_limits": False,
    }  # fmt: skip
    assert any(note.startswith("json_schema: an answer was kept") for note in record.notes)


def test_it_reads_the_pinned_files_and_no_others_and_is_offline(
    spec: Spec, made: MadeDescriber, begin: Begin, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ATLAS_SERVER_API_KEY", "secret-4711")
    (made.folder / "added_tokens.json").write_text("{}")  # not pinned
    try:
        started = begin(spec)
    finally:
        (made.folder / "added_tokens.json").unlink()
    log = started.log.read_text()
    names = sorted(file.path for file in made.spec.weights.files)  # type: ignore[union-attr] # a hub's
    assert f"reads {names}, offline 1" in log
    assert "ATLAS_SERVER_API_KEY" not in log


def test_a_server_that_is_stopped_leaves_no_record_and_no_process(spec: Spec, begin: Begin, state: Path):
    started = begin(spec)
    assert stop(spec.key)
    assert not psutil.pid_exists(started.process.pid)
    assert [path.name for path in state.iterdir()] == [f"{spec.key}.log"]
    assert not stop(spec.key)


def test_a_killed_server_is_missing_and_can_be_started_again(spec: Spec, begin: Begin):
    started = begin(spec)
    os.kill(started.process.pid, signal.SIGKILL)
    started.process.wait(5)
    assert list(read_records()) == [spec.key]
    with pytest.raises(ServerMissing, match=f"its process {started.process.pid} has ended"):
        require_server(spec)
    again = begin(spec)
    assert require_server(spec) == again.record


def test_a_second_server_of_an_instrument_is_refused(spec: Spec, begin: Begin):
    started = begin(spec)
    with pytest.raises(ServingFailed, match=f"is served already, by process {started.process.pid}"):
        begin(spec)
    assert require_server(spec) == started.record


@pytest.mark.parametrize(
    ("served", "wanted", "words"),
    [
        (None, {}, "is loaded by runs themselves"),
        (by_vllm("0.33.0"), {}, r"expected vllm 0.33.0, found 0.32.0\+fake"),
        (by_vllm(), {"program": "lmdeploy"}, "declares vllm, not lmdeploy"),
        (attested("http://127.0.0.1:1"), {}, "the computing centre runs its server. Fix: `atlas models probe"),
    ],
)
def test_what_is_not_declared_is_not_started(
    children, made: MadeDescriber, begin: Begin, *, served, wanted, words: str
):
    spec = served_spec(made.spec, served)
    with pytest.raises(ServingFailed, match=words):
        begin(spec, **wanted)
    assert children() == []


def test_a_missing_program_is_named_with_what_installs_it(spec: Spec, begin: Begin, tmp_path: Path):
    with pytest.raises(ServingFailed, match=r"nothing-here is not there. Fix: pip install 'vllm==0.32.0'"):
        begin(spec, tmp_path / "nothing-here")


def test_altered_weights_are_not_served(children, spec: Spec, made: MadeDescriber, begin: Begin):
    path = made.folder / "tokenizer.json"
    before = path.read_bytes()
    path.write_bytes(before + b" ")
    try:
        with pytest.raises(WeightsMismatch, match=r"tokenizer\.json is not the pinned file"):
            begin(spec)
    finally:
        path.write_bytes(before)
    assert children() == []


def test_another_chat_template_is_not_served(children, spec: Spec, begin: Begin):
    other = spec.model_copy(update={"parameters": {**spec.parameters, "chat_template_sha256": "0" * 64}})
    with pytest.raises(WeightsMismatch, match="expected the chat template of sha256 000"):
        begin(other)
    assert children() == []


def test_a_program_that_ends_is_reported_with_the_end_of_its_log(made: MadeDescriber, begin: Begin, state: Path):
    spec = served_spec(made.spec, by_vllm(end_at_once=True))
    with pytest.raises(ServingFailed, match="ended with exit code 1 before it answered") as caught:
        begin(spec)
    assert "no memory for the model" in str(caught.value)
    assert read_records() == {}
    assert [path.name for path in state.iterdir()] == [f"{spec.key}.log"]


def test_a_program_that_does_not_answer_in_time_is_ended(children, made: MadeDescriber, begin: Begin):
    spec = served_spec(made.spec, by_vllm(never_answer=True))
    with pytest.raises(ServingFailed, match="did not answer within 1 s"):
        begin(spec, wait_seconds=1)
    assert read_records() == {}
    assert children() == []


def test_a_server_that_ignores_schemas_is_refused_unless_answers_are_only_validated(
    children, made: MadeDescriber, begin: Begin
):
    served = by_vllm(ignore_schema=True)
    with pytest.raises(ProbeRefused, match="`is_constrained: false`"):
        begin(served_spec(made.spec, served))
    assert children() == []
    started = begin(served_spec(made.spec, served, is_constrained=False))
    assert started.record.honoured["json_schema"] is False

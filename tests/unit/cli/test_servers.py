"""`atlas models serve`, `servers` and `probe`: what a person sees, and what is left when they end."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from support.fake_server import Behaviour, fake_server
from support.made_describers import MadeDescriber, made_qwen2_vl
from support.made_servers import attested, by_vllm, fake_program, served_spec
from typer.testing import CliRunner, Result

from atlas_assets.cli import app as cli
from atlas_assets.cli.models.tables import card
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.servers.records import read_records, record_path, records_folder
from atlas_resources.serving.ending import stop

KEY = "tiny_served"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeDescriber]:
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("hub")
        patch.setenv("HF_HUB_CACHE", str(folder))
        yield made_qwen2_vl(folder, patch)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_program(tmp_path_factory.mktemp("program"))


@pytest.fixture
def project(made: MadeDescriber, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project with one instrument that a server answers for. Every server ends with the test."""
    folder = tmp_path / "project"
    (folder / "model_specs").mkdir(parents=True)
    (folder / "automation.yaml").write_text("{}\n")
    write(folder, served_spec(made.spec, by_vllm()).model_copy(update={"key": KEY}))
    monkeypatch.setenv("ATLAS_PROJECT", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield folder
    for key in read_records():
        stop(key)


def write(project: Path, spec: Spec) -> None:
    plain = spec.model_copy(update={"parameter_count": None, "configuration": None})
    (project / "model_specs" / f"{spec.key}.yaml").write_text(card(plain))


def atlas(*arguments: object) -> Result:
    return CliRunner().invoke(cli.app, ["models", *map(str, arguments)], env={"COLUMNS": "200"})


def plain(result: Result) -> str:
    return " ".join(result.output.split())


def command(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "atlas_assets.cli.app", "models", *map(str, arguments)]


def environment(made: MadeDescriber) -> dict[str, str]:
    return {**os.environ, "HF_HUB_CACHE": str(made.folder.parents[2]), "COLUMNS": "200"}


def serve_detached(program: Path, made: MadeDescriber) -> str:
    """What the command prints. A process of its own, which leaves the server behind."""
    asked = command("serve", KEY, "--with", "vllm", "--program", program, "--detach")
    done = subprocess.run(asked, capture_output=True, text=True, env=environment(made), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return " ".join(done.stdout.split())


def test_a_detached_server_is_listed_and_stopped(project: Path, program: Path, made: MadeDescriber):
    said = serve_detached(program, made)
    assert "pinned files verified" in said
    assert "json_schema: an answer was kept to its schema" in said
    assert f"It ends by `atlas models servers --stop {KEY}`" in said
    record = read_records()[KEY]
    listed = plain(atlas("servers"))
    assert (
        f"{KEY} vllm 0.32.0+fake {record.endpoint} process {record.process_id} answers honours: max_tokens yes"
        in listed
    )
    assert plain(atlas("servers", "--stop", KEY)) == f"{KEY}: ended"
    assert "no servers" in plain(atlas("servers"))
    assert atlas("servers", "--stop", KEY).exit_code == 1


def test_what_waits_for_its_server_says_so(project: Path, program: Path, made: MadeDescriber):
    waits = f"waits for its server: `atlas models serve {KEY}`"
    assert waits in plain(atlas("list", "--role", "text"))
    serve_detached(program, made)
    assert waits not in plain(atlas("list", "--role", "text"))


def test_a_killed_server_is_listed_once_more(project: Path, program: Path, made: MadeDescriber):
    serve_detached(program, made)
    process_id = read_records()[KEY].process_id or 0
    os.kill(process_id, signal.SIGKILL)
    wait_until_gone(process_id)
    assert f"gone: its process {process_id} has ended" in plain(atlas("servers"))
    assert "no servers" in plain(atlas("servers"))
    assert [path.name for path in records_folder().iterdir()] == [f"{KEY}.log"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("serve", KEY, "--with", "lmdeploy"), "declares vllm, not lmdeploy"),
        (("serve", "otsu_luma"), "otsu_luma is loaded by runs themselves"),
        (("serve", "qwen2_vl_2b_vllm"), "qwen2_vl_2b_vllm, idea: weights"),
        (("serve", "dinov9"), "dinov9"),
        (("probe", KEY), f"declares no server of somebody else. Fix: `atlas models serve {KEY}`"),
    ],
)
def test_what_cannot_be_served_is_refused_with_the_reason(project: Path, arguments: tuple[str, ...], words: str):
    result = atlas(*arguments)
    assert result.exit_code == 1
    assert words in plain(result)


def wait_until_gone(process_id: int) -> None:
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(process_id)
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.05)


def foreground(program: Path, made: MadeDescriber) -> subprocess.Popen:
    """The command as a person runs it, until it serves."""
    process = subprocess.Popen(
        command("serve", KEY, "--program", program), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=environment(made),
    )  # fmt: skip
    assert process.stdout is not None
    while line := process.stdout.readline():
        if "Ctrl-C ends it" in line:
            return process
    raise AssertionError("it did not serve")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_a_server_in_the_foreground_and_removes_its_record(
    how: signal.Signals, project: Path, program: Path, made: MadeDescriber
):
    process = foreground(program, made)
    (record,) = read_records().values()
    process.send_signal(how)
    assert "ended" in process.communicate(timeout=30)[0]
    assert process.returncode == 0
    assert not record_path(KEY).exists()
    wait_until_gone(record.process_id or 0)


def test_a_server_that_ends_by_itself_is_an_error_of_the_command(project: Path, program: Path, made: MadeDescriber):
    process = foreground(program, made)
    (record,) = read_records().values()
    os.kill(record.process_id or 0, signal.SIGKILL)
    words = " ".join(process.communicate(timeout=30)[0].split())
    assert process.returncode == 1
    assert f"vllm ended with exit code -9. Its log: {records_folder() / KEY}.log" in words
    assert not record_path(KEY).exists()


def test_stopping_it_from_elsewhere_ends_the_command(project: Path, program: Path, made: MadeDescriber):
    process = foreground(program, made)
    assert stop(KEY)
    assert "ended" in process.communicate(timeout=30)[0]
    assert process.returncode == 0


def test_a_server_of_somebody_else_is_probed_recorded_and_no_key_is_written(
    project: Path, made: MadeDescriber, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    key = "key-of-the-centre-4711"
    monkeypatch.setenv("ATLAS_SERVER_API_KEY", key)
    behaviour = Behaviour()
    with fake_server(behaviour) as address:
        write(project, served_spec(made.spec, attested(address)).model_copy(update={"key": "tiny_theirs"}))
        result = atlas("probe", "tiny_theirs")
        assert result.exit_code == 0, result.output
        assert f"tiny at {address}, attested by the computing centre: recorded" in plain(result)
        assert "attested by the computing centre answers honours: max_tokens yes" in plain(atlas("servers"))
    assert {headers["authorization"] for headers in behaviour.headers} == {f"Bearer {key}"}
    record = read_records()["tiny_theirs"]
    assert (record.process_id, record.files, record.command) == (None, {}, [])
    assert key not in result.output
    assert all(key.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_an_endpoint_that_serves_another_model_is_not_recorded(project: Path, made: MadeDescriber):
    with fake_server(Behaviour("another")) as address:
        write(project, served_spec(made.spec, attested(address)).model_copy(update={"key": "tiny_theirs"}))
        result = atlas("probe", "tiny_theirs")
    assert result.exit_code == 1
    assert "serves another, not tiny" in plain(result)
    assert read_records() == {}


def test_an_endpoint_that_does_not_answer_is_named(project: Path, made: MadeDescriber):
    spec = served_spec(made.spec, attested("http://127.0.0.1:9")).model_copy(update={"key": "tiny_theirs"})
    write(project, spec)
    started = time.monotonic()
    assert "http://127.0.0.1:9 does not answer: ConnectError" in plain(atlas("probe", "tiny_theirs"))
    assert time.monotonic() - started < 30

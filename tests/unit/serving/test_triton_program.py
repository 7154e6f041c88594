"""Triton in the table of programs: its command and version, flags that nobody declares, and what it says it has."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from support.kserve_server import Served as Answers
from support.kserve_server import serving
from support.made_triton import CONFIG, MODEL, pinned_spec, record_of, triton_content

from atlas_resources.instruments.spec.numeric import Numeric
from atlas_resources.instruments.spec.served import Served
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.servers.running import why_other_model
from atlas_resources.models.weights import require_weights, weights_folder
from atlas_resources.serving.finding import ServingFailed, version_of
from atlas_resources.serving.programs import PROGRAMS, Launch, served_name
from atlas_resources.serving.snapshot import lay_out

TRITON = PROGRAMS["triton"]
OPTIONS = """\
I1129 09:16:09.037953 1494 tritonserver.cc:2598]
| server_id                        | triton                                |
| server_version                   | 2.51.0                                |
| min_supported_compute_capability | 6.0                                   |
error: creating server: Internal - failed to stat file /nowhere
"""


def script(path: Path, printed: str) -> str:
    """A program that prints a text on its standard error, and fails."""
    path.with_suffix(".txt").write_text(printed)
    path.write_text(f"#!/bin/sh\ncat '{path.with_suffix('.txt')}' >&2\nexit 1\n")
    path.chmod(0o755)
    return str(path)


def test_the_model_of_the_repository_alone_is_served_on_loopback():
    spec = Spec.model_validate(triton_content())
    launch = Launch(
        "tritonserver", Path("/links"), 8123, served_name(spec), Numeric(dtype="float32", device="cpu"),
        {"http-thread-count": 2},
    )  # fmt: skip
    assert launch.model_name == MODEL
    command = TRITON.command(launch)
    assert command[:3] == ["tritonserver", "--http-thread-count", "2"]  # before ours, of which the last one counts
    assert set(command[3:]) == {
        "--model-repository=/links",
        "--http-address=127.0.0.1",
        "--http-port=8123",
        "--allow-grpc=false",
        "--allow-metrics=false",
        "--model-control-mode=none",
        "--disable-auto-complete-config",
    }


def test_its_version_is_in_the_table_of_options_that_it_prints(tmp_path: Path):
    assert version_of(TRITON, script(tmp_path / "tritonserver", OPTIONS)) == "2.51.0"
    with pytest.raises(ServingFailed, match="does not say its version"):
        version_of(TRITON, script(tmp_path / "another", "version 9.9.9"))


@pytest.mark.parametrize("name", ["model-repository", "model_control_mode", "http-address", "allow-grpc"])
def test_a_flag_that_would_serve_something_else_is_not_declared(name: str):
    with pytest.raises(ValidationError, match="serves the pinned model alone"):
        Served(program="triton", version="2.51.0", flags={name: "x"})


def test_it_is_asked_for_the_one_model():
    spec = Spec.model_validate(triton_content())
    with serving(Answers()) as endpoint:
        assert why_other_model(record_of(spec, endpoint)) is None
        other = why_other_model(record_of(spec, endpoint, model_name="another"))
        assert other == f"{endpoint} does not name its models: answers 404"
    gone = why_other_model(record_of(spec, endpoint))
    assert gone == f"{endpoint} does not answer: ConnectError"


def test_a_repository_of_links_has_the_pinned_files_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    spec = pinned_spec(tmp_path, monkeypatch)
    source = weights_folder(spec.weights)  # type: ignore[arg-type] # it has weights
    (source / MODEL / "4").mkdir()
    (source / MODEL / "3" / "beside.py").write_text("unpinned")
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "of_an_earlier_start.pyc").touch()
    folder = lay_out(require_weights(spec), tmp_path / "served")
    assert {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()} == {
        f"{MODEL}/config.pbtxt",
        f"{MODEL}/3/model.py",
        f"{MODEL}/3/weights.npz",
    }
    assert (folder / MODEL / "config.pbtxt").read_text() == CONFIG

"""An instrument asks only a server whose record has its pins and whose process is the recorded one."""

import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from support.fake_server import Behaviour, fake_server
from support.made_servers import attested, by_vllm, record_of, served_spec
from support.made_specs import project_spec

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.servers import running
from atlas_resources.models.servers.records import (
    ServerMissing,
    read_records,
    record_path,
    records_folder,
    server_sha256,
    write_record,
)
from atlas_resources.models.servers.running import require_server, why_without_server


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def spec() -> Spec:
    """Qwen2-VL with a digest of every file, served by vLLM."""
    base = project_spec("qwen2_vl_2b")
    files = [file.model_copy(update={"sha256": file.sha256 or "1" * 64}) for file in base.weights.files]  # type: ignore[union-attr] # it has some
    weights = base.weights.model_copy(update={"files": files})  # type: ignore[union-attr] # it has some
    parameters = {**base.parameters, "chat_template_sha256": "2" * 64}
    return served_spec(base.model_copy(update={"weights": weights, "parameters": parameters}), by_vllm(seed=0))


@pytest.fixture
def address() -> Iterator[str]:
    with fake_server(Behaviour()) as address:
        yield address


def test_a_record_is_read_as_it_was_written_and_only_its_user_can_read_it(spec: Spec, state: Path):
    record = record_of(spec, "http://127.0.0.1:1")
    write_record(spec.key, record)
    assert read_records() == {spec.key: record}
    assert server_sha256(read_records()[spec.key]) == server_sha256(record)
    assert record_path(spec.key) == state / "atlas" / "servers" / f"{spec.key}.json"
    assert records_folder().stat().st_mode & 0o077 == 0


def test_a_file_that_is_no_record_is_left_out(spec: Spec):
    write_record(spec.key, record_of(spec, "http://127.0.0.1:1"))
    record_path("broken").write_text("{")
    assert list(read_records()) == [spec.key]


def test_the_server_whose_pins_are_the_specs_is_found_under_another_key(spec: Spec, address: str):
    record = record_of(spec, address)
    write_record("its_caption", record)
    assert require_server(spec) == record
    assert why_without_server(spec) == ""


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"program": "lmdeploy"}, "program is lmdeploy, declared vllm"),
        ({"version": "0.31.0"}, "version is 0.31.0, declared 0.32.0"),
        ({"flags": {"seed": 1}}, "flags is {'seed': 1}, declared {'seed': 0}"),
        ({"dtype": "float16"}, "dtype is float16, declared bfloat16"),
        ({"device": "cpu"}, "device is cpu, declared cuda"),
        ({"files": {}}, "config.json is not served"),
        ({"attested_by": "somebody"}, "attested_by is somebody, declared None"),
    ],
)
def test_a_server_that_differs_is_refused_and_what_differs_is_named(
    spec: Spec, address: str, change: dict[str, Any], words: str
):
    write_record(spec.key, record_of(spec, address, **change))
    with pytest.raises(ServerMissing, match=f"served by something else: of the server {spec.key}") as caught:
        require_server(spec)
    assert words in str(caught.value)
    assert f"Fix: `atlas models serve {spec.key}`" in str(caught.value)


def test_a_server_of_another_weight_file_is_refused(spec: Spec, address: str):
    record = record_of(spec, address)
    name = "model-00001-of-00002.safetensors"
    write_record(spec.key, record.model_copy(update={"files": {**record.files, name: "0" * 64}}))
    with pytest.raises(ServerMissing, match=rf"{name} has sha256 000\w+, declared 994ac2b0"):
        require_server(spec)


def test_a_build_of_the_declared_version_is_that_version(spec: Spec, address: str):
    write_record(spec.key, record_of(spec, address, version="0.32.0+cpu"))
    assert require_server(spec).version == "0.32.0+cpu"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"process_id": 2**22 + 7}, "its process 4194311 has ended"),
        ({"host": "elsewhere"}, f"it was started on elsewhere, and this is {socket.gethostname()}"),
        ({"endpoint": "http://127.0.0.1:9"}, "does not listen on port 9"),
        ({"model_name": "another"}, "serves tiny, not another"),
    ],
)
def test_a_server_that_cannot_be_asked_is_refused_with_the_reason(
    spec: Spec, address: str, change: dict[str, Any], words: str
):
    write_record(spec.key, record_of(spec, address).model_copy(update=change))
    with pytest.raises(ServerMissing, match="the server that it declares cannot be asked") as caught:
        require_server(spec)
    assert words in str(caught.value)


def test_a_process_that_took_the_number_of_the_recorded_one_is_another(spec: Spec, address: str):
    record = record_of(spec, address)
    earlier = record.model_copy(update={"started_at": record.started_at - timedelta(minutes=1)})
    write_record(spec.key, earlier)
    with pytest.raises(ServerMissing, match=f"process {os.getpid()} is another one by now"):
        require_server(spec)
    assert why_without_server(spec) == (f"no server of {spec.model_id} runs. Fix: `atlas models serve {spec.key}`")


def test_without_a_record_the_command_is_named(spec: Spec):
    with pytest.raises(ServerMissing, match=f"no server of {spec.model_id} was started for it"):
        require_server(spec)


def test_a_server_of_somebody_else_is_found_by_its_address_and_who_vouches_for_it(spec: Spec, address: str):
    theirs = spec.model_copy(update={"served": attested(address)})
    with pytest.raises(ServerMissing, match=f"Fix: `atlas models probe {spec.key}`"):
        require_server(theirs)
    record = record_of(theirs, address, process_id=None, files={}, attested_by="the computing centre")
    write_record(theirs.key, record)
    assert require_server(theirs) == record
    moved = theirs.model_copy(update={"served": attested("http://127.0.0.1:2")})
    with pytest.raises(ServerMissing, match="endpoint is http"):
        require_server(moved)


def test_a_server_that_was_started_here_is_no_server_of_somebody_else(spec: Spec, address: str):
    write_record(spec.key, record_of(spec, address))
    with pytest.raises(ServerMissing, match="attested_by is None, declared the computing centre"):
        require_server(spec.model_copy(update={"served": attested(address)}))


def test_a_program_without_a_list_of_models_can_be_asked_otherwise(
    spec: Spec, address: str, monkeypatch: pytest.MonkeyPatch
):
    write_record(spec.key, record_of(spec, address))
    monkeypatch.setattr(running, "ANSWERS", {"vllm": lambda record: f"{record.program} has no such model"})
    with pytest.raises(ServerMissing, match="vllm has no such model"):
        require_server(spec)

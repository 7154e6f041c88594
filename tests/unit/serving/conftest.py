"""A tiny model on disk, served by a program that stands for vLLM."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.made_describers import MadeDescriber, made_qwen2_vl
from support.made_servers import fake_program

from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.servers.records import read_records
from atlas_resources.serving.ending import stop
from atlas_resources.serving.starting import Started, Wanted, start


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeDescriber]:
    with pytest.MonkeyPatch.context() as patch:
        yield made_qwen2_vl(tmp_path_factory.mktemp("hub"), patch)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fake_program(tmp_path_factory.mktemp("program"))


Begin = Callable[..., Started]


@pytest.fixture
def begin(program: Path, state: Path) -> Iterator[Begin]:
    """Starts servers, which end with the test."""
    begun: list[Started] = []

    def begin(spec: Spec, path: Path = program, **wanted: Any) -> Started:
        asked = Wanted(path=str(path), **wanted)
        begun.append(start(spec, asked, has_schema=True, on_line=lambda line: None))
        return begun[-1]

    yield begin
    for key in read_records():
        stop(key)
    for started in begun:
        started.process.wait(10)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the records, empty at first."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "atlas" / "servers"

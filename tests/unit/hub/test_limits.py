"""A hostile hub costs bounded bytes and bounded time: long, compressed, nested, slow and dripping answers."""

import gzip
import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.hub_server import Fault
from support.made_hubs import CONFIG, KEY, MODEL, REVISION, WEIGHTS, Bench, bench, only_loopback
from support.made_specs import content_of, with_field, write_spec
from support.socket_server import LONG_SECONDS, answering, drip

from atlas_resources.downloads.limits import MAX_ANSWER_BYTES, LeastRate
from atlas_resources.downloads.patience import PATIENCE, Patience
from atlas_resources.files.yaml_files import FileProblem
from atlas_resources.hub.client import Hub, Transfer, describe, hub_session, read_small, transfer
from atlas_resources.hub.errors import AnswerRefused, HubError
from atlas_resources.hub.limits import require_repository
from atlas_resources.instruments.registry import read_spec
from atlas_resources.instruments.spec.spec import Spec

__all__ = ["bench", "only_loopback"]  # fixtures

pytestmark = pytest.mark.timeout(60)
RATE = LeastRate(window_seconds=0.4, least_bytes=1000)
QUICK = Patience(tries=2, first_wait_seconds=0.01, longest_wait_seconds=0.02, least_rate=RATE)
HEADERS = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@contextmanager
def serving(answer: Callable[[socket.socket], None]) -> Iterator[Hub]:
    """A hub that reads each request's first bytes and then answers as the function does."""
    with answering(answer) as address:
        yield Hub(address, patience=QUICK)


def slow_headers(connection: socket.socket) -> None:
    connection.sendall(HEADERS)
    drip(connection, (b"X-%d: a\r\n" % number for number in itertools.count()))


def slow_body(connection: socket.socket) -> None:
    connection.sendall(HEADERS + b"Content-Length: 100000\r\n\r\n")
    drip(connection, itertools.repeat(b" "))


def slow_chunk_header(connection: socket.socket) -> None:
    """The length of a chunk, with an extension of it that does not end: no byte of the body arrives."""
    connection.sendall(HEADERS + b"Transfer-Encoding: chunked\r\n\r\n1;")
    drip(connection, itertools.repeat(b"x"))


def quick_then_slow(connection: socket.socket) -> None:
    connection.sendall(HEADERS + b"Content-Length: 1000000\r\n\r\n" + b" " * 900_000)
    drip(connection, itertools.repeat(b" "))


@pytest.mark.parametrize("answer", [slow_headers, slow_body, slow_chunk_header, quick_then_slow])
def test_a_slow_answer_is_cut_off_each_time_it_is_tried(answer: Callable[[socket.socket], None], only_loopback: None):
    started = time.monotonic()
    with serving(answer) as hub, hub_session(hub), pytest.raises(HubError) as refused:
        read_small(hub, MODEL, REVISION, "config.json")
    assert time.monotonic() - started < LONG_SECONDS
    assert "tried 2 times. One that brings less than 1,000 bytes in 0.4 seconds is cut off." in str(refused.value)


def test_a_large_file_that_comes_steadily_is_not_cut_off(tmp_path: Path, only_loopback: None):
    """20 windows' worth of time at twice the least rate."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(HEADERS + b"Content-Length: 20000\r\n\r\n")
        drip(connection, itertools.repeat(b"x" * 500, 40))

    part = tmp_path / "part"
    with serving(answer) as hub, hub_session(hub):
        transfer(hub, Transfer("weights", f"{hub.endpoint}/weights", 20_000, part), lambda reached: None)
    assert part.read_bytes() == b"x" * 20_000


def test_a_byte_for_each_request_is_no_progress(tmp_path: Path, only_loopback: None):
    requests = []

    def answer(connection: socket.socket) -> None:
        requests.append(1)
        have = len(requests) - 1
        connection.sendall(
            b"HTTP/1.1 206 Partial\r\nContent-Length: 500\r\nContent-Range: bytes %d-499/500\r\n\r\nx" % have
        )

    with serving(answer) as hub, hub_session(hub), pytest.raises(HubError, match=r"cut off at 2 of 500 bytes"):
        transfer(hub, Transfer("weights", f"{hub.endpoint}/weights", 500, tmp_path / "part"), lambda reached: None)
    assert len(requests) == QUICK.tries


@pytest.mark.parametrize("states_length", [True, False])
def test_a_body_longer_than_the_pinned_size_is_cut_and_removed(
    states_length: bool, tmp_path: Path, only_loopback: None
):
    sent: list[int] = []

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n")
        connection.sendall(b"Content-Length: 3000000000\r\n\r\n" if states_length else b"Connection: close\r\n\r\n")
        while True:
            sent.append(connection.send(b"x" * 65536))

    part, reached = tmp_path / "part", [0]
    with serving(answer) as hub, hub_session(hub), pytest.raises(AnswerRefused, match=r"weights: .*1,000"):
        transfer(hub, Transfer("weights", f"{hub.endpoint}/weights", 1000, part), reached.append)
    assert max(reached) <= 1000
    assert not part.exists()
    assert sum(sent) < 32 << 20  # what fits into the buffers of a connection


def test_the_rest_of_a_file_that_is_longer_than_its_rest_is_cut(tmp_path: Path, only_loopback: None):
    def answer(connection: socket.socket) -> None:
        connection.sendall(
            b"HTTP/1.1 206 P\r\nContent-Length: 900\r\nContent-Range: bytes 600-1499/1500\r\n\r\n" + b"x" * 900
        )

    part = tmp_path / "part"
    part.write_bytes(b"x" * 600)
    with (
        serving(answer) as hub,
        hub_session(hub),
        pytest.raises(AnswerRefused, match=r"more than the file's 1,000 bytes"),
    ):
        transfer(hub, Transfer("weights", f"{hub.endpoint}/weights", 1000, part), lambda reached: None)
    assert not part.exists()


def test_a_pull_of_a_longer_file_is_reported_by_its_name(bench: Bench):
    longer = Fault("GET", "/model.safetensors", status=200, body=WEIGHTS + b"x")
    bench.fake.faults = [longer]
    result = bench.atlas("pull", KEY)
    assert result.exit_code == 1
    assert f"{KEY}: model.safetensors: the answer has 16,385 bytes or more and the limit is 16,384" in result.output
    assert not bench.part.exists()
    assert not (bench.snapshot / "model.safetensors").exists()


@pytest.mark.parametrize("path", ["/model.safetensors", "/config.json"])
def test_a_compressed_file_is_refused_and_not_unpacked(path: str, bench: Bench):
    bomb = gzip.compress(bytes(10 << 20))
    bench.fake.faults = [Fault("GET", path, status=200, body=bomb, headers={"Content-Encoding": "gzip"})]
    result = bench.atlas("pull", KEY)
    assert result.exit_code == 1
    assert "compressed ('gzip'), which was not asked for" in result.output
    assert all(one.headers["accept-encoding"] == "identity" for one in bench.fake.requests)


def test_a_compressed_answer_about_a_model_is_refused(bench: Bench):
    bomb = gzip.compress(b"[" * (10 << 20))
    bench.fake.faults = [Fault("GET", MODEL, status=200, body=bomb, headers={"Content-Encoding": "gzip"})]
    result = bench.atlas("pin", MODEL)
    assert result.exit_code == 1
    assert "compressed ('gzip')" in result.output


def test_endless_json_is_cut(only_loopback: None):
    sent: list[int] = []

    def answer(connection: socket.socket) -> None:
        connection.sendall(HEADERS + b"Connection: close\r\n\r\n[")
        while True:
            sent.append(connection.send(b"[]," * 20_000))

    with serving(answer) as hub, hub_session(hub), pytest.raises(AnswerRefused, match=r"the limit is 8,388,608"):
        describe(hub, MODEL, None)
    assert sum(sent) < 5 * MAX_ANSWER_BYTES


@pytest.mark.parametrize(
    "body", [b"[" * 100_000, b'{"a":' * 100_000, b"9" * 100_000, b'{"siblings": 3}', b"[1]", b"{}"]
)
def test_json_that_describes_no_model_is_reported(body: bytes, bench: Bench):
    bench.fake.faults = [Fault("GET", MODEL, status=200, body=body)]
    result = bench.atlas("pin", MODEL)
    assert result.exit_code == 1
    assert "does not answer as a model hub does" in result.output


def test_a_configuration_that_is_nested_too_deeply_is_reported(bench: Bench):
    bench.repository.commits[REVISION].files["config.json"] = b'{"a":' * 100_000
    result = bench.atlas("pin", MODEL)
    assert result.exit_code == 1
    assert "config.json: expected a JSON object" in result.output


@pytest.mark.parametrize("asked", ["²", "-5", "1e9", "\u0663", "soon", "9" * 5000, ""])
def test_an_odd_retry_after_is_taken_as_none(asked: str, bench: Bench):
    odd = {"Retry-After": asked.encode().decode("latin-1")}
    bench.fake.faults = [Fault("GET", "/model.safetensors", status=429, headers=odd, times=2)]
    assert bench.atlas("pull", KEY).exit_code == 0


def problems_of(path: Path) -> list[FileProblem]:
    read = read_spec(path)
    assert not isinstance(read, Spec), "it was read"
    return read


OUTSIDE = ["../../x", "..", "a/../b", "/etc", "a/b/c", "a//b", ".a/b", "a/.b", "a b", "a/b?x", "", "\n", "a/b\n", "~/x"]


@pytest.mark.parametrize("repository", OUTSIDE)
def test_a_repository_that_is_none_is_refused_without_a_request(repository: str, bench: Bench):
    result = bench.atlas("pin", "--", repository)
    assert result.exit_code == 1
    assert "is not the id of a repository" in result.output
    content = with_field(content_of("clip_vit_base_patch32"), ("weights", "repository"), repository)
    problems = problems_of(write_spec(bench.specs, content))
    assert [problem.field for problem in problems] == ["weights.hub.repository"]
    assert bench.fake.requests == []


def test_the_id_that_a_hub_answers_with_is_checked_too(bench: Bench):
    answer = {"id": "../../x", "sha": REVISION, "siblings": [{"rfilename": "config.json", "size": 2}]}
    bench.fake.faults = [Fault("GET", MODEL, status=200, body=json.dumps(answer).encode())]
    result = bench.atlas("pin", MODEL)
    assert result.exit_code == 1
    assert "'../../x' is not the id of a repository" in result.output


@settings(max_examples=200, deadline=None)
@given(repository=st.text(alphabet="ab./\\-_~ \n", max_size=12))
def test_no_accepted_repository_leads_out_of_a_folder(repository: str):
    try:
        require_repository(repository)
    except HubError:
        return
    assert not {"", ".", ".."} & set(repository.split("/"))
    assert repository.count("/") < 2
    assert "\n" not in repository


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(surplus=st.integers(-3, 3), have=st.integers(0, 3))
def test_never_more_than_the_pinned_bytes_are_kept(surplus: int, have: int, tmp_path: Path):
    """The server sends 10 bytes and the surplus, whole; the client has a part and wants 10 bytes."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + b"x" * (10 + surplus))

    part = tmp_path / "part"
    part.write_bytes(b"x" * have)
    with serving(answer) as hub, hub_session(hub):
        try:
            transfer(hub, Transfer("w", f"{hub.endpoint}/w", 10, part), lambda reached: None)
        except AnswerRefused:
            assert surplus > 0
        except HubError:
            assert surplus < 0
        else:
            assert surplus == 0
    assert not part.exists() or part.stat().st_size <= 10


def test_the_default_patience_is_that_of_the_module():
    assert PATIENCE.least_rate == LeastRate(60.0, 60 << 10)
    assert len(CONFIG) < MAX_ANSWER_BYTES

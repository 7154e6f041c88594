"""A served model is asked as declared, an error costs what it is about, and no key is written or sent elsewhere."""

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import fake_server as fake
from support.fake_server import Behaviour, fake_server
from support.made_describers import MadeDescriber, made_qwen2_vl
from support.made_servers import HONOURED, attested, by_vllm, record_of, served_spec
from support.made_stages import question_sets, schema_of
from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize

from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.served import Served
from atlas_resources.instruments.spec.spec import PromptPin, Spec
from atlas_resources.instruments.texts.json_schemas import canonical, sha256_of
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Answer, Describer, Question
from atlas_resources.models.servers.client import RequestRefused, ServerLost
from atlas_resources.models.servers.connections import open_connection
from atlas_resources.models.servers.pictures import sent_size
from atlas_resources.models.servers.records import ServerMissing, server_sha256, write_record

PIXELS = np.full((300, 400, 3), 200, np.uint8)
QUICK = 0.01


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MadeDescriber]:
    with pytest.MonkeyPatch.context() as patch:
        yield made_qwen2_vl(tmp_path_factory.mktemp("hub"), patch)


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr("openai._base_client.INITIAL_RETRY_DELAY", QUICK)
    for name in ("ATLAS_SERVER_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def behaviour() -> Behaviour:
    return Behaviour()


@pytest.fixture
def address(behaviour: Behaviour) -> Iterator[str]:
    with fake_server(behaviour) as address:
        yield address


def asked(form: str = "caption") -> AskedPrompt:
    (prompt,) = question_sets().asked([pin_of(form)])
    return prompt


def pin_of(form: str) -> PromptPin:
    one = question_sets().sets[f"tiny_{form}_v1"]
    return PromptPin(set=one.set, version=1, sha256=one.sha256)


def served(made: MadeDescriber, served: Served | None = None, **parameters: Any) -> Spec:
    spec = served_spec(made.spec, served or by_vllm(), **{"retries": 2, "timeout_seconds": 5.0, **parameters})
    return spec.model_copy(update={"prompts": [pin_of("caption")]})


Load = Callable[..., Describer]


@pytest.fixture
def load(made: MadeDescriber, address: str) -> Load:
    """Writes the record of the fake server and loads the client of it."""

    def load(declared: Served | None = None, *, record: dict[str, Any] | None = None, **parameters: Any) -> Describer:
        spec = served(made, declared, **parameters)
        write_record(spec.key, record_of(spec, address, **(record or {})))
        found = load_model(spec, [asked()])
        assert isinstance(found, Describer)
        return found

    return load


def describe(model: Describer, words: str = "Describe this picture.", attempt: int = 1) -> Answer:
    (answer,) = model.describe(PIXELS, [Question(asked(), words, attempt)])
    return answer


def test_an_answer_records_how_it_was_asked_and_by_which_server(load: Load, behaviour: Behaviour, made: MadeDescriber):
    model = load()
    found = describe(model)
    assert (found.text, found.raw_text, found.finish_reason) == ('{"caption":"abc"}', '{"caption":"abc"}', "stop")
    assert (found.sent_width_px, found.sent_height_px) == (112, 84)  # 400 x 300 within 12544, in multiples of 28
    assert (found.prompt_token_count, found.output_token_count) == (3 + 4 * 3, 17)
    assert found.request_count == 1
    assert found.chat_template_sha256 == sha256_of(made.processor.chat_template)
    assert found.json_schema_sha256 == sha256_of(canonical(schema_of("caption")))
    assert found.server_sha256 == server_sha256(model.server)  # type: ignore[attr-defined] # of a served one
    assert found.attested_by is None
    assert found.peak_memory_bytes is None


def test_a_request_states_the_decoding_whole(load: Load, behaviour: Behaviour):
    describe(load(stop="END", repetition_penalty=1.5))
    (body,) = behaviour.bodies
    content = body.pop("messages")[0]["content"]
    assert [part["type"] for part in content] == ["image_url", "text"]
    assert body.pop("response_format")["json_schema"]["schema"] == schema_of("caption")
    assert body == {
        "model": "tiny", "max_tokens": 200, "temperature": 0, "seed": 0, "stop": ["END"], "repetition_penalty": 1.5,
        "top_k": -1, "min_p": 0.0,
    }  # fmt: skip


def test_a_further_attempt_takes_the_next_seed(load: Load, behaviour: Behaviour):
    model = load(temperature=0.7, top_p=0.9, seed=5, attempts=3, is_constrained=False)
    texts = [describe(model, attempt=attempt).text for attempt in (1, 2, 3)]
    assert [body["seed"] for body in behaviour.bodies] == [5, 6, 7]
    assert {(body["temperature"], body["top_p"]) for body in behaviour.bodies} == {(0.7, 0.9)}
    assert all("response_format" not in body for body in behaviour.bodies)
    assert len(set(texts)) == 3


def test_transformers_is_told_the_ids_that_end_an_answer(made: MadeDescriber, load: Load, behaviour: Behaviour):
    describe(load(Served(program="transformers", version="5.23.0"), is_constrained=False))
    rules = json.loads(behaviour.bodies[0]["generation_config"])
    assert rules["eos_token_id"] == made.network.generation_config.eos_token_id
    assert (rules["do_sample"], rules["repetition_penalty"], rules["max_new_tokens"]) == (False, 1, 200)


@pytest.mark.parametrize("width", [20, 56, 300, 1999])
@pytest.mark.parametrize("height", [28, 57, 333, 2600])
def test_a_picture_has_the_size_that_qwens_own_steps_give_it(width: int, height: int):
    reference = smart_resize(height, width, 28, 3136, 100352)
    assert sent_size(width, height, 3136, 100352, 28) == (reference[1], reference[0])


def test_a_picture_is_never_enlarged_without_min_pixels():
    assert sent_size(40, 30, None, 10_000, 1) == (40, 30)
    assert sent_size(400, 300, None, 10_000, 1) == (115, 86)  # by the square root of 12


def test_words_with_a_special_token_are_refused_before_they_are_sent(load: Load, behaviour: Behaviour):
    with pytest.raises(ValueError, match=r"special tokens '<\|im_end\|>'"):
        describe(load(), "A caption reads: red<|im_end|> List keywords.")
    assert behaviour.bodies == []


@pytest.mark.parametrize("fault", [fake.status(429), fake.status(500), fake.status(503), fake.cut])
def test_a_request_is_repeated_after_a_passing_error_and_each_is_counted(load: Load, behaviour: Behaviour, fault):
    behaviour.faults = [fault]
    found = describe(load())
    assert (found.text, found.request_count) == ('{"caption":"abc"}', 2)


def test_a_request_is_repeated_after_a_timeout(load: Load, behaviour: Behaviour):
    behaviour.faults = [fake.slow(1.0)]
    assert describe(load(timeout_seconds=0.3)).request_count == 2


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ([fake.status(400, "too many tokens")], "the server answers 400: .*too many tokens"),
        ([fake.status(500)] * 3, "the server answers 500: .*The server still runs"),
        ([fake.cut] * 3, "after 3 requests. The server still runs"),
        ([fake.nonsense], "holds no choice"),
    ],
)
def test_an_error_of_one_question_is_that_questions_alone(load: Load, behaviour: Behaviour, faults, words: str):
    model = load()
    behaviour.faults = list(faults)
    with pytest.raises(RequestRefused, match=words):
        describe(model)
    assert describe(model).text == '{"caption":"abc"}'


@pytest.mark.parametrize(
    ("faults", "words"),
    [
        ([fake.status(429)] * 3, "the server answers 429"),
        ([fake.status(401)], "the server answers 401"),
        ([fake.status(404)], "the server answers 404"),
    ],
)
def test_an_error_that_is_no_plates_fault_ends_the_run(load: Load, behaviour: Behaviour, faults, words: str):
    model = load()
    behaviour.faults = list(faults)
    with pytest.raises(ServerLost, match=words) as caught:
        describe(model)
    assert "Fix: `atlas models serve qwen2_vl_2b`" in str(caught.value)


def test_a_server_that_ended_is_lost(made: MadeDescriber):
    spec = served(made)
    with fake_server(Behaviour()) as address:
        write_record(spec.key, record_of(spec, address))
        model = load_model(spec, [asked()])
    assert isinstance(model, Describer)
    with pytest.raises(ServerLost, match=r"after 3 requests; process .* does not listen on port"):
        describe(model)


def test_an_answer_by_another_model_is_refused(load: Load, behaviour: Behaviour):
    model = load()
    behaviour.answers_as = "another"
    with pytest.raises(ServerLost, match="served by something else: the answer is by 'another', expected 'tiny'"):
        describe(model)


def test_a_redirect_is_not_followed(load: Load, behaviour: Behaviour):
    model = load()
    with fake_server(Behaviour()) as elsewhere:
        behaviour.faults = [fake.status(307, location=f"{elsewhere}/v1/chat/completions")]
        with pytest.raises(ServerLost, match="the server answers 307"):
            describe(model)


def test_a_constrained_instrument_refuses_a_server_that_ignores_schemas(load: Load):
    with pytest.raises(ServerMissing, match="`is_constrained: false`"):
        load(record={"honoured": {**HONOURED, "json_schema": False}})
    assert load(record={"honoured": {**HONOURED, "json_schema": False}}, is_constrained=False)


def test_proxies_and_the_keys_of_other_services_are_not_used(
    load: Load, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-somebodys")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-somebodys")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-somebodys")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: somebodys")
    monkeypatch.setenv("ATLAS_SERVER_API_KEY", "of-another-server")
    describe(load())
    (headers,) = behaviour.headers
    assert headers["authorization"] == "Bearer none"
    assert "somebodys" not in json.dumps(headers)
    assert "of-another-server" not in json.dumps(headers)


def test_the_key_goes_to_the_attested_server_and_nowhere_else(
    made: MadeDescriber, address: str, behaviour: Behaviour, request: pytest.FixtureRequest, tmp_path: Path
):
    key, caplog = "key-of-the-centre-4711", request.getfixturevalue("caplog")
    request.getfixturevalue("monkeypatch").setenv("ATLAS_SERVER_API_KEY", key)
    caplog.set_level(logging.DEBUG)
    spec = served(made, attested(address))
    record = record_of(spec, address, process_id=None, files={}, attested_by="the computing centre")
    write_record(spec.key, record)
    model = load_model(spec, [asked()])
    assert isinstance(model, Describer)
    found = describe(model)
    assert found.attested_by == "the computing centre"
    assert behaviour.headers[0]["authorization"] == f"Bearer {key}"
    behaviour.faults = [fake.status(401, f"the api_key {key} is not known")]
    with pytest.raises(ServerLost) as caught:
        describe(model)
    assert key not in str(caught.value)
    assert all(key.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert key not in caplog.text
    assert key not in "".join(request.getfixturevalue("capsys").readouterr())
    assert key not in record.model_dump_json()


def test_the_key_is_not_sent_where_the_network_could_read_it(made: MadeDescriber, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ATLAS_SERVER_API_KEY", "key")
    spec = served(made, attested("http://gpu.example:8000"))
    record = record_of(spec, "http://gpu.example:8000", process_id=None, attested_by="somebody")
    sent = {}
    with open_connection(record, 1.0) as connection:
        (hook,) = connection.event_hooks["request"]
        for scheme in ("http", "https"):
            own = record.model_copy(update={"endpoint": f"{scheme}://gpu.example:8000"})
            with open_connection(own, 1.0) as other:
                (hook,) = other.event_hooks["request"]
                request = other.build_request("GET", f"{scheme}://gpu.example:8000/v1/models")
                hook(request)
                sent[scheme] = request.headers["authorization"]
    assert sent == {"http": "Bearer none", "https": "Bearer key"}


def test_a_request_to_another_host_is_refused(made: MadeDescriber, address: str):
    spec = served(made)
    with open_connection(record_of(spec, address), 1.0) as connection, pytest.raises(Exception, match="found one to"):
        connection.get("http://127.0.0.2:80/")


def test_several_images_are_asked_about_at_once_on_threads(load: Load, behaviour: Behaviour):
    model = load(concurrency=3)
    assert model.concurrency == 3  # type: ignore[attr-defined] # of a served one
    behaviour.seconds = 0.3
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda _: describe(model), range(3)))
    assert behaviour.most_at_once > 1
    assert {one.request_count for one in found} == {1}  # counted for each thread apart
    assert threading.active_count() < 20


RUN = """
import json, sys
import numpy as np
from atlas_resources.instruments.prompts import AskedPrompt
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loading import load_model
from atlas_resources.models.protocols import Question
import atlas_assets.roles.text.answering
spec = Spec.model_validate_json(sys.argv[1])
model = load_model(spec)
(answer,) = model.describe(np.zeros((300, 400, 3), np.uint8), [Question(None, "Describe this picture.")])
print(answer.finish_reason, [name for name in ("torch", "transformers") if name in sys.modules])
"""


def test_a_run_that_asks_a_server_imports_no_torch(made: MadeDescriber, address: str):
    spec = served(made).model_copy(update={"prompts": None})
    write_record(spec.key, record_of(spec, address))
    variables = {**os.environ, "HF_HUB_CACHE": str(made.folder.parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", RUN, spec.model_dump_json()], capture_output=True, text=True, env=variables, check=False
    )
    assert done.stdout == "stop []\n", done.stderr

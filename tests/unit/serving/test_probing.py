"""What a server ignores is found by asking it, and recorded; what cannot be told is null."""

from collections.abc import Callable

import pytest
from support import fake_server as fake
from support.fake_server import Behaviour, fake_server
from support.made_describers import MadeDescriber
from support.made_servers import attested, by_vllm, record_of, served_spec

from atlas_resources.models.servers.client import ServerLost
from atlas_resources.serving.probing import ProbeRefused, probe

GOOD = {"max_tokens": True, "seed": True, "json_schema": True, "images": True, "image_limits": False}


def probed(made: MadeDescriber, behaviour: Behaviour, **parameters) -> dict[str, bool | None]:
    spec = served_spec(made.spec, by_vllm(), **parameters)
    with fake_server(behaviour) as address:
        honoured, notes = probe(spec, record_of(spec, address), has_schema=True, token_ids={})
    assert len(notes) == len(honoured)
    return honoured


def changed(monkeypatch: pytest.MonkeyPatch, change: Callable[[dict, dict], object]) -> None:
    """Lets the fake server change its answers: `change(body of the request, answer)`."""
    whole = fake.completion

    def completion(body: dict, behaviour: Behaviour) -> dict:
        answer = whole(body, behaviour)
        change(body, answer)
        return answer

    monkeypatch.setattr(fake, "completion", completion)


def text_of(answer: dict, text: str) -> None:
    answer["choices"][0]["message"]["content"] = text


def test_a_good_server(made: MadeDescriber):
    assert probed(made, Behaviour()) == GOOD


def test_a_server_that_draws_by_itself_ignores_the_seed(made: MadeDescriber, monkeypatch):
    numbers = iter(range(1000))
    changed(monkeypatch, lambda body, answer: body["temperature"] and text_of(answer, str(next(numbers))))
    assert probed(made, Behaviour()) == {**GOOD, "seed": False}


def test_of_a_server_that_never_draws_the_seed_cannot_be_told(made: MadeDescriber, monkeypatch):
    changed(monkeypatch, lambda body, answer: body["temperature"] and text_of(answer, "always"))
    assert probed(made, Behaviour()) == {**GOOD, "seed": None}


def test_a_schema_that_is_accepted_and_ignored_is_found(made: MadeDescriber):
    assert probed(made, Behaviour(is_heedless=True), is_constrained=False) == {**GOOD, "json_schema": False}


def test_json_of_another_shape_is_no_sign_of_a_schema(made: MadeDescriber, monkeypatch):
    changed(monkeypatch, lambda body, answer: "response_format" in body and text_of(answer, '{"stone":"blue"}'))
    with pytest.raises(ProbeRefused, match="was found to ignore the JSON Schema"):
        probed(made, Behaviour())


def test_a_server_without_pictures_is_refused(made: MadeDescriber, monkeypatch):
    changed(monkeypatch, lambda body, answer: answer["usage"].update(prompt_tokens=10))
    with pytest.raises(ProbeRefused, match="takes no pictures"):
        probed(made, Behaviour())


def test_a_server_that_writes_on_is_refused(made: MadeDescriber, monkeypatch):
    changed(monkeypatch, lambda body, answer: answer["usage"].update(completion_tokens=500))
    with pytest.raises(ProbeRefused, match="ignores the limit of tokens"):
        probed(made, Behaviour())


def test_a_field_that_is_refused_is_not_honoured(made: MadeDescriber):
    refused = [lambda handler: handler.send(200, fake.completion(handler.behaviour.bodies[-1], handler.behaviour))] * 6
    faults = [*refused, fake.status(422, "Unexpected fields in the request: response_format")]  # after 1 and 5 requests
    found = probed(made, Behaviour(faults=faults), is_constrained=False)
    assert found == {**GOOD, "json_schema": False}


def test_a_server_that_ends_is_no_finding(made: MadeDescriber):
    spec = served_spec(made.spec, attested("http://127.0.0.1:9"))
    with pytest.raises(ServerLost):
        probe(
            spec,
            record_of(spec, "http://127.0.0.1:9", process_id=None, attested_by="the computing centre"),
            has_schema=False,
            token_ids={},
        )

"""A small server that speaks OpenAI's chat completions, with faults: in this process, or as a program like vLLM.

`python -m support.fake_server serve FOLDER --host 127.0.0.1 --port N --served-model-name NAME ...` serves;
`--version` prints a version. What it answers follows from the question, the picture's size and the seed, and it keeps
answers to a JSON Schema unless it is told to ignore it.
"""

import argparse
import base64
import io
import json
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from PIL import Image

from support.loopback import QuietServer, address, serving_http

VERSION = "0.32.0"
PATCH_PX = 28
LEAST_WORD = "abc"


def instance_of(schema: Mapping[str, Any]) -> Any:
    """The smallest instance of a simple schema."""
    if "enum" in schema:
        return schema["enum"][0]
    if schema["type"] == "object":
        return {name: instance_of(one) for name, one in schema["properties"].items()}
    if schema["type"] == "array":
        return [instance_of(schema["items"])] * schema.get("minItems", 0)
    return {"string": LEAST_WORD, "number": 0, "integer": 0, "boolean": False}[schema["type"]]


@dataclass
class Behaviour:
    """What the server does otherwise than a good one.

    Attributes:
        model_name: that it names and answers by.
        answers_as: name of the model in its answers; None for its own.
        is_heedless: of schemas, which it then ignores.
        faults: done to the next requests for an answer, one each.
        seconds: that each answer takes.
        bodies, headers: of the requests for answers.
        most_at_once: requests that were answered at the same time.
    """

    model_name: str = "tiny"
    answers_as: str | None = None
    is_heedless: bool = False
    faults: list[Callable[["Handler"], None]] = field(default_factory=list)
    seconds: float = 0.0
    bodies: list[dict] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0


class Handler(BaseHTTPRequestHandler):
    """Answers one request by the server's `behaviour`."""

    protocol_version = "HTTP/1.1"

    @property
    def behaviour(self) -> Behaviour:
        return self.server.behaviour  # type: ignore[attr-defined] # set below

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def send(self, status: int, content: Any, **headers: str) -> None:
        data = json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", "content-length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self) -> None:
        if self.path == "/health":
            self.send(200, {})
        elif self.path == "/v1/models":
            self.send(200, {"object": "list", "data": [{"id": self.behaviour.model_name, "object": "model"}]})
        else:
            self.send(404, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        behaviour = self.behaviour
        behaviour.bodies.append(body)
        behaviour.headers.append({name.lower(): value for name, value in self.headers.items()})
        if behaviour.faults:
            behaviour.faults.pop(0)(self)
            return
        behaviour.at_once += 1
        behaviour.most_at_once = max(behaviour.most_at_once, behaviour.at_once)
        time.sleep(behaviour.seconds)
        behaviour.at_once -= 1
        self.send(200, completion(body, behaviour))


def completion(body: dict, behaviour: Behaviour) -> dict:
    """The answer to a request, with a token per character."""
    content = body["messages"][0]["content"]
    words = " ".join(part["text"] for part in content if part["type"] == "text")
    pictures = [picture_of(part["image_url"]["url"]) for part in content if part["type"] == "image_url"]
    tokens = len(words.split()) + sum(max(1, w * h // PATCH_PX**2) for w, h in pictures)
    schema = body.get("response_format", {}).get("json_schema", {}).get("schema")
    text = f"I see {len(pictures)} of {pictures}: {words[:40]}"
    if body.get("temperature"):
        text = f"{body['seed']} {text}"
    if schema and not behaviour.is_heedless:
        text = json.dumps(instance_of(schema), separators=(",", ":"))
    limit = body["max_tokens"]
    reason = "length" if len(text) > limit else "stop"
    text = text[:limit]
    return {
        "id": "fake", "object": "chat.completion", "created": 0, "model": behaviour.answers_as or behaviour.model_name,
        "choices": [{"index": 0, "finish_reason": reason, "message": {"role": "assistant", "content": text}}],
        "usage": {"prompt_tokens": tokens, "completion_tokens": len(text), "total_tokens": tokens + len(text)},
    }  # fmt: skip


def picture_of(url: str) -> tuple[int, int]:
    """Width and height of the PNG in a data URL."""
    data = re.fullmatch(r"data:image/png;base64,(.+)", url)
    assert data is not None, url[:40]
    with Image.open(io.BytesIO(base64.b64decode(data[1]))) as image:
        return image.size


def status(code: int, words: str = "a fault", **headers: str) -> Callable[[Handler], None]:
    """A fault: the server answers with this status."""
    return lambda handler: handler.send(code, {"error": {"message": words}}, **headers)


def cut(handler: Handler) -> None:
    """A fault: the connection ends in the middle of the answer."""
    handler.send_response(200)
    handler.send_header("content-length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id": ')
    handler.wfile.flush()
    handler.close_connection = True


def slow(seconds: float) -> Callable[[Handler], None]:
    """A fault: nothing comes for a while."""

    def wait(handler: Handler) -> None:
        time.sleep(seconds)
        handler.close_connection = True

    return wait


def nonsense(handler: Handler) -> None:
    """A fault: an answer of another shape."""
    handler.send(200, {"choices": []})


@contextmanager
def fake_server(behaviour: Behaviour) -> Iterator[str]:
    """Runs the server in a thread of this process. Gives its address."""
    with serving_http(Handler) as server:
        server.behaviour = behaviour  # type: ignore[attr-defined] # read by the handler
        yield address(server)


def main() -> None:
    """The program. Flags without meaning here are accepted, as vLLM has many."""
    if "--version" in sys.argv:
        print(f"a notice about 9.9.9\n{VERSION}+fake")
        return
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("serve")
    parser.add_argument("folder")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--served-model-name")
    parser.add_argument("--ignore-schema", action="store_true")
    parser.add_argument("--end-at-once", action="store_true")
    parser.add_argument("--never-answer", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.0)
    asked, _ = parser.parse_known_args()
    print(f"reads {sorted(os.listdir(asked.folder))}, offline {os.environ.get('HF_HUB_OFFLINE')}", flush=True)
    print(f"environment: {sorted(os.environ)}", flush=True)
    if asked.end_at_once:
        sys.exit("no memory for the model")
    if asked.never_answer:
        time.sleep(600)
    server = QuietServer((asked.host, asked.port), Handler)
    server.behaviour = Behaviour(  # type: ignore[attr-defined] # read by the handler
        asked.served_model_name, is_heedless=asked.ignore_schema, seconds=asked.seconds
    )
    server.serve_forever(0.05)


if __name__ == "__main__":
    main()

"""A small server on 127.0.0.1 that speaks the KServe v2 protocol over HTTP as tritonclient does, and fails on demand.

It stands for Triton where faults are made that a real one shows rarely. The real one is tested in tests/system.
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

import numpy as np
from google.protobuf import json_format, text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig  # type: ignore[attr-defined] # built when it is imported

from support.loopback import address, serving_http
from support.made_triton import CONFIG, DIM, MODEL, SERVER_VERSION, SIDE_PX, VERSION, reference

LENGTH = "Inference-Header-Content-Length"
DATATYPES = {"float32": "FP32", "float64": "FP64"}


def tensor(name: str, *shape: int) -> dict[str, Any]:
    return {"name": name, "datatype": "FP32", "shape": list(shape)}


def configuration() -> dict[str, Any]:
    """The pinned configuration with the defaults that a real server adds, as JSON."""
    pinned = text_format.Parse(CONFIG, ModelConfig())
    stated = json.loads(json_format.MessageToJson(pinned, preserving_proto_field_name=True))
    stated["instance_group"][0]["name"] = f"{MODEL}_0"
    return {**stated, "default_model_filename": "model.py"}


@dataclass
class Served:
    """What the server says and does. A test changes it.

    Attributes:
        vectors: computes the answer, or raises ValueError to refuse the request.
        status: of a refusal.
        dies_after: requests that are answered before the server closes every connection without a word.
        silent_seconds: how long it waits with each answer.
        asked: how many images came with each request.
    """

    server: dict[str, Any] = field(default_factory=lambda: {"name": "triton", "version": SERVER_VERSION})
    inputs: list[dict[str, Any]] = field(default_factory=lambda: [tensor("pixels", -1, 3, SIDE_PX, SIDE_PX)])
    outputs: list[dict[str, Any]] = field(default_factory=lambda: [tensor("vectors", -1, DIM)])
    config: dict[str, Any] = field(default_factory=configuration)
    versions: list[int] = field(default_factory=lambda: [VERSION])
    vectors: Callable[[np.ndarray], np.ndarray] = reference
    status: int = 400
    dies_after: int | None = None
    silent_seconds: float = 0.0
    asked: list[int] = field(default_factory=list)

    @property
    def is_dead(self) -> bool:
        return self.dies_after is not None and len(self.asked) > self.dies_after


def _handler(served: Served) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None: ...

        def do_GET(self) -> None:
            if served.is_dead:
                self.close_connection = True
                return
            named = {f"/v2/models/{MODEL}/versions/{version}": version for version in served.versions}
            model = {"name": MODEL, "versions": [str(version) for version in served.versions], "platform": "python"}
            name, _, asked = self.path.rpartition("/")
            if self.path == "/v2":
                self.give(served.server)
            elif self.path in named or self.path == f"/v2/models/{MODEL}":
                self.give({**model, "inputs": served.inputs, "outputs": served.outputs})
            elif name in named and asked == "config":
                self.give(served.config)
            else:
                self.give({"error": f"Request for unknown model: {self.path}"}, 404)

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            length = int(self.headers[LENGTH])
            (given,) = json.loads(body[:length])["inputs"]
            served.asked.append(given["shape"][0])
            if served.is_dead:
                self.close_connection = True
                return
            time.sleep(served.silent_seconds)
            try:
                found = served.vectors(np.frombuffer(body[length:], "<f4").reshape(given["shape"]))
            except ValueError as error:
                self.give({"error": str(error)}, served.status)
                return
            values = found.tobytes()
            stated = {"name": "vectors", "datatype": DATATYPES[found.dtype.name], "shape": list(found.shape)}
            output = {**stated, "parameters": {"binary_data_size": len(values)}}
            self.give({"model_name": MODEL, "model_version": str(VERSION), "outputs": [output]}, values=values)

        def give(self, answer: dict[str, Any], status: int = 200, values: bytes = b"") -> None:
            head = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(head + values)))
            if values:
                self.send_header(LENGTH, str(len(head)))
            self.end_headers()
            self.wfile.write(head + values)

    return Handler


@contextmanager
def serving(served: Served) -> Iterator[str]:
    """Runs the server for the block. Gives its address."""
    with serving_http(_handler(served)) as server:
        yield address(server)

"""Specs of served models over tiny checkpoints, records of servers, and a program that stands for vLLM."""

import os
import socket
import sys
from pathlib import Path
from typing import Any

from atlas_resources.instruments.spec.served import FlagValue, Served
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.servers.records import pinned_digests
from atlas_resources.models.servers.running import started_at
from atlas_resources.plates.run_contracts import ServerRecord
from support.fake_server import VERSION

HONOURED: dict[str, bool | None] = dict.fromkeys(("max_tokens", "seed", "json_schema", "images", "image_limits"), True)
SENT = {"max_new_tokens": 200, "min_pixels": 3136, "max_pixels": 12544, "multiple_px": 28}
"""Parameters that send a picture as the tiny Qwen2-VL has it in process."""


def served_spec(spec: Spec, served: Served, **parameters: Any) -> Spec:
    """The spec of a model in process as one that a server answers for."""
    template = {"chat_template_sha256": spec.parameters["chat_template_sha256"]}
    stated = dict(sorted({**SENT, **template, **parameters}.items()))
    return spec.model_copy(update={"loader": "openai_chat", "served": served, "parameters": stated})


def by_vllm(version: str = VERSION, **flags: FlagValue) -> Served:
    return Served(program="vllm", version=version, flags={name.replace("_", "-"): one for name, one in flags.items()})


def attested(endpoint: str, name: str = "tiny") -> Served:
    return Served(
        program="vllm", version=VERSION, endpoint=endpoint, model_name=name, attested_by="the computing centre"
    )


def record_of(spec: Spec, endpoint: str, name: str = "tiny", **changes: Any) -> ServerRecord:
    """The record of a server that runs in this process."""
    assert spec.served is not None
    assert spec.numeric is not None
    facts: dict[str, Any] = {
        "program": spec.served.program,
        "version": spec.served.version,
        "flags": spec.served.flags,
        "dtype": spec.numeric.dtype,
        "device": spec.numeric.device,
        "command": ["vllm", "serve"],
        "endpoint": endpoint,
        "model_name": name,
        "model_id": spec.model_id,
        "files": pinned_digests(spec),
        "host": socket.gethostname(),
        "process_id": os.getpid(),
        "started_at": started_at(os.getpid()),
        "attested_by": None,
        "honoured": HONOURED,
    }
    return ServerRecord(**{**facts, **changes})


def fake_program(folder: Path) -> Path:
    """An executable that is called as vLLM is, and runs `support.fake_server`."""
    tests = Path(__file__).resolve().parents[1]
    path = folder / "bin" / "vllm"
    path.parent.mkdir(parents=True, exist_ok=True)
    site = [entry for entry in sys.path if entry.endswith("site-packages")]
    code = f"import sys; sys.path[:0] = {[str(tests), *site]!r}; from support.fake_server import main; main()"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -c \'{code.replace(chr(39), chr(34))}\' "$@"\n')
    path.chmod(0o755)
    return path

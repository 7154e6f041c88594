"""A hub on 127.0.0.1 that speaks the protocol of huggingface_hub 2.4.0, with its storage on a second port.

It records every request and fails on demand: gated model, rate limit, outage, cut body, wrong bytes, moved tag.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from support.loopback import address, serving_http

RESOLVE = re.compile(r"/(?P<id>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<path>.+)")
SMALL = re.compile(r"/api/resolve-cache/models/(?P<id>[^/]+/[^/]+)/(?P<revision>[^/]+)/(?P<path>.+)")
API = re.compile(r"/api/models/(?P<id>[^/?]+/[^/?]+)(?:/(?P<kind>revision|tree)/(?P<revision>[^?]+))?")
SIGNATURE = "signed-with-a-secret"  # of the storage's addresses, as real ones have


@dataclass
class Commit:
    """Files of one commit; those in `large` are kept in large file storage, as weights are."""

    files: dict[str, bytes]
    large: frozenset[str] = frozenset({"model.safetensors"})


@dataclass
class Repository:
    commits: dict[str, Commit]
    refs: dict[str, str]
    metadata: dict[str, Any] = field(default_factory=dict)
    is_gated: bool = False
    accepted_token: str | None = None


@dataclass(frozen=True)
class Request:
    origin: str
    method: str
    path: str
    headers: dict[str, str]

    @property
    def authorization(self) -> str | None:
        return self.headers.get("authorization")


@dataclass(frozen=True)
class Fault:
    """What happens to the next matching requests. A status of 0 sends the file; `cut` and `wrong` change its body.

    `stalls` keeps the connection open instead of cutting it, until the client leaves or the servers end.
    """

    method: str
    path_ends: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    stalls: bool = False
    wrong: bool = False
    times: int = 1


@dataclass
class FakeHub:
    """The state that the two servers share."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[Request] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    endpoint: str = ""
    storage: str = ""
    answered_commit: str | None = None  # instead of the true one
    answers_ranges: bool = True
    is_ending: threading.Event = field(default_factory=threading.Event)

    def next_fault(self, method: str, path: str) -> Fault | None:
        for number, fault in enumerate(self.faults):
            if fault.method == method and path.split("?", maxsplit=1)[0].endswith(fault.path_ends):
                if fault.times == 1:
                    return self.faults.pop(number)
                self.faults[number] = Fault(**{**vars(fault), "times": fault.times - 1})
                return fault
        return None

    def asked(self, method: str, ending: str) -> list[Request]:
        return [
            request
            for request in self.requests
            if request.method == method and request.path.split("?")[0].endswith(ending)
        ]


def git_sha1(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fake: FakeHub

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.connection.getsockname()[1]}"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.fake.requests.append(Request(self.origin, self.command, self.path, headers))
        fault = self.fake.next_fault(self.command, self.path)
        if fault and fault.status:
            self._send(fault.status, fault.headers, fault.body)
        elif self.origin == self.fake.storage:
            self._send_file(self._stored(), fault, {})
        elif found := SMALL.match(self.path):
            self._resolve(found, fault, is_small=True)
        elif found := RESOLVE.match(self.path):
            self._resolve(found, fault)
        elif found := API.match(self.path):
            self._describe(found)
        else:
            self._send(404, {})

    def _send(self, status: int, headers: dict[str, str], body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _commit_of(self, model_id: str, revision: str | None) -> tuple[Repository, str] | None:
        """The requested commit, or None after a refusal was sent."""
        repository = self.fake.repositories.get(model_id)
        if repository is None:
            self._send(401, {"X-Error-Code": "RepoNotFound", "X-Error-Message": "Invalid username or password."})
            return None
        sent = self.headers.get("Authorization")
        if repository.is_gated and sent != f"Bearer {repository.accepted_token}":
            said = f"{sent} is not accepted."  # a careless server repeats the token
            self._send(403 if sent else 401, {"X-Error-Code": "GatedRepo", "X-Error-Message": said})
            return None
        sha = repository.refs.get(revision or "main", revision or "main")
        if sha not in repository.commits:
            self._send(404, {"X-Error-Code": "RevisionNotFound", "X-Error-Message": f"Invalid rev id: {revision}"})
            return None
        return repository, sha

    def _describe(self, found: re.Match) -> None:
        if not (known := self._commit_of(found["id"], found["revision"])):
            return
        repository, sha = known
        commit = repository.commits[sha]
        files = [
            {
                "rfilename": path,
                "path": path,
                "type": "file",
                "oid": git_sha1(content),
                "blobId": git_sha1(content),
                "size": len(content),
                **({"lfs": _large(content)} if path in commit.large else {}),
            }
            for path, content in commit.files.items()
        ]
        answer = files if found["kind"] == "tree" else {"id": found["id"], "sha": sha, "siblings": files}
        if isinstance(answer, dict):
            answer |= repository.metadata
        self._send(200, {"Content-Type": "application/json"}, json.dumps(answer).encode())

    def _resolve(self, found: re.Match, fault: Fault | None, is_small: bool = False) -> None:
        if not (known := self._commit_of(found["id"], found["revision"])):
            return
        repository, sha = known
        commit, path = repository.commits[sha], found["path"]
        identity = {"X-Repo-Commit": self.fake.answered_commit or sha}
        if path not in commit.files:
            self._send(404, {**identity, "X-Error-Code": "EntryNotFound", "X-Error-Message": "Entry not found"})
            return
        content = commit.files[path]
        if path in commit.large:
            sha256 = hashlib.sha256(content).hexdigest()
            linked = {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
            location = f"{self.fake.storage}/{found['id']}/{sha}/{path}?signature={SIGNATURE}"
            self._send(302, {**identity, **linked, "ETag": f'"{sha256}-link"', "Location": location})
        elif is_small:
            self._send_file(content, fault, {**identity, "ETag": f'"{git_sha1(content)}"'})
        else:
            self._send(307, {**identity, "Location": f"/api/resolve-cache/models/{found['id']}/{sha}/{path}"})

    def _stored(self) -> bytes:
        owner, name, sha, path = self.path.split("?")[0].lstrip("/").split("/", 3)
        return self.fake.repositories[f"{owner}/{name}"].commits[sha].files[path]

    def _send_file(self, content: bytes, fault: Fault | None, headers: dict[str, str]) -> None:
        if fault and fault.wrong:
            content = bytes(255 - byte for byte in content)
        start, status = 0, 200
        asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if asked and self.fake.answers_ranges:
            start, status = int(asked[1]), 206
            if start >= len(content):
                self._send(416, {"Content-Range": f"bytes */{len(content)}"})
                return
            headers = {**headers, "Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        body = content[start:]
        if fault is None or fault.cut is None:
            self._send(status, headers, body)
            return
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: fault.cut])
        self.wfile.flush()
        if fault.stalls:
            self.fake.is_ending.wait(60)
        self.close_connection = True


def _large(content: bytes) -> dict[str, Any]:
    return {"size": len(content), "sha256": hashlib.sha256(content).hexdigest(), "pointerSize": 134}


@contextmanager
def running_hub() -> Iterator[FakeHub]:
    """Runs both servers, each on its own port, until the block ends."""
    fake = FakeHub()
    handler = type("Answer", (_Answer,), {"fake": fake})
    with serving_http(handler) as hub, serving_http(handler) as storage:
        fake.endpoint, fake.storage = address(hub), address(storage)
        try:
            yield fake
        finally:
            fake.is_ending.set()

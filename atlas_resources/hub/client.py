"""The only module that makes requests to a hub: metadata of models and files, small files, and resumable downloads.

Requests go through huggingface_hub's session, with its headers and errors.
"""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from atlas_resources.downloads.limits import LIMIT, LimitExceeded, bounding, watching
from atlas_resources.downloads.patience import PATIENCE, Patience, wait_seconds
from atlas_resources.hub.errors import AnswerRefused, HubError, HubUnreachable, explain_failure
from atlas_resources.hub.limits import CODING_FIX, MAX_UNPINNED_BYTES, SIZE_FIX, require_repository

if TYPE_CHECKING:
    import httpx2
    from huggingface_hub.file_download import HfFileMetadata
    from huggingface_hub.hf_api import ModelInfo

Answer = TypeVar("Answer")
TIMEOUT_SECONDS = 20
PARTIAL = 206  # the answer to a request of a range


@dataclass(frozen=True)
class Hub:
    """A hub's address and the token for it. The token is sent to no other address and is left out of `repr`."""

    endpoint: str
    token: str | None = field(default=None, repr=False)
    patience: Patience = field(default_factory=lambda: PATIENCE)


def hub_of_environment() -> Hub:
    """Returns the hub of HF_ENDPOINT, with the token of HF_TOKEN or of a login. Raises HubError for no address."""
    from huggingface_hub import constants, get_token

    endpoint = os.environ.get("HF_ENDPOINT") or constants.ENDPOINT
    if not endpoint.startswith(("https://", "http://")):
        raise HubError(f"HF_ENDPOINT: found {endpoint!r}, expected an address that begins with https://. Correct it.")
    return Hub(endpoint.rstrip("/"), None if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN else get_token())


@contextmanager
def hub_session(hub: Hub) -> Iterator[None]:
    """Allows requests to the hub inside the block: no telemetry, no token to another origin, no address in a log.

    Each answer has a limit of bytes and a least rate, and no answer is unpacked; see `downloads.limits`.

    By default, the hub's library sends the token to the public hub where a mirror redirects there, requests a list of
    programs for its user agent from the public hub, and its client logs signed addresses.
    """
    import httpx2
    from huggingface_hub import close_session, constants, set_client_factory
    from huggingface_hub.utils import _http

    origin = httpx2.URL(hub.endpoint).origin

    def prepare(request: "httpx2.Request") -> None:
        if request.url.origin != origin:
            request.headers.pop("authorization", None)
        request.headers["Accept-Encoding"] = "identity"
        watch.begin(request)

    def build_client() -> "httpx2.Client":
        client = _http.default_client_factory()
        client.event_hooks = {
            "request": [*client.event_hooks["request"], prepare],
            "response": [bounding(watch, CODING_FIX, SIZE_FIX)],
        }
        client.timeout = TIMEOUT_SECONDS
        return client

    telemetry = constants.HF_HUB_DISABLE_TELEMETRY
    with watching(hub.patience.least_rate) as watch:
        set_client_factory(build_client)
        constants.HF_HUB_DISABLE_TELEMETRY = True
        try:
            with _quiet("huggingface_hub", "httpx2", "httpcore2"):
                yield
        finally:
            constants.HF_HUB_DISABLE_TELEMETRY = telemetry
            set_client_factory(_http.default_client_factory)
            close_session()


@contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Limits loggers to errors: what they log below may hold signed addresses."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _ask(hub: Hub, what: str, request: Callable[[], Answer], progress: Callable[[], int] = lambda: 0) -> Answer:
    """Makes a request, again after failures that may pass. Progress restarts the count of tries. Raises HubError.

    A server's JSON that is nested too deeply is a RecursionError of the hub's library.
    """
    import httpx2
    from huggingface_hub.errors import FileMetadataError, HfHubHTTPError, HFValidationError, OfflineModeIsEnabled

    failures = (
        *(httpx2.HTTPError, HfHubHTTPError, FileMetadataError, HFValidationError, OfflineModeIsEnabled),
        RecursionError,
    )
    tried, reached = 0, progress()
    while True:
        tried += 1
        try:
            return request()
        except LimitExceeded as error:
            raise AnswerRefused(f"{what}: {error}") from None
        except failures as error:
            if progress() - reached >= hub.patience.least_progress_bytes:
                tried, reached = 1, progress()
            seconds = _wait_seconds_after(error, tried, hub.patience)
            if seconds is None:
                kind = HubUnreachable if isinstance(error, httpx2.ConnectError | httpx2.ConnectTimeout) else HubError
                rate = str(hub.patience.least_rate)
                reason = explain_failure(error, hub.endpoint, hub.token is not None, tried, rate)
                raise kind(f"{what}: {reason}") from None
            time.sleep(seconds)


def _wait_seconds_after(error: Exception, tried: int, patience: Patience) -> float | None:
    from httpx2 import TransportError
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return wait_seconds(tried, patience, error.response.status_code, error.response.headers.get("Retry-After", ""))
    return wait_seconds(tried, patience) if isinstance(error, TransportError) else None


def describe(hub: Hub, repository: str, revision: str | None) -> "ModelInfo":
    """Returns the hub's metadata of a model at a branch, tag or commit, with each file's size and digest.

    Raises HubError.
    """
    require_repository(repository)
    from huggingface_hub import HfApi
    from huggingface_hub.errors import FileMetadataError, HfHubHTTPError, HFValidationError

    def request() -> "ModelInfo":
        api = HfApi(endpoint=hub.endpoint, token=hub.token or False)
        try:
            return api.model_info(repository, revision=revision, files_metadata=True, timeout=TIMEOUT_SECONDS)
        except (HfHubHTTPError, HFValidationError):
            raise
        except (
            ValueError,
            KeyError,
            TypeError,
            AttributeError,
        ) as error:  # an answer that is not JSON, or not about a model
            raise FileMetadataError(str(error)) from error

    return _ask(hub, f"{repository}@{revision}" if revision else repository, request)


def address_of(hub: Hub, repository: str, revision: str, path: str) -> str:
    """Returns the address at which the hub serves a file. Raises HubError for what is no id of a repository."""
    require_repository(repository)
    from huggingface_hub import hf_hub_url

    return hf_hub_url(repository, path, revision=revision, endpoint=hub.endpoint)


def look_up(hub: Hub, repository: str, revision: str, path: str) -> "HfFileMetadata":
    """Returns size, ETag and commit of a file, without its content. Raises HubError, also if the commit is another."""
    from huggingface_hub import get_hf_file_metadata
    from huggingface_hub.errors import FileMetadataError

    what = f"{path} of {repository}@{revision}"
    url = address_of(hub, repository, revision, path)

    def request() -> "HfFileMetadata":
        answer = get_hf_file_metadata(url, token=hub.token or False, endpoint=hub.endpoint)
        if answer.commit_hash is None or answer.etag is None:
            raise FileMetadataError("neither commit nor ETag")
        return answer

    found = _ask(hub, what, request)
    if found.commit_hash != revision:
        raise HubError(
            f"{what}: the hub answered with commit {found.commit_hash}. "
            f"Pin the commit that is meant: `atlas models pin {repository}`."
        )
    return found


def read_small(hub: Hub, repository: str, revision: str, path: str) -> bytes:
    """Returns the content of a small file. Raises HubError."""
    from huggingface_hub import get_session
    from huggingface_hub.utils import build_hf_headers, hf_raise_for_status

    def request() -> bytes:
        response = get_session().get(url, headers=build_hf_headers(token=hub.token or False))
        hf_raise_for_status(response)
        return response.content

    url = address_of(hub, repository, revision, path)
    return _ask(hub, f"{path} of {repository}@{revision}", request)


@dataclass(frozen=True)
class Transfer:
    """A file to download: its name for messages, address, size if known, and the file that holds the part so far."""

    what: str
    url: str
    size_bytes: int | None
    part: Path


def _size_of(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def transfer(hub: Hub, wanted: Transfer, on_bytes: Callable[[int], Any]) -> None:
    """Downloads a file, continuing at the end of its part, from this call or an earlier one.

    Args:
        hub: the hub that serves the address.
        wanted: the file. Its part is kept if the transfer fails, unless the server sends more than the file has.
        on_bytes: called with the size of the part after each chunk.

    Raises:
        HubError: the file cannot be downloaded, is longer than its size (MAX_UNPINNED_BYTES if that is unknown), or was
            cut off several times without progress.
    """
    from huggingface_hub.utils import build_hf_headers

    size_bytes, part = wanted.size_bytes, wanted.part
    if size_bytes is None or _size_of(part) > size_bytes:
        part.unlink(missing_ok=True)
    elif part.exists() and _size_of(part) == size_bytes:
        return on_bytes(size_bytes)
    headers = build_hf_headers(token=hub.token or False)
    try:
        _ask(hub, wanted.what, lambda: _stream(wanted, headers, on_bytes), lambda: _size_of(part))
    except AnswerRefused:
        part.unlink(missing_ok=True)
        raise
    except HubError as error:
        if not _size_of(part):
            raise
        reached = f"{_size_of(part)} of {size_bytes or 'an unknown number of'} bytes"
        raise HubError(f"{error} It was cut off at {reached}.") from None


def _stream(wanted: Transfer, headers: dict[str, str], on_bytes: Callable[[int], Any]) -> None:
    """Makes one request. Appends to the part if the server supports ranges; otherwise starts again."""
    import httpx2
    from huggingface_hub import get_session
    from huggingface_hub.utils import hf_raise_for_status

    have = _size_of(wanted.part)
    max_bytes = MAX_UNPINNED_BYTES if wanted.size_bytes is None else wanted.size_bytes
    ranged = {**headers, **({"Range": f"bytes={have}-"} if have else {})}
    with get_session().stream("GET", wanted.url, headers=ranged, extensions={LIMIT: max_bytes}) as response:
        hf_raise_for_status(response)
        range_sent = response.headers.get("Content-Range", "") if response.status_code == PARTIAL else ""
        with wanted.part.open("ab" if range_sent.startswith(f"bytes {have}-") else "wb") as file:
            for chunk in response.iter_bytes():  # as they arrive: a cut loses what a larger chunk has gathered
                if file.tell() + len(chunk) > max_bytes:  # a part and an answer that is not only the rest of the file
                    raise LimitExceeded(f"the server sends more than the file's {max_bytes:,} bytes; it was cut off.")
                file.write(chunk)
                on_bytes(file.tell())
            file.flush()
            os.fsync(file.fileno())
    if wanted.size_bytes is not None and _size_of(wanted.part) < wanted.size_bytes:
        raise httpx2.RemoteProtocolError("the body ended early")

"""Sends a body to an address that a person has stated: directly, once, without following it anywhere, within a time."""

import asyncio
import ipaddress
from collections.abc import Mapping
from urllib.parse import urlsplit

LONGEST_SECONDS = 10.0


class NotSent(OSError):
    """The address did not take the body. The message names its host, never the whole address, which may be secret."""


def require_address(url: str, *, is_unencrypted_allowed: bool = False) -> None:
    """Raises ValueError unless an address is https, or http on this machine's loopback.

    Args:
        url: the address.
        is_unencrypted_allowed: whether http to another machine is accepted too.
    """
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError(f"expected an http or https address with a host, found one of {_shown(url)}")
    if parts.scheme == "http" and not is_loopback(host) and not is_unencrypted_allowed:
        raise ValueError(
            f"{_shown(url)}: expected https, or http on 127.0.0.1, ::1 or localhost. Fix: use https, or state "
            f"`is_unencrypted_allowed: true`"
        )


def is_loopback(host: str) -> bool:
    """Whether a host is this machine's loopback, by its name or address; no name is looked up."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def send(method: str, url: str, body: bytes, headers: Mapping[str, str], *, seconds: float = LONGEST_SECONDS) -> None:
    """Sends a body and returns once a status of success has come; the answer's body is not read.

    No proxy of the environment is used, no redirect followed, and nothing is sent twice.

    Args:
        method: of HTTP.
        url: the address.
        body: what is sent.
        headers: by name.
        seconds: the longest that all of it may take, from looking up the name to the status.

    Raises:
        NotSent: the address cannot be reached, answers another status, or takes longer.
    """
    asyncio.run(_send(method, url, body, headers, seconds))


async def _send(method: str, url: str, body: bytes, headers: Mapping[str, str], seconds: float) -> None:
    import httpx2  # takes a tenth of a second, which a code location that sends nothing need not spend

    try:
        async with asyncio.timeout(seconds):
            async with httpx2.AsyncClient(trust_env=False, follow_redirects=False, timeout=seconds) as client:
                request = client.build_request(method, url, content=body, headers=dict(headers))
                answer = await client.send(request, stream=True)
                await answer.aclose()
    except TimeoutError:
        raise NotSent(f"{_shown(url)} did not answer within {seconds:g} s") from None
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise NotSent(f"{_shown(url)} cannot be reached: {type(error).__name__}: {error}") from None
    if not answer.is_success:
        raise NotSent(f"{_shown(url)} answered {answer.status_code}")


def _shown(url: str) -> str:
    """Scheme, host and port of an address: its path and user may be secrets."""
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return "an address that cannot be read"
    return f"{parts.scheme}://{parts.hostname}{port}"

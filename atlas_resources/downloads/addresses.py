"""Which addresses are fetched from: http and https, without a password, and only on request in a private network."""

import ipaddress
import socket
from contextlib import suppress
from urllib.parse import urljoin, urlsplit

from atlas_resources.downloads.errors import AddressRefused

MAX_ADDRESS_LENGTH = 4096
SCHEMES = ("http", "https")


def is_address(text: str) -> bool:
    """Whether a text begins as a web address does."""
    return text.lower().startswith(("http://", "https://"))


def require_address(text: str) -> str:
    """Returns the address. Raises AddressRefused for one that is not fetched from."""
    shown = repr(text[:100])
    if len(text) > MAX_ADDRESS_LENGTH:
        raise AddressRefused(
            f"the address {shown}... has {len(text):,} characters; the limit is {MAX_ADDRESS_LENGTH:,}"
        )
    if not text.isprintable() or " " in text:
        raise AddressRefused(f"{shown} has a space or a control character. Fix: write it as %20")
    try:
        parts = urlsplit(text)
        host, has_user = parts.hostname, parts.username is not None or parts.password is not None
        _ = parts.port  # raises ValueError for what is no port
    except ValueError as error:
        raise AddressRefused(f"{shown} is not an address: {error}. Fix: correct it") from None
    if parts.scheme.lower() not in SCHEMES or not host:
        raise AddressRefused(f"{shown} is not an address that begins with http:// or https://. Fix: correct it")
    if has_user:
        raise AddressRefused(f"the address at {host!r} has a user name or password. Fix: remove it; none is ever sent")
    return text


def host_of(address: str) -> str:
    """The host's name in an address, in lower case."""
    return urlsplit(address).hostname or ""


def redirected(address: str, location: str) -> str:
    """Returns where a redirect leads. Raises AddressRefused if nothing is fetched from there."""
    try:
        target = require_address(urljoin(address, location))
    except (AddressRefused, ValueError) as error:
        raise AddressRefused(f"is redirected, and {error}") from None
    if urlsplit(address).scheme.lower() == "https" and urlsplit(target).scheme.lower() == "http":
        raise AddressRefused(f"is redirected from https to http, to {host_of(target)!r}, where anyone could change it")
    return target


def require_public(connection: socket.socket) -> None:
    """Raises AddressRefused, and closes the connection, if its other end is this machine or in a private network.

    The end of an open connection is looked at, since a host's name may mean another address each time it is asked for.
    """
    peer = str(connection.getpeername()[0]).partition("%")[0]
    found = ipaddress.ip_address(peer)
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    if found.is_global and not found.is_multicast:
        return
    with suppress(OSError):
        connection.close()
    raise AddressRefused(
        f"leads to {peer}, which is this machine or in a private network. Fix: if it is meant, add --allow-private"
    )

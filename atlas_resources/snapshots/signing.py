"""Signatures of snapshots: Ed25519 (RFC 8032) over the bytes of the JSON file, with a key in a PEM file.

The signature is 64 raw bytes, so that OpenSSL verifies it too:

    openssl pkeyutl -verify -rawin -pubin -inkey public.pem -in NAME.json -sigfile NAME.sig
"""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

MAKE_KEY = "openssl genpkey -algorithm ed25519 -out private.pem"
MAKE_PUBLIC = "openssl pkey -in private.pem -pubout -out public.pem"


class KeyRefused(ValueError):
    """A key file that cannot be read or is no Ed25519 key."""


def read_private_key(path: Path) -> "Ed25519PrivateKey":
    """A private key, from a PEM file without a passphrase. Raises KeyRefused."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except TypeError:
        raise _refused(path, "a passphrase protects it", f"openssl pkey -in {path} -out FILE removes it") from None
    except (OSError, ValueError) as error:
        raise _refused(path, _reason(error), MAKE_KEY) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _refused(path, f"found a key of another kind ({type(key).__name__})", MAKE_KEY)
    return key


def read_public_key(path: Path) -> "Ed25519PublicKey":
    """A public key, from a PEM file. Raises KeyRefused."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(path.read_bytes())
    except (OSError, ValueError) as error:
        raise _refused(path, _reason(error), MAKE_PUBLIC) from error
    if not isinstance(key, Ed25519PublicKey):
        raise _refused(path, f"found a key of another kind ({type(key).__name__})", MAKE_PUBLIC)
    return key


def _reason(error: Exception) -> str:
    return (error.strerror or "cannot be read") if isinstance(error, OSError) else "found no such key"


def _refused(path: Path, problem: str, fix: str) -> KeyRefused:
    return KeyRefused(f"{path}: expected an Ed25519 key in PEM: {problem}. Fix: {fix}")


def public_hex(key: "Ed25519PublicKey") -> str:
    """The 32 bytes of a public key, as 64 hex digits."""
    return key.public_bytes_raw().hex()


def is_signed_by(public: str, signature: bytes, data: bytes) -> bool:
    """Whether a signature of some bytes was made with a key.

    Args:
        public: the public key, as 64 hex digits.
        signature: 64 bytes.
        data: what was signed.
    """
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)).verify(signature, data)
    except (InvalidSignature, ValueError):
        return False
    return True

"""Signatures by Ed25519: OpenSSL verifies them; another key or another byte does not."""

import shutil
import subprocess

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from atlas_resources.snapshots.signing import (
    KeyRefused,
    is_signed_by,
    public_hex,
    read_private_key,
    read_public_key,
)

# RFC 8032, section 7.1, test 2
SEED = "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb"
PUBLIC = "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
SIGNATURE = (
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)


def write_key(path, key, password=None):
    protection = BestAvailableEncryption(password) if password else NoEncryption()
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
    return path


def test_it_is_ed25519_of_rfc_8032(tmp_path):
    path = write_key(tmp_path / "key.pem", Ed25519PrivateKey.from_private_bytes(bytes.fromhex(SEED)))
    key = read_private_key(path)
    assert public_hex(key.public_key()) == PUBLIC
    assert key.sign(b"\x72").hex() == SIGNATURE
    assert is_signed_by(PUBLIC, bytes.fromhex(SIGNATURE), b"\x72")
    assert not is_signed_by(PUBLIC, bytes.fromhex(SIGNATURE), b"\x73")
    assert not is_signed_by(PUBLIC, b"short", b"\x72")


@pytest.mark.skipif(shutil.which("openssl") is None, reason="OpenSSL is not installed")
def test_openssl_makes_keys_and_verifies_signatures(tmp_path):
    def openssl(*arguments: str) -> int:
        return subprocess.run(["openssl", *arguments], cwd=tmp_path, capture_output=True, check=False).returncode

    assert openssl("genpkey", "-algorithm", "ed25519", "-out", "private.pem") == 0
    assert openssl("pkey", "-in", "private.pem", "-pubout", "-out", "public.pem") == 0
    key = read_private_key(tmp_path / "private.pem")
    assert public_hex(read_public_key(tmp_path / "public.pem")) == public_hex(key.public_key())
    (tmp_path / "a.json").write_bytes(b"content")
    (tmp_path / "a.sig").write_bytes(key.sign(b"content"))
    verify = ("pkeyutl", "-verify", "-rawin", "-pubin", "-inkey", "public.pem", "-in", "a.json", "-sigfile", "a.sig")
    assert openssl(*verify) == 0
    (tmp_path / "a.json").write_bytes(b"Content")
    assert openssl(*verify) == 1


@pytest.mark.parametrize("read", [read_private_key, read_public_key])
def test_a_file_that_is_no_such_key_is_refused_with_the_command_that_makes_one(tmp_path, read):
    with pytest.raises(KeyRefused, match=r"No such file or directory\. Fix: openssl"):
        read(tmp_path / "none.pem")
    (tmp_path / "text.pem").write_text("no key")
    with pytest.raises(KeyRefused, match=r"found no such key\. Fix: openssl"):
        read(tmp_path / "text.pem")


def test_a_key_of_another_kind_and_one_with_a_passphrase_are_refused(tmp_path):
    other = write_key(tmp_path / "ec.pem", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(KeyRefused, match="another kind"):
        read_private_key(other)
    protected = write_key(tmp_path / "protected.pem", Ed25519PrivateKey.generate(), b"secret")
    with pytest.raises(KeyRefused, match="passphrase"):
        read_private_key(protected)

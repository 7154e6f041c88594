"""A store in a bucket, S3 or what speaks like it, or in this process's memory, by obstore."""

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError, NotFoundError, PreconditionError

from atlas_resources.files.digests import sha256_of
from atlas_resources.store.protocol import AlreadyWritten, Changed, KeyMissing, Listed, Stored, StoreUnreachable

MULTIPART_BYTES = 64 << 20
"""Larger files are sent in parts, to a key of their own, and then copied to theirs, if it has no bytes."""
INCOMING = ".incoming/"
TRIES = 4
"""A conditional write whose answer is lost is tried again by us: obstore repeats only what it may blindly repeat."""

Result = TypeVar("Result")


class ObjectStore:
    """A store in a bucket. Two verbs are atomic by conditional writes (If-None-Match, If-Match).

    An object's etag is the state of a key and not a digest: it depends on how the object was sent, and of two writes of
    the same bytes it is the same.
    """

    def __init__(self, bucket: Any, address: str):
        """Takes an obstore store, such as `obstore.store.S3Store`.

        Args:
            bucket: the store.
            address: where it is.
        """
        self.address = address
        self._bucket = bucket

    def read(self, key: str) -> Stored:
        """See `Store`."""
        found = self._asked(lambda: obstore.get(self._bucket, key), key)
        return Stored(bytes(self._asked(found.bytes, key)), str(found.meta["e_tag"]))

    def read_to(self, key: str, path: Path) -> str:
        """See `Store`."""
        digest = hashlib.sha256()
        found = self._asked(lambda: obstore.get(self._bucket, key), key)
        with path.open("xb") as file:
            chunks = iter(found.stream())
            while chunk := self._asked(lambda: next(chunks, None), key):
                digest.update(chunk)
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
        return digest.hexdigest()

    def write_once(self, key: str, content: bytes | Path) -> bool:
        """See `Store`."""
        is_large = isinstance(content, Path) and content.stat().st_size > MULTIPART_BYTES
        write = self._copy_once if is_large else self._put_once
        try:
            self._tried(lambda: write(key, content), key)
        except AlreadyExistsError:
            return self._require_same(key, content)
        return True

    def replace(self, key: str, content: bytes, tag: str | None) -> str:
        """See `Store`."""
        mode: Any = "create" if tag is None else {"e_tag": tag}
        try:
            return str(self._tried(lambda: obstore.put(self._bucket, key, content, mode=mode), key)["e_tag"])
        except (AlreadyExistsError, PreconditionError, NotFoundError) as error:
            try:
                found = self.read(key)
            except KeyMissing:
                raise Changed(key) from error
            if found.content == content:  # an earlier try had succeeded, and its answer was lost
                return found.tag
            raise Changed(key) from error

    def list(self, prefix: str) -> Iterator[Listed]:
        """See `Store`."""
        pages = iter(obstore.list(self._bucket, prefix.rstrip("/") or None))
        while page := self._asked(lambda: next(pages, None), prefix):
            yield from (Listed(one["path"], one["size"]) for one in page if not one["path"].startswith(INCOMING))

    def _put_once(self, key: str, content: bytes | Path) -> None:
        obstore.put(self._bucket, key, content, mode="create", use_multipart=False)

    def _copy_once(self, key: str, content: bytes | Path) -> None:
        """Sends a large file in parts to a key of its own; the copy to its key is what is written once."""
        sent = f"{INCOMING}{secrets.token_hex(8)}"
        obstore.put(self._bucket, sent, content, use_multipart=True, chunk_size=16 << 20, max_concurrency=4)
        try:
            obstore.copy(self._bucket, sent, key, overwrite=False)
        finally:
            obstore.delete(self._bucket, sent)

    def _require_same(self, key: str, content: bytes | Path) -> bool:
        """False if a key has these bytes. Raises AlreadyWritten."""
        digest = hashlib.sha256()
        for chunk in self._asked(lambda: obstore.get(self._bucket, key), key).stream():
            digest.update(chunk)
        expected = sha256_of(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()
        if digest.hexdigest() != expected:
            raise AlreadyWritten(
                f"{self.address}/{key} has other bytes: sha256 {digest.hexdigest()}, and here {expected}. It is never "
                "overwritten. Fix: find out which of the two is right; `atlas store verify` names what differs"
            )
        return False

    def _tried(self, write: Callable[[], Result], key: str) -> Result:
        """The result of a conditional write, tried again while the store does not answer."""
        for _ in range(TRIES - 1):
            try:
                return write()
            except (AlreadyExistsError, PreconditionError, NotFoundError):
                raise
            except BaseError:
                continue
        try:
            return write()
        except (AlreadyExistsError, PreconditionError, NotFoundError):
            raise
        except BaseError as error:
            raise self._unreachable(key, error) from error

    def _asked(self, ask: Callable[[], Result], key: str) -> Result:
        try:
            return ask()
        except (NotFoundError, FileNotFoundError) as error:
            raise KeyMissing(f"{self.address}/{key} does not exist") from error
        except BaseError as error:
            raise self._unreachable(key, error) from error

    def _unreachable(self, key: str, error: Exception) -> StoreUnreachable:
        return StoreUnreachable(
            f"{self.address}/{key}: {str(error).splitlines()[0]}. Fix: check ATLAS_STORE, AWS_ENDPOINT_URL, AWS_REGION "
            "and the credentials in the environment, and that the bucket exists; `atlas store status` tries them"
        )

"""A store in a folder of a local or shared file system, by the same rules as a bucket."""

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from atlas_resources.files.digests import sha256_of
from atlas_resources.files.durable import make_folder, sync_folder, write_bytes_atomically, write_synced
from atlas_resources.files.hosts.freshness import refresh
from atlas_resources.files.locking import locked
from atlas_resources.store.protocol import AlreadyWritten, Changed, KeyMissing, Listed, Stored

LOCKS = ".locks"


class FolderStore:
    """A store in a folder. A key is a file; names that begin with a dot are no keys."""

    def __init__(self, root: Path):
        """Takes the folder, which is made when it is first written to.

        Args:
            root: the folder.
        """
        self.address = str(root)
        self._root = root

    def read(self, key: str) -> Stored:
        """See `Store`."""
        try:
            content = self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise KeyMissing(f"{self.address}/{key} does not exist") from error
        return Stored(content, hashlib.sha256(content).hexdigest())

    def read_to(self, key: str, path: Path) -> str:
        """See `Store`."""
        try:
            with self._path(key).open("rb") as source, path.open("xb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
                copy.flush()
                os.fsync(copy.fileno())
        except (FileNotFoundError, NotADirectoryError) as error:
            raise KeyMissing(f"{self.address}/{key} does not exist") from error
        return sha256_of(path)

    def write_once(self, key: str, content: bytes | Path) -> bool:
        """See `Store`."""
        path = self._path(key)
        make_folder(path.parent)
        written = path.parent / f".{secrets.token_hex(8)}.tmp"
        try:
            if isinstance(content, Path):
                with content.open("rb") as source, written.open("xb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
                    copy.flush()
                    os.fsync(copy.fileno())
            else:
                write_synced(written, content)
            os.link(written, path)  # which, unlike a rename, replaces nothing
        except FileExistsError:
            refresh(path.parent)
            expected, found = sha256_of(written), sha256_of(path)
            if found != expected:
                raise AlreadyWritten(
                    f"{path} has other bytes: sha256 {found}, and here {expected}. It is never overwritten. Fix: find "
                    "out which of the two is right; `atlas store verify` names what differs"
                ) from None
            return False
        finally:
            written.unlink(missing_ok=True)
        sync_folder(path.parent)
        return True

    def replace(self, key: str, content: bytes, tag: str | None) -> str:
        """See `Store`."""
        make_folder(self._root / LOCKS)
        name = hashlib.sha256(key.encode()).hexdigest()[:32]
        with locked(self._root / LOCKS / name):
            refresh(self._root, self._path(key).parent)
            try:
                found = self.read(key).tag
            except KeyMissing:
                found = None
            if found != tag:
                raise Changed(key)
            write_bytes_atomically(self._path(key), content)
        return hashlib.sha256(content).hexdigest()

    def list(self, prefix: str) -> Iterator[Listed]:
        """See `Store`."""
        for folder, folders, names in os.walk(self._root / prefix):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            for name in sorted(name for name in names if not name.startswith(".")):
                path = Path(folder, name)
                yield Listed(path.relative_to(self._root).as_posix(), path.stat().st_size)

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if any(not part or part.startswith(".") for part in parts):
            raise ValueError(f"{key!r} is no key: expected names with / between them, none beginning with a dot")
        return self._root.joinpath(*parts)

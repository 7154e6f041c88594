"""Which store is meant by an address, and by ATLAS_STORE. Credentials come from the environment alone."""

import os
import re
from functools import lru_cache
from pathlib import Path

from atlas_resources.store.folder import FolderStore
from atlas_resources.store.protocol import Store

VARIABLE = "ATLAS_STORE"
BUCKET = re.compile(r"s3://([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:/(.*))?")
WAIT_SECONDS = 60


class StoreRefused(ValueError):
    """An address that names no store, or one that cannot be used here. The message says how to fix it."""


def named_store() -> Store | None:
    """The store that ATLAS_STORE names; None if it is not set. Raises StoreRefused."""
    address = os.environ.get(VARIABLE)
    return open_store(address) if address else None


@lru_cache(maxsize=8)
def open_store(address: str) -> Store:
    """The store at an address: `s3://bucket/prefix`, or the absolute path of a folder. Nothing is asked of it yet.

    Raises:
        StoreRefused: the address is neither, or the extra for buckets is not installed.
    """
    if address.startswith("s3://"):
        return _open_bucket(address)
    if not Path(address).expanduser().is_absolute():
        raise StoreRefused(f"{address!r} is no store. Fix: give s3://bucket/prefix, or the absolute path of a folder")
    return FolderStore(Path(address).expanduser())


def _open_bucket(address: str) -> Store:
    found = BUCKET.fullmatch(address.rstrip("/"))
    if found is None:
        raise StoreRefused(
            f"{address!r} is no bucket. Fix: give s3://bucket/prefix; a bucket is named in small letters"
        )
    try:
        from obstore.store import S3Store

        from atlas_resources.store.objects import ObjectStore
    except ImportError as error:
        raise StoreRefused("buckets need obstore. Fix: pip install 'atlas-plates[s3]'") from error
    is_plain = os.environ.get("AWS_ENDPOINT_URL", "").startswith("http://")
    bucket = S3Store(
        found[1],
        prefix=found[2] or None,
        client_options={"allow_http": is_plain, "timeout": f"{WAIT_SECONDS}s"},  # plain only where the endpoint is
        retry_config={"max_retries": 5},
        copy_if_not_exists="multipart",
    )
    return ObjectStore(bucket, address.rstrip("/"))

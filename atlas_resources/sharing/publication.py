"""A catalogue in a store: each one under a key of its own, and one small pointer that is replaced."""

import socket
from datetime import UTC, datetime

from pydantic import Field

from atlas_resources.files.contract import Contract, Sha256
from atlas_resources.files.digests import sha256_of
from atlas_resources.plates.dataset import Dataset
from atlas_resources.sharing.layout import CURRENT
from atlas_resources.store.protocol import Changed, KeyMissing, Store

DIGITS = 16


class NotPublished(ValueError):
    """There is nothing to publish, or somebody else published meanwhile."""


class Current(Contract):
    """`published/current.json`."""

    catalogue: str = Field(description="Key of the present catalogue.")
    sha256: Sha256 = Field(description="Of its bytes.")
    number: int = Field(ge=1, description="How often a catalogue was published.")
    published_at: datetime = Field(description="UTC, by the clock of the machine that published it.")
    published_by: str = Field(description="That machine.")


def read_current(store: Store) -> Current | None:
    """Which catalogue is the present one; None before the first. Raises StoreUnreachable."""
    try:
        return Current.model_validate_json(store.read(CURRENT).content)
    except KeyMissing:
        return None


def publish_catalogue(dataset: Dataset, store: Store) -> str:
    """Publishes the dataset's catalogue; returns its key. The earlier ones stay, for whoever reads them.

    Raises:
        NotPublished: there is no catalogue, or somebody else published one meanwhile.
        StoreUnreachable: the store does not answer.
    """
    path = dataset.catalogue_path
    if not path.is_file():
        raise NotPublished(f"{path} does not exist. Fix: `atlas run 'key:catalogue'`")
    try:
        found = store.read(CURRENT)
        tag, number = found.tag, Current.model_validate_json(found.content).number
    except KeyMissing:
        tag, number = None, 0
    sha256 = sha256_of(path)
    key = f"published/{sha256[:DIGITS]}/{path.name}"
    store.write_once(key, path)
    current = Current(
        catalogue=key,
        sha256=sha256,
        number=number + 1,
        published_at=datetime.now(UTC),
        published_by=socket.gethostname(),
    )
    try:
        store.replace(CURRENT, current.model_dump_json().encode(), tag)
    except Changed as error:
        raise NotPublished("another machine published a catalogue meanwhile. Fix: pull, build it, try again") from error
    return key

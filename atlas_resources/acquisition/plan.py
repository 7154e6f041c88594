"""Which of the wanted scans are plates already, and which are still to fetch. Opens no connection."""

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from atlas_resources.acquisition.store import item_of
from atlas_resources.acquisition.wanted import WantedScan
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.intake.index.rows import RowRefused

Need = Literal["there", "fetched", "to continue", "to fetch"]


@dataclass(frozen=True)
class Planned:
    """A wanted scan, and what is still to be done for it.

    Attributes:
        wanted: the scan.
        need: "there" if it is a plate; "fetched" if its file only has to be registered.
        plate_id: the plate that it is.
        note: what a person should know, one line; empty if nothing.
        part_bytes: how much of it is there.
        is_by_bytes: it is there because a plate from elsewhere has its bytes, which were fetched before.
    """

    wanted: WantedScan
    need: Need
    plate_id: str | None = None
    note: str = ""
    part_bytes: int = 0
    is_by_bytes: bool = False


@dataclass(frozen=True)
class _Registered:
    """The registered plates: by id, the addresses of each; the first by address and by digest."""

    addresses_of_id: dict[str, set[str | None]]
    id_of_address: dict[str, str]
    id_of_sha256: dict[str, str]


def plan_pull(dataset: Dataset, wanted: Iterable[WantedScan]) -> list[Planned]:
    """What is to be done for each scan. A scan is there if its address, its plate id or its bytes are a plate's.

    Raises:
        DatasetBroken: a plate's manifest or digest cannot be read.
    """
    registered = _read_registered(dataset)
    return [_plan_one(dataset, registered, one) for one in wanted]


def _read_registered(dataset: Dataset) -> _Registered:
    found = _Registered({}, {}, {})
    for plate in dataset.plates():
        manifest = plate.manifest()
        addresses = {manifest.origin.url if manifest.origin else None, manifest.download_url}
        found.addresses_of_id[plate.id] = addresses
        for address in addresses - {None}:
            found.id_of_address.setdefault(str(address), plate.id)
        found.id_of_sha256.setdefault(plate.source_sha256(), plate.id)
    return found


def _plan_one(dataset: Dataset, registered: _Registered, wanted: WantedScan) -> Planned:
    """A plate that the index names by id is there, also if it came from another address: an id never changes."""
    item = item_of(dataset, wanted)
    state = item.state()
    named = plate_id_of(wanted)
    plate_id = named if named in registered.addresses_of_id else registered.id_of_address.get(wanted.url)
    if plate_id is None and named is None and state is not None and state.sha256:
        same = registered.id_of_sha256.get(state.sha256)
        if same is not None:
            return Planned(wanted, "there", same, is_by_bytes=True)
    if plate_id is not None:
        is_of_address = wanted.url in registered.addresses_of_id[plate_id] or plate_id != named
        note = "" if is_of_address else "is registered, and not from this address. A source never changes"
        return Planned(wanted, "there", plate_id, note)
    if item.finished.exists():
        return Planned(wanted, "fetched")
    have = item.part_bytes()
    return Planned(wanted, "to continue" if have else "to fetch", part_bytes=have)


def plate_id_of(wanted: WantedScan) -> str | None:
    """The plate id that the index gives the scan's first page; None if it gives none, or none that is valid."""
    with suppress(RowRefused):
        return next((row.plate_id for row in wanted.rows if (row.page or 1) == 1), None)
    return None

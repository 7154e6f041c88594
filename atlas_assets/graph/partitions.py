"""The partitions of every plate asset: one per registered plate, or per shard of many, as `partitions.yaml` declares.

What runs are given is always plates. `Partitions` says which of Dagster's partitions they belong to.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from os.path import isfile
from pathlib import Path
from typing import Literal, Protocol

import dagster as dg
from pydantic import Field

from atlas_resources.files.contract import Contract
from atlas_resources.files.project import settings_path
from atlas_resources.files.yaml_files import require_yaml
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.shards.record import read_shards, record_plates

PLATES_NAME, SHARDS_NAME = "plates", "shards"
PLATES = dg.DynamicPartitionsDefinition(name=PLATES_NAME)
SHARDS = dg.DynamicPartitionsDefinition(name=SHARDS_NAME)
SETTINGS_NAME = "partitions.yaml"
MOST_ADVISED = 100_000
"""Partitions of an asset, by Dagster's documentation (1.13)."""
CHANGE = "atlas change-partitions"
"""The command that changes a dataset over."""


class PartitionsDiffer(ValueError):
    """Dagster has partitions of a dataset that are not those that the settings declare."""


class Partitions(Protocol):
    """What Dagster's partitions of one dataset are."""

    @property
    def name(self) -> str:
        """Under which Dagster knows them."""
        ...

    @property
    def definition(self) -> dg.DynamicPartitionsDefinition:
        """Dagster's definition, which all plate assets have."""
        ...

    @property
    def has_many(self) -> bool:
        """Whether a partition has several plates: its events then tell of all of them."""
        ...

    def keys_of(self, plate_ids: Iterable[str]) -> dict[str, str]:
        """The partition of each plate that has one, in the order of the plates."""
        ...

    def plates_of(self, keys: Iterable[str]) -> dict[str, list[str]]:
        """The plates of each partition, in order of arrival."""
        ...

    def assigned(self, plate_ids: Sequence[str]) -> dict[str, str]:
        """As `keys_of`, once every plate has a partition. Plates get theirs in this order, and keep it."""
        ...

    def version_of(self, versions: Mapping[str, str]) -> str:
        """The data version of a partition, from those of its plates by id."""
        ...


@dataclass(frozen=True)
class ByPlate:
    """A partition for each plate: the plate's id is the partition's key."""

    name = PLATES_NAME
    definition = PLATES
    has_many = False

    def keys_of(self, plate_ids: Iterable[str]) -> dict[str, str]:
        """Each plate is its own."""
        return {plate_id: plate_id for plate_id in plate_ids}

    def plates_of(self, keys: Iterable[str]) -> dict[str, list[str]]:
        """Each key is that of one plate, which may have been deleted."""
        return {key: [key] for key in keys}

    def assigned(self, plate_ids: Sequence[str]) -> dict[str, str]:
        """Each plate is its own."""
        return self.keys_of(plate_ids)

    def version_of(self, versions: Mapping[str, str]) -> str:
        """The plate's own version."""
        (version,) = versions.values()
        return version


@dataclass(frozen=True)
class ByShard:
    """A partition for each shard of a dataset.

    Attributes:
        dataset: whose record of shards it is.
        plates_per_shard: a shard with as many is full.
    """

    dataset: Dataset
    plates_per_shard: int
    name = SHARDS_NAME
    definition = SHARDS
    has_many = True

    def keys_of(self, plate_ids: Iterable[str]) -> dict[str, str]:
        """The shards of plates, as recorded. Raises DatasetBroken."""
        of_plate = read_shards(self.dataset.root).of_plate
        return {plate_id: of_plate[plate_id] for plate_id in plate_ids if plate_id in of_plate}

    def plates_of(self, keys: Iterable[str]) -> dict[str, list[str]]:
        """The registered plates of shards; plates that were deleted are left out. Raises DatasetBroken."""
        recorded, folder = read_shards(self.dataset.root).plates, self.dataset.plates_dir
        return {key: [one for one in recorded.get(key, ()) if isfile(f"{folder}/{one}/manifest.json")] for key in keys}

    def assigned(self, plate_ids: Sequence[str]) -> dict[str, str]:
        """Records the shard of each plate that has none. Raises DatasetBroken."""
        record_plates(self.dataset, plate_ids, self.plates_per_shard)
        return self.keys_of(plate_ids)

    def version_of(self, versions: Mapping[str, str]) -> str:
        """The number of plates, and a digest of their versions."""
        lines = "\n".join(f"{plate_id} {version}" for plate_id, version in sorted(versions.items()))
        return f"{len(versions)}-{hashlib.sha256(lines.encode()).hexdigest()[:16]}"


BY_PLATE = ByPlate()


def count_in(version: str) -> int | None:
    """How many plates a shard's data version is of; None for a version of another form."""
    count = version.partition("-")[0]
    return int(count) if count.isdecimal() else None


class Partitioning(Contract):
    """`partitions.yaml`.

    Attributes:
        partitions: what a partition is.
        plates_per_shard: a shard with as many plates is full.
    """

    partitions: Literal["plates", "shards"] = "plates"
    plates_per_shard: int = Field(default=1000, gt=0)

    @property
    def definition(self) -> dg.DynamicPartitionsDefinition:
        """Dagster's definition, which all plate assets have."""
        return SHARDS if self.partitions == SHARDS_NAME else PLATES

    def of(self, dataset: Dataset) -> Partitions:
        """The partitions of a dataset."""
        return ByShard(dataset, self.plates_per_shard) if self.partitions == SHARDS_NAME else BY_PLATE

    def partitions_per_run(self, plates: int) -> int:
        """How many partitions have about as many plates as a run should make, and at least one."""
        return max(1, plates // self.plates_per_shard) if self.partitions == SHARDS_NAME else plates


ORDINARY = Partitioning()
"""A partition for each plate."""


def read_partitioning(path: Path | None = None) -> Partitioning:
    """The settings; by default the project's own file, else the packaged one.

    Raises:
        ValueError: names file, field, expected and found.
    """
    return require_yaml(path or settings_path(SETTINGS_NAME), Partitioning)


def other_partitions(instance: dg.DagsterInstance, name: str) -> str | None:
    """The name of the other kind of partitions than the named, if Dagster has any of them."""
    other = SHARDS_NAME if name == PLATES_NAME else PLATES_NAME
    return other if instance.get_paginated_dynamic_partitions(other, limit=1, ascending=True).results else None


def require_declared(instance: dg.DagsterInstance, partitions: Partitions) -> None:
    """Raises PartitionsDiffer if Dagster has partitions of the other kind."""
    name = partitions.name
    if other := other_partitions(instance, name):
        raise PartitionsDiffer(
            f"{settings_path(SETTINGS_NAME)}: expected `partitions: {other}`, which Dagster has of this dataset, found "
            f"{name}. Fix: `{CHANGE}` changes the dataset over to {name}; or put {other} into the file; after either, "
            "reload the code location"
        )


def missing_partitions(
    instance: dg.DagsterInstance, dataset: Dataset, partitions: Partitions | None = None
) -> list[str]:
    """Registered plates of which Dagster knows no partition yet, in order of registration.

    Args:
        instance: where the partitions are.
        dataset: the dataset.
        partitions: its partitions; by default as the settings declare.

    Raises:
        PartitionsDiffer: Dagster has partitions of the other kind.
    """
    partitions = partitions or read_partitioning().of(dataset)
    require_declared(instance, partitions)
    known, plate_ids = known_partitions(instance, partitions), dataset.plate_ids()
    keys, of_dagster = partitions.keys_of(plate_ids), set(known)
    return [plate_id for plate_id in plate_ids if keys.get(plate_id) not in of_dagster]


def why_shards(partitions: Partitions, plate_count: int) -> str:
    """Advice if there are more partitions than Dagster is made for; empty otherwise."""
    if partitions.has_many or plate_count <= MOST_ADVISED:
        return ""
    return (
        f"{plate_count:,} plates have a partition each, and Dagster advises at most {MOST_ADVISED:,}. Fix: put "
        f"`partitions: shards` into {SETTINGS_NAME}, then call `{CHANGE}`"
    )


def known_partitions(instance: dg.DagsterInstance, partitions: Partitions) -> Sequence[str]:
    """The keys that Dagster knows, in order of addition."""
    return instance.get_dynamic_partitions(partitions.name)


def known_plates(instance: dg.DagsterInstance, partitions: Partitions) -> list[str]:
    """The plates of all partitions that Dagster knows."""
    found = partitions.plates_of(known_partitions(instance, partitions))
    return [plate_id for plate_ids in found.values() for plate_id in plate_ids]


def add_missing_partitions(
    instance: dg.DagsterInstance, dataset: Dataset, partitions: Partitions | None = None
) -> list[str]:
    """Tells Dagster of every registered plate; returns the new plates. Arguments and errors as `missing_partitions`."""
    partitions = partitions or read_partitioning().of(dataset)
    missing = missing_partitions(instance, dataset, partitions)
    if missing:
        instance.add_dynamic_partitions(partitions.name, new_partitions(instance, partitions, missing))
    return missing


def new_partitions(instance: dg.DagsterInstance, partitions: Partitions, plate_ids: Sequence[str]) -> list[str]:
    """The partitions of plates that Dagster does not know. Plates without a partition get one."""
    known = set(known_partitions(instance, partitions))
    return [key for key in dict.fromkeys(partitions.assigned(plate_ids).values()) if key not in known]

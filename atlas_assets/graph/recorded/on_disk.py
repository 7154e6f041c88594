"""What the disk has of each plate asset, with the versions and the metadata that an event of it states."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from atlas_assets.graph._metadata import dagster_metadata
from atlas_assets.graph.groundwork import HISTOGRAMS_KEY, INPUT_IMAGE_KEY, groundwork_metadata
from atlas_assets.graph.instruments import asset_key
from atlas_assets.graph.partitions import Partitions
from atlas_assets.graph.plate_step.events import data_version
from atlas_assets.graph.plate_step.partition import SAMPLES, shown_of_many
from atlas_assets.graph.plates import MANIFEST_CODE_VERSION, MANIFEST_KEY, manifest_metadata
from atlas_assets.ui.instrument import result_metadata
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.completeness.reading import read_completeness
from atlas_resources.ledgers.completeness.states import AssetStates, Result
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import read_groundwork
from atlas_resources.runs.sealed import read_manifest

RECORDED = "as found on disk, by atlas repair-events; no run has checked it since"
SEVERAL_VERSIONS = "several versions"
"""The code version of a shard whose plates were made by several: the UI shows it as stale."""
UNREADABLE = (OSError, ValueError, LookupError)


@dataclass(frozen=True)
class Version:
    """The versions of one plate's result.

    Attributes:
        data: the data version.
        code: the code version.
        run_id: the sealed run; None for manifests and the groundwork.
    """

    data: str
    code: str
    run_id: str | None = None


@dataclass(frozen=True)
class AssetOnDisk:
    """What the disk has of one asset.

    Attributes:
        key: the asset.
        upstream: the assets that it reads.
        versions: the newest complete result of each plate that has one, also one of an earlier version or source.
        unreadable: plates whose own files cannot be read: nothing is known of them.
        withdrawn: plates of which nothing is made.
    """

    key: dg.AssetKey
    upstream: Sequence[dg.AssetKey]
    versions: Mapping[str, Version]
    unreadable: frozenset[str]
    withdrawn: frozenset[str] = frozenset()

    def metadata(self, dataset: Dataset, plate_ids: Sequence[str], *, is_of_many: bool) -> Mapping[str, Any]:
        """What the UI shows of a partition's results, as when they were made, and that this is from the disk.

        Args:
            dataset: the dataset.
            plate_ids: the partition's plates that have a result.
            is_of_many: whether a partition has several.
        """
        samples = [(plate_id, [self._shown(dataset, plate_id)]) for plate_id in plate_ids[:SAMPLES]]
        (shown,) = shown_of_many({"plates": len(plate_ids)}, samples) if is_of_many else samples[0][1]
        return dagster_metadata({**shown, "recorded": RECORDED})

    def version_of(self, plate_ids: Sequence[str], partitions: Partitions) -> Version | None:
        """The version of a partition's results; None while one of its plates that is not withdrawn has none."""
        of_plates = {one: self.versions.get(one) for one in plate_ids if one not in self.withdrawn}
        found = {plate_id: version for plate_id, version in of_plates.items() if version}
        if not found or len(found) < len(of_plates):
            return None
        codes = {version.code for version in found.values()}
        data = partitions.version_of({plate_id: version.data for plate_id, version in found.items()})
        return Version(data, codes.pop() if len(codes) == 1 else SEVERAL_VERSIONS)

    def _shown(self, dataset: Dataset, plate_id: str) -> Mapping[str, Any]:
        plate, version = dataset.plate(plate_id), self.versions[plate_id]
        try:
            if version.run_id:
                return result_metadata(plate, read_manifest(plate, version.run_id), is_reused=True)
            if self.key == MANIFEST_KEY:
                return manifest_metadata(plate, version.data)
            made = read_groundwork(plate)
            return {} if made is None else groundwork_metadata(plate, made)[self.key]
        except UNREADABLE as error:
            return {"unreadable": f"{type(error).__name__}: {error}"}


def read_on_disk(dataset: Dataset, registry: Registry) -> list[AssetOnDisk]:
    """Manifests, then the groundwork, then every admitted instrument after the one that it reads."""
    return [_manifests(dataset), *_of_states(read_completeness(dataset, registry.instruments.values()))]


def _manifests(dataset: Dataset) -> AssetOnDisk:
    versions, unreadable = {}, set()
    for plate in dataset.plates():
        try:
            plate.manifest()
            versions[plate.id] = Version(plate.source_sha256(), MANIFEST_CODE_VERSION)
        except UNREADABLE:
            unreadable.add(plate.id)
    return AssetOnDisk(MANIFEST_KEY, (), versions, frozenset(unreadable))


def _of_states(found: Sequence[AssetStates]) -> Iterator[AssetOnDisk]:
    for states in found:
        unreadable = frozenset(plate.plate_id for plate in states.plates if plate.is_broken)
        withdrawn = frozenset(plate.plate_id for plate in states.plates if plate.state == "withdrawn")
        results = {plate.plate_id: plate.result for plate in states.plates if plate.result}
        instrument = states.instrument
        if instrument is None:
            versions = {plate_id: _version(result, result.version) for plate_id, result in results.items()}
            for key in (INPUT_IMAGE_KEY, HISTOGRAMS_KEY):
                yield AssetOnDisk(key, [MANIFEST_KEY], versions, unreadable, withdrawn)
        else:
            versions = {plate_id: _version(result, result.version[:16]) for plate_id, result in results.items()}
            upstream = [asset_key(one) for one in instrument.reads] or [MANIFEST_KEY]
            yield AssetOnDisk(asset_key(instrument), upstream, versions, unreadable, withdrawn)


def _version(result: Result, version: str) -> Version:
    return Version(data_version(version, result.source_sha256), result.version, result.run_id)

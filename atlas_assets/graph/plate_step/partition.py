"""What a step knows of one of its partitions: how its plates ended, what the disk has of the others, what the UI shows.

For a partition that is one plate this is the plate's own result.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from atlas_assets.graph.partitions import BY_PLATE, Partitions
from atlas_assets.ui.metadata import Markdown, markdown_list
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.ledgers.completeness.reading import read_states
from atlas_resources.ledgers.completeness.states import MOST_ATTEMPTS, Result
from atlas_resources.plates.dataset import Dataset

SAMPLES = 3
"""Plates of a shard whose pictures the UI shows. Dagster stores them with each event."""
NAMED = 20
"""Plates that failed before, which the UI shows of a shard that is not done."""

Metadata = Sequence[Mapping[str, Any]]
"""What the UI shows of a plate, for each asset of the step in turn."""


@dataclass(frozen=True)
class PlateResult:
    """How one plate ended.

    Attributes:
        plate_id: the plate.
        status: `reused` if it was done already; `withdrawn` if it is withdrawn, so that nothing is made of it.
        reason: why it failed or is not made, in one line.
        failed_before: how often the plate had failed, of a plate that is made now.
        data_version: of what was made.
        metadata: makes what the UI shows, for each asset of the step in turn. Called for plates that are shown.
        findings: what the check `sound` finds wrong, a line each; evaluated once the plate is materialised.
    """

    plate_id: str
    status: Literal["complete", "reused", "failed", "withdrawn"]
    reason: str = ""
    failed_before: int = 0
    data_version: str = ""
    metadata: Callable[[], Metadata] = tuple
    findings: Iterable[str] = ()


@dataclass(frozen=True)
class OnDisk:
    """What the disk has of plates that a step was not asked for.

    Attributes:
        versions: the data version of each plate that is done.
        withdrawn: plates of which nothing is made.
        failed: why each plate failed that is not done.
    """

    versions: Mapping[str, str] = field(default_factory=dict)
    withdrawn: Collection[str] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


ReadOthers = Callable[[Sequence[str]], OnDisk]


def read_measured(
    dataset: Dataset, instrument: Instrument | None, version_of: Callable[[Result], str]
) -> Callable[[Sequence[str]], OnDisk]:
    """Reads what the disk has of plates with an instrument, or with the groundwork if it is None."""

    def read(plate_ids: Sequence[str]) -> OnDisk:
        instruments = [instrument] if instrument else []
        states = read_states(dataset, instruments, MOST_ATTEMPTS, plate_ids)[-1].plates
        done = {one.plate_id: version_of(one.result) for one in states if one.state == "done" and one.result}
        failed = {one.plate_id: one.reason for one in states if one.state in ("failed", "refused")}
        return OnDisk(done, {one.plate_id for one in states if one.state == "withdrawn"}, failed)

    return read


@dataclass
class Part:
    """One partition of a step.

    Attributes:
        key: the partition.
        plate_ids: all of its plates.
        asked: those that the step was asked for.
        results: how they ended so far.
    """

    key: str
    plate_ids: Sequence[str]
    asked: Collection[str]
    results: dict[str, PlateResult] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether every plate that was asked for has ended."""
        return len(self.results) == len(self.asked)

    @property
    def made(self) -> list[PlateResult]:
        """What is done, whether this step made it or found it."""
        return [one for one in self.results.values() if one.status in ("complete", "reused")]

    @property
    def has_failed(self) -> bool:
        """Whether a plate failed."""
        return any(one.status == "failed" for one in self.results.values())

    def others(self) -> list[str]:
        """The plates that the step was not asked for."""
        return [plate_id for plate_id in self.plate_ids if plate_id not in self.asked]


class Parts:
    """The partitions of a step's plates."""

    def __init__(
        self, plate_ids: Sequence[str], partitions: Partitions = BY_PLATE, read_others: ReadOthers | None = None
    ):
        """Finds the partition of each plate.

        Args:
            plate_ids: the plates that the step is asked for. One without a partition has no events.
            partitions: what a partition is.
            read_others: reads the other plates of their partitions, where a partition has several.
        """
        self.partitions = partitions
        self.key_of = partitions.keys_of(plate_ids)
        self._read_others = read_others
        asked: dict[str, dict[str, None]] = {}
        for plate_id, key in self.key_of.items():
            asked.setdefault(key, {})[plate_id] = None
        all_plates = partitions.plates_of(asked)
        self._parts = {key: Part(key, all_plates[key], plates) for key, plates in asked.items()}

    @property
    def keys(self) -> list[str]:
        """The partitions, in the order of the step's plates."""
        return list(self._parts)

    def ended(self, result: PlateResult) -> Iterator[Part]:
        """Takes a plate's result. Yields its partition once the last of its plates has ended, and forgets it."""
        part = self._parts.get(self.key_of.get(result.plate_id, ""))
        if part is not None:
            part.results[result.plate_id] = result
            if part.is_over:
                del self._parts[part.key]
                yield part

    def others(self, part: Part) -> OnDisk:
        """What the disk has of a partition's other plates."""
        others = part.others()
        return self._read_others(others) if others and self._read_others else OnDisk()


@dataclass(frozen=True)
class Whole:
    """A partition that has ended, with what the disk has of its other plates.

    Attributes:
        part: the partition.
        on_disk: its other plates.
        partitions: what a partition is.
    """

    part: Part
    on_disk: OnDisk
    partitions: Partitions

    @property
    def versions(self) -> dict[str, str]:
        """The data version of each plate that is done."""
        return {**{one.plate_id: one.data_version for one in self.part.made}, **self.on_disk.versions}

    @property
    def not_done(self) -> list[str]:
        """The plates that are neither done nor withdrawn."""
        versions, results = self.versions, self.part.results
        left_out = {*self.on_disk.withdrawn, *(one for one, result in results.items() if result.status == "withdrawn")}
        return [one for one in (*self.part.asked, *self.part.others()) if one not in versions and one not in left_out]

    @property
    def is_done(self) -> bool:
        """Whether the step has made or found something, and nothing is left to make."""
        return bool(self.part.made) and not self.not_done

    @property
    def data_version(self) -> str:
        """Of the partition."""
        return self.partitions.version_of(self.versions)

    def metadata(self) -> Metadata:
        """What the UI shows: of a plate its own, of several their number and the pictures of the first."""
        made = self.part.made
        if not self.partitions.has_many:
            before = {"failed_before": made[0].failed_before} if made[0].failed_before else {}
            return [{**metadata, **before} for metadata in made[0].metadata()]
        new = sum(one.status == "complete" for one in made)
        counts = {
            "plates": len(self.versions),
            "made": new,
            "reused": len(made) - new,
            "done_before": len(self.on_disk.versions),
            "withdrawn": len(self.part.asked) + len(self.part.others()) - len(self.versions),
        }
        samples = [(one.plate_id, one.metadata()) for one in made[:SAMPLES]]
        return shown_of_many(counts, samples)

    def progress(self) -> dict[str, Any]:
        """What the UI shows of a partition that is not done yet."""
        failed = [f"{plate_id}: {reason}" for plate_id, reason in self.on_disk.failed.items()]
        shown = {"done": len(self.versions), "not_done": len(self.not_done), "failed_before": len(failed)}
        return {**shown, "failures": Markdown(markdown_list(failed[:NAMED]))} if failed else shown


def shown_of_many(counts: Mapping[str, int], samples: Sequence[tuple[str, Metadata]]) -> Metadata:
    """What the UI shows of several plates, for each asset in turn: numbers, and the pictures of some plates.

    Args:
        counts: the numbers.
        samples: plates, each with what its own events would show; at least one.
    """
    number_of_assets = len(samples[0][1])
    return [
        {**counts, **_pictures([(plate_id, metadata[at]) for plate_id, metadata in samples])}
        for at in range(number_of_assets)
    ]


def _pictures(samples: Iterable[tuple[str, Mapping[str, Any]]]) -> dict[str, Markdown]:
    """The small picture of the first plate, which the UI shows inline, and those of all, which are behind a link."""
    found = [(plate_id, shown["glance"].text) for plate_id, shown in samples if "glance" in shown]
    text = "\n\n".join(f"{plate_id} {picture}" for plate_id, picture in found)
    return {"glance": Markdown(found[0][1]), "samples": Markdown(text)} if found else {}

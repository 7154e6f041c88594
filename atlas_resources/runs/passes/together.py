"""The pass: each plate is decoded once, prepared for every member, and measured and sealed by each on its own."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from typing import Any

from atlas_resources.files.read_ahead import THREADS, ahead
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.passes.job import Member, MemberEnded, PlateEnded, PlateOutcome, Sealed
from atlas_resources.runs.passes.lane import Lane, Prepared
from atlas_resources.runs.passes.shared_source import decoded_once
from atlas_resources.watching.starting import watching
from atlas_resources.watching.watch import Queue, Watch, Watched

Event = PlateEnded | MemberEnded


def measure_together(
    dataset: Dataset, members: Sequence[tuple[Member[Any], Sequence[str]]]
) -> Generator[Event, None, None]:
    """Measures each plate for every member that has not done it; yields each outcome as soon as it is sealed.

    A member fails alone: what its loading, measuring, sealing or reporting raises ends it, and the others go on. Plates
    that another run holds come last, one by one, so that a run that waits for a plate holds no other. So do plates that
    a process died with: if one of them kills this process too, the others are done or not begun.

    Memory: a plate's decoded pixels are freed once every member has prepared from them. Prepared inputs are kept for at
    most as many plates of each member as in a pass of its own.

    Args:
        dataset: where the plates are.
        members: instruments that read pixels, and the groundwork, each with the ids of its plates. Keys differ.

    Yields:
        A PlateEnded for each member and each of its plates, and after them one MemberEnded for each member. A member
        that an error ended has no outcome for the plates that it had not sealed.
    """
    sharing = [_Sharing(member, list(dict.fromkeys(plate_ids))) for member, plate_ids in members]
    with (
        watching([Watched(member.key, member.version) for member, _ in members]) as watch,
        closing(_measure(dataset, sharing, watch)) as events,
    ):
        for event in events:
            if isinstance(event, PlateEnded):
                found = event.outcome.seconds
                watch.plate_ended(event.key, event.outcome.status, found and found.model_dump())
            yield event


def _measure(dataset: Dataset, sharing: Sequence["_Sharing"], watch: Watch) -> Generator[Event, None, None]:
    with ExitStack() as closed_at_the_end:
        for one in sharing:
            closed_at_the_end.callback(one.close)
        for one in sharing:
            yield from one.settle()
        for one in sharing:
            yield from one.open(dataset)
        measuring = _Pass([one for one in sharing if one.lane is not None])
        watch.ask_queues(measuring.queues)
        yield from measuring.events()
        for one in sharing:
            yield from one.conclude()


def measure_alone(dataset: Dataset, member: Member[Sealed], plate_ids: Sequence[str]) -> Iterator[PlateOutcome[Sealed]]:
    """A pass of one member: yields its outcomes, and raises what ends it."""
    for event in measure_together(dataset, [(member, plate_ids)]):
        if isinstance(event, PlateEnded):
            yield event.outcome
        elif event.error is not None:
            raise event.error


@dataclass
class _Sharing:
    """A member, what its plates have come to so far, and its lane while it measures.

    Attributes:
        member: the member.
        plate_ids: all plates that were asked for, each once.
        missing: the plates to measure.
    """

    member: Member[Any]
    plate_ids: list[str]
    missing: set[str] = field(default_factory=set)
    _outcomes: list[PlateOutcome[Any]] = field(default_factory=list)
    _resources: ExitStack = field(default_factory=ExitStack)
    _lane: Lane[Any] | None = None
    _is_over: bool = False

    @property
    def lane(self) -> Lane[Any] | None:
        """Where its plates are prepared and measured; None before it is open, and after it has ended."""
        return None if self._is_over else self._lane

    def settle(self) -> Iterator[Event]:
        """The plates that need not be measured."""
        yield from self.guarded(self.member.settled(self.plate_ids))
        settled = {outcome.plate_id for outcome in self._outcomes}
        self.missing = {plate_id for plate_id in self.plate_ids if plate_id not in settled}
        if not self.missing and not self._is_over:
            yield self._end(None)

    def open(self, dataset: Dataset) -> Iterator[Event]:
        """Loads what the member needs, unless every plate is settled."""
        if self._is_over:
            return
        member = self.member
        try:
            job = self._resources.enter_context(member.opened(self.plate_ids))
        except Exception as error:  # noqa: BLE001 - reported as what ended this member
            yield self._end(error)
        else:
            at_once, is_forced = member.plates_at_once, member.is_forced
            self._lane = Lane(dataset, job, member.timings, plates_at_once=at_once, is_forced=is_forced)

    def guarded(self, outcomes: Iterator[PlateOutcome[Any]]) -> Iterator[Event]:
        """The outcomes as events. An error on the way ends the member."""
        try:
            for outcome in outcomes:
                self._outcomes.append(outcome)
                yield PlateEnded(self.member.key, outcome)
        except Exception as error:  # noqa: BLE001 - reported as what ended this member
            yield self._end(error)

    def conclude(self) -> Iterator[Event]:
        """Reports how the member ended."""
        if self.lane is None:
            return
        try:
            self.lane.job.conclude(self._outcomes)
        except Exception as error:  # noqa: BLE001 - reported as what ended this member
            yield self._end(error)
        else:
            yield self._end(None)

    def close(self) -> None:
        """Releases its plates and closes its run. At the end of the pass again: a thread may have claimed one since."""
        if self._lane is not None:
            self._lane.release()
        self._resources.close()

    def _end(self, error: Exception | None) -> MemberEnded:
        self._is_over = True
        try:
            self.close()
        except Exception as caught:  # noqa: BLE001 - reported as what ended this member
            error = error or caught
        return MemberEnded(self.member.key, error)


class _Pass:
    """The loop over plates, for members that are open."""

    def __init__(self, sharing: Sequence[_Sharing]):
        self._sharing = sharing
        self._limit = self._depth
        self._prepared: deque[str] = deque()  # appended to on threads, which a deque allows

    def queues(self) -> Iterator[Queue]:
        """What waits now. Any thread may ask."""
        yield Queue("prepared", "", len(self._prepared), self._limit)
        for one in self._sharing:
            if (lane := one.lane) is not None:
                yield Queue("batch", one.member.key, lane.waiting_count, lane.plates_at_once)

    def events(self) -> Iterator[Event]:
        """Each member's outcome of each of its plates, and the end of members that an error ends."""
        missing = set().union(*(one.missing for one in self._sharing))
        asked = dict.fromkeys(plate_id for one in self._sharing for plate_id in one.plate_ids)
        wanted = [plate_id for plate_id in asked if plate_id in missing]
        last: list[tuple[_Sharing, str]] = []
        with closing(ahead(self._prepare, wanted, self._limit)) as plates:
            for plate in plates:
                self._prepared.popleft()
                last += [(one, prepared.plate_id) for one, prepared in plate if prepared.is_put_off]
                for one, prepared in plate:
                    if one.lane is not None and not prepared.is_put_off:
                        yield from one.guarded(one.lane.add(prepared))
        for one in self._sharing:
            if one.lane is not None:
                yield from one.guarded(one.lane.flush())
        for one, plate_id in last:
            if one.lane is not None:
                claimed = one.lane.claim(plate_id, wait=True)
                yield from one.guarded(_finish(one.lane, one.lane.prepare(claimed)))

    @property
    def _depth(self) -> int:
        """How many plates are begun and not yet taken.

        Plates differ in size: with less than two for each thread, one large plate would leave the other thread idle.
        Of several members the least counts: none then keeps more inputs than it would alone.
        """
        sizes = [one.lane.plates_at_once for one in self._sharing if one.lane is not None]
        return max(min(sizes, default=1) + THREADS, 2 * THREADS)

    def _prepare(self, plate_id: str) -> list[tuple[_Sharing, Prepared]]:
        """Claims a plate for each member that misses it, then prepares it for those that can measure it now."""
        lanes = [(one, one.lane) for one in self._sharing if plate_id in one.missing]
        claimed = [(one, lane, lane.claim(plate_id)) for one, lane in lanes if lane is not None]
        with decoded_once(readers=max(1, sum(plate.is_wanted for _, _, plate in claimed))):
            prepared = [(one, lane.prepare(plate)) for one, lane, plate in claimed]
        self._prepared.append(plate_id)
        return prepared


def _finish(lane: Lane[Any], prepared: Prepared) -> Iterator[PlateOutcome[Any]]:
    yield from lane.add(prepared)
    yield from lane.flush()

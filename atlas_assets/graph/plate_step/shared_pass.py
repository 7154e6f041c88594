"""One decode of each plate for the steps of a run: the first that reads pixels measures for the others too.

The other steps then find their plates done, and yield their events. What becomes of one asset's plates therefore still
decides its own step only. How plates are measured together belongs in `runs.passes`.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import dagster as dg

from atlas_assets.graph.partitions import BY_PLATE, Partitions
from atlas_assets.graph.plate_step.step import PlateRun
from atlas_assets.roles.works import build_work
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.models.devices import DeviceUnavailable, free_bytes_on_device
from atlas_resources.models.memory import weights_bytes
from atlas_resources.models.weights import has_weights
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import InstrumentResource, build_instrument_resource
from atlas_resources.runs.execution import InstrumentRun
from atlas_resources.runs.passes.job import Member, MemberEnded, PlateOutcome, Sealed
from atlas_resources.runs.passes.together import measure_together
from atlas_resources.tables.results import asset_name

GROUNDWORK_OP = "groundwork"
FIRST_OF_RUN = {"dagster/priority": "1"}
"""The tag of the step that begins before the others of a run that could: one without weights, so that it can lead."""

LEAST_PLATES_PER_RUN = 100
"""An instrument that declares fewer takes so long for a plate that it would hold up the others, and gains little."""

MEMORY_SHARE = 0.5
"""Of the free memory, how much the weights of all models of a pass may take; the rest is for what they compute."""


def sharing_instruments(instruments: Iterable[Instrument]) -> list[Instrument]:
    """The instruments that can run here and that gain by a shared decode.

    They read a plate's pixels and no other instrument's results. Those that are asked questions, or are served, take
    many times the decode for each plate.
    """
    return [
        one
        for one in instruments
        if not one.reads
        and one.spec.served is None
        and not LOADERS[one.spec.loader or ""].is_asked
        and one.spec.max_partitions_per_run >= LEAST_PLATES_PER_RUN
        and has_weights(one)
    ]


def shares_with(instrument: Instrument | None, sharing: Sequence[Instrument]) -> list[Instrument]:
    """The instruments that may use the decodes of this one's step, or of the groundwork's: those of the same device.

    Args:
        instrument: the instrument, which may be among them; None for the groundwork.
        sharing: what `sharing_instruments` found.
    """
    if instrument is None:
        return [one for one in sharing if not one.is_gpu]
    return [one for one in sharing if _device_of(one) == _device_of(instrument)] if instrument in sharing else []


def _device_of(instrument: Instrument) -> tuple[str, int | None] | None:
    numeric = instrument.spec.numeric
    return numeric and (numeric.device, numeric.device_index)


@dataclass(frozen=True)
class Companion:
    """Another step of the run, for whose instrument this one measures.

    Attributes:
        instrument: the instrument.
        plate_ids: what its step is asked for.
        is_forced: whether its step measures done plates again.
    """

    instrument: Instrument
    plate_ids: Sequence[str]
    is_forced: bool


class SharedPass:
    """The pass of one step, and of the other steps of its run that could use the same decodes."""

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        dataset: Dataset,
        sharing: Sequence[Instrument],
        partitions: Partitions = BY_PLATE,
    ):
        """Measures for no other step if another one has begun, or if this one is tried again.

        One of those that share a process may have ended it, as when memory ran out. Tried again, the step is alone.

        Args:
            context: the step's.
            dataset: where the plates are.
            sharing: what `sharing_instruments` found; only those of the step's kind of device may share with it.
            partitions: what Dagster's partitions are.
        """
        self._context = context
        self._partitions = partitions
        self._dataset = dataset
        self._sharing = {_key_of(one): one for one in sharing}

    def outcomes(
        self, member: Member[Sealed], plate_ids: Sequence[str], instrument: Instrument | None = None
    ) -> Iterator[PlateOutcome[Sealed]]:
        """The outcomes of the step's own member, as they end. Raises what ends it; the other steps then do their own.

        Args:
            member: the step's own.
            plate_ids: the step's plates.
            instrument: the step's own; None for the groundwork.
        """
        companions, resources = self._companions(instrument), list[InstrumentResource]()
        asked: list[tuple[Member[Any], Sequence[str]]] = [(member, plate_ids)]
        for one in companions:
            resources.append(build_instrument_resource(one.instrument))
            asked.append((self._run_of(one, resources[-1]), one.plate_ids))
        if companions:
            names = ", ".join(one.instrument.key for one in companions)
            self._context.log.info(f"decoding each plate once for this step and, ahead of their own, for {names}")
        ends = _Ends()
        try:
            with closing(measure_together(self._dataset, asked)) as events:
                for event in events:
                    if event.key != member.key:
                        ends.add(event, self._context)
                    elif not isinstance(event, MemberEnded):
                        yield event.outcome
                    elif event.error is not None:
                        raise event.error
        finally:
            asked.clear()  # it refers to the models
            for resource in resources:
                resource.release()

    def _run_of(self, one: Companion, resource: InstrumentResource) -> InstrumentRun:
        return InstrumentRun(
            self._dataset,
            one.instrument,
            build_work(one.instrument, lambda: resource.load(one.instrument)),
            is_forced=one.is_forced,
            dagster_run_id=self._context.run.run_id,
            log=self._context.log,
        )

    def _companions(self, own: Instrument | None) -> list[Companion]:
        """The other steps of the run to measure for."""
        selected = self._context.job_def.asset_layer.selected_asset_keys
        steps = self._context.run.step_keys_to_execute
        others = [
            one
            for key, one in self._sharing.items()
            if key in selected and (steps is None or key.to_python_identifier() in steps) and one != own
        ]
        if not others or self._context.retry_number or self._has_another_begun():
            return []
        asked = [self._asked_of(one) for one in others]
        return _within_memory(own, [one for one in asked if one is not None])

    def _has_another_begun(self) -> bool:
        """Whether another step of the run that may share has begun, and so has led already or is under way."""
        own = self._context.get_step_execution_context().step.key
        leads = set() if any(one.is_gpu for one in self._sharing.values()) else {GROUNDWORK_OP}
        names = {*leads, *(key.to_python_identifier() for key in self._sharing)} - {own}
        return bool(self._context.instance.get_run_step_stats(self._context.run.run_id, sorted(names)))

    def _asked_of(self, one: Instrument) -> Companion | None:
        """What the run asks of an instrument's step; None if that step hashes weights again, and so needs itself."""
        ops: Any = self._context.run.run_config.get("ops") or {}
        config = PlateRun(**(ops.get(_key_of(one).to_python_identifier()) or {}).get("config", {}))
        plate_ids = config.plate_ids(self._context, self._partitions)
        return None if config.paranoid else Companion(one, plate_ids, config.force)


class _Ends:
    """Counts how the plates of companions end, and logs each companion's end."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}

    def add(self, event: Any, context: dg.AssetExecutionContext) -> None:
        counts = self._counts.setdefault(event.key, Counter())
        if not isinstance(event, MemberEnded):
            counts[event.outcome.status] += 1
            return
        found = ", ".join(f"{number} {status}" for status, number in counts.items()) or "no plate measured"
        if event.error is None:
            context.log.info(f"{event.key}: {found}; its own step reports them")
        else:
            why = f"{type(event.error).__name__}: {event.error}"
            context.log.warning(f"{event.key}: {found}; the rest is left to its own step: {why}")


def _key_of(instrument: Instrument) -> dg.AssetKey:
    return dg.AssetKey(asset_name(instrument.spec).split("/"))


def _within_memory(own: Instrument | None, companions: Sequence[Companion]) -> list[Companion]:
    """Those of the companions whose weights fit into memory together with the step's own, in order."""
    if not companions:
        return []
    try:
        room = MEMORY_SHARE * free_bytes_on_device((own or companions[0].instrument).spec)
    except DeviceUnavailable:  # the step's own instrument is about to say so
        return []
    room -= weights_bytes(own.spec) if own else 0
    kept = []
    for one in companions:
        size = weights_bytes(one.instrument.spec)
        if size <= room:
            kept.append(one)
            room -= size
    return kept

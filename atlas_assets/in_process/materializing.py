"""Materialising assets: each layer of the graph is a run, and a bar of progress."""

import logging
import platform
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import dagster as dg
from rich.console import Console
from rich.progress import Progress

from atlas_assets.automation.selections import expand
from atlas_assets.automation.standings import read_standings
from atlas_assets.automation.work_lists import WorkList, run_config_of, tags_of
from atlas_assets.definitions import build_definitions
from atlas_assets.graph.comparisons.assets import comparison_keys
from atlas_assets.graph.dagster_internals import (
    MAX_RETRIES_TAG,
    BaseAssetGraph,
    DagsterInvalidAssetSelectionError,
    StepFailureData,
)
from atlas_assets.graph.groundwork import KEYS
from atlas_assets.graph.instruments import asset_key
from atlas_assets.graph.ledgers import LEDGER_KEYS, told_by_ledgers
from atlas_assets.graph.partitions import Partitions, add_missing_partitions, known_plates, read_partitioning
from atlas_assets.graph.plate_step.checks import CHECK_NAME as PLATE_CHECK
from atlas_assets.graph.plates import MANIFEST_KEY, report_registered
from atlas_assets.graph.published.page import PAGE_KEY
from atlas_assets.in_process.progress import TerminalProgress
from atlas_assets.ui.metadata import plain_list
from atlas_resources.instruments.registry import Registry
from atlas_resources.models.weights import weights_missing
from atlas_resources.plates.dataset import Dataset
from atlas_resources.run_launcher import HOST_TAG
from atlas_resources.runs.execution import withdrawn_outcomes
from atlas_resources.withdrawals.in_force import InstrumentWithdrawn, read_withdrawn

# Each layer is a separate run, so that a plate that fails in one does not stop the others from reaching the next.
# Groundwork and the instruments that read pixels need nothing of each other: in one run they share a decode.
BEFORE_INSTRUMENTS = {"plates": (MANIFEST_KEY,)}
GROUNDWORK, INSTRUMENTS = "groundwork", "instruments"
AFTER_INSTRUMENTS = {"ledgers": LEDGER_KEYS, "page": (PAGE_KEY,)}

# A killed `atlas run` is shown as failed. The daemon did not launch it and must not restart it.
OWN_PROCESS_TAGS = {HOST_TAG: platform.node(), MAX_RETRIES_TAG: "0"}


@dataclass(frozen=True)
class LayerResult:
    """The result of one layer.

    Attributes:
        name: the layer.
        run_id: its Dagster run.
        is_success: whether every step succeeded and no check failed with an error; warnings do not count.
        materialized_count: materialisations, of each plate and each ledger.
        failures: why steps failed, then what checks found, a text each.
    """

    name: str
    run_id: str
    is_success: bool
    materialized_count: int
    failures: tuple[str, ...]


class _ProgressHandler(logging.Handler):
    """Turns the run's events into progress bars, one per asset, and records failures."""

    def __init__(self, progress: Progress, total: int):
        super().__init__()
        self.progress = progress
        self.total = total
        self.bars: dict[str, object] = {}
        self.materialized = 0
        self.failures: list[str] = []
        self.unsound: list[str] = []

    def begin(self, total: int) -> None:
        """Begins a run, over a number of plates."""
        self.total = total
        self.materialized, self.failures, self.unsound = 0, [], []

    def emit(self, record: logging.LogRecord) -> None:
        event = getattr(record, "dagster_meta", {}).get("dagster_event")
        if event is None:
            return
        if event.is_step_materialization:
            self.materialized += 1
            name = event.asset_key.to_user_string()
            if name not in self.bars:
                self.bars[name] = self.progress.add_task(name, total=self.total if event.partition else 1)
            self.progress.advance(self.bars[name])  # type: ignore[arg-type] # rich's TaskID
        elif event.is_step_failure:
            self.failures.append(f"{event.step_key}: {_reason(event.step_failure_data)}")
        elif event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            self.unsound += _findings(event.asset_check_evaluation_data)


def _findings(evaluation: dg.AssetCheckEvaluation) -> list[str]:
    """What a check found, if it failed with an error; empty for the sum over plates that have events of their own."""
    if evaluation.passed or evaluation.severity != dg.AssetCheckSeverity.ERROR:
        return []
    if evaluation.check_name == PLATE_CHECK and evaluation.partition is None:
        return []
    found = evaluation.metadata.get("wrong" if evaluation.check_name == PLATE_CHECK else "first")
    name = f"{evaluation.asset_key.to_user_string()}: {evaluation.check_name}"
    where = f" for {evaluation.partition}" if evaluation.partition else ""
    return [f"{name} failed{where}:\n{plain_list(str(found.value)) if found else ''}"]


def _reason(failure: StepFailureData) -> str:
    """Why a step failed: the description of its Failure, else the innermost exception's message."""
    if failure.user_failure_data and failure.user_failure_data.description:
        return failure.user_failure_data.description
    error = failure.error
    while error is not None and error.cause is not None:
        error = error.cause
    return error.message.strip() if error else "failed without an error message"


def materialize(
    registry: Registry,
    dataset: Dataset,
    instance: dg.DagsterInstance,
    *,
    selection: str | None = None,
    plate_ids: Sequence[str] | None = None,
    which: Literal["all", "missing", "failed"] = "all",
    console: Console | None = None,
) -> Iterator[LayerResult]:
    """Materialises a selection, layer after layer, and yields each layer's result.

    Args:
        registry: the instruments.
        dataset: the dataset.
        instance: where runs and events are recorded.
        selection: in Dagster's asset selection syntax, such as `group:embeddings`, with saved selections as `@name`.
            None selects everything except instruments that are not active, comparisons and the page.
        plate_ids: the plates; None means all registered plates.
        which: for each asset, all of these plates, those that are missing, or those that failed.
        console: where progress is shown.

    Raises:
        ValueError: the selection is invalid or matches no asset, a plate is unknown, or there are no plates.
    """
    wanted = _require_plates(dataset, instance, plate_ids, partitions := read_partitioning().of(dataset))
    with TerminalProgress(console) as progress, told_by_ledgers(progress.tell):
        handler = _ProgressHandler(progress, len(wanted))
        job, graph = _job(registry, dataset, handler)
        selected = _select(registry, graph, selection)
        refused = _withdrawn_instruments(registry, dataset, selected)
        selected -= refused.keys()
        if MANIFEST_KEY not in selected:
            report_registered(instance, dataset, partitions)
        for name, keys in _stages(registry, graph, selected):
            is_of_plates = any(graph.get(key).is_partitioned for key in keys)
            handler.bars = {}
            works = _works(registry, dataset, keys, wanted, which) if is_of_plates else [None]
            for work in works:
                handler.begin(len(set(partitions.keys_of(work.plate_ids).values())) if work else 1)
                result = job.execute_in_process(
                    instance=instance,
                    asset_selection=list(work.keys) if work else keys,
                    raise_on_error=False,
                    tags={**(tags_of(work.on(partitions)) if work else {}), **OWN_PROCESS_TAGS},
                    run_config={**(run_config_of(work) if work else {}), "loggers": {"terminal": {}}},
                )
                is_success, failures = result.success and not handler.unsound, (*handler.failures, *handler.unsound)
                yield LayerResult(name, result.run_id, is_success, handler.materialized, failures)
        yield from _not_run(registry, selected, refused.values() if selection else ())


def _not_run(registry: Registry, selected: Iterable[dg.AssetKey], withdrawn: Iterable[str]) -> Iterator[LayerResult]:
    """The instruments that were asked for and did not run: without weights, then those that are withdrawn."""
    yield from _without_weights(registry, selected)
    if lines := tuple(withdrawn):
        yield LayerResult("withdrawn", "", is_success=False, materialized_count=0, failures=lines)


def _withdrawn_instruments(
    registry: Registry, dataset: Dataset, selected: Iterable[dg.AssetKey]
) -> dict[dg.AssetKey, str]:
    """Why each selected instrument that is withdrawn measures nothing."""
    refused, withdrawn = {}, read_withdrawn(dataset.root)
    for instrument in registry.instruments.values():
        try:
            withdrawn.require_instrument(instrument)
        except InstrumentWithdrawn as error:
            refused[asset_key(instrument)] = str(error)
    return {key: refused[key] for key in selected if key in refused}


def _without_weights(registry: Registry, selected: Iterable[dg.AssetKey]) -> Iterator[LayerResult]:
    """The selected instruments that cannot run here. The last result: a long run would move it out of sight."""
    chosen = set(selected)
    lines = weights_missing(one for one in registry.instruments.values() if asset_key(one) in chosen)
    if lines:
        yield LayerResult("weights", "", is_success=False, materialized_count=0, failures=tuple(lines))


def _require_plates(
    dataset: Dataset, instance: dg.DagsterInstance, plate_ids: Sequence[str] | None, partitions: Partitions
) -> tuple[str, ...]:
    """The requested plates, by default all that are not withdrawn.

    Raises ValueError for unknown and for withdrawn plates, and if there are none.
    """
    add_missing_partitions(instance, dataset, partitions)
    all_ids = known_plates(instance, partitions)
    wanted = tuple(all_ids if plate_ids is None else plate_ids)
    unknown = set(wanted) - set(all_ids)
    if unknown or not wanted:
        raise ValueError(
            f"no such plates: {', '.join(sorted(unknown))}. `atlas plates list` shows the registered plates"
            if unknown
            else "no plates are registered. Fix: atlas plates add PATH"
        )
    left_out = withdrawn_outcomes(dataset, wanted, read_withdrawn(dataset.root))
    if left_out and (plate_ids is not None or len(left_out) == len(wanted)):
        raise ValueError("\n".join(outcome.error.message for outcome in left_out.values() if outcome.error))
    return tuple(plate_id for plate_id in wanted if plate_id not in left_out)


def _stages(
    registry: Registry, graph: BaseAssetGraph, selected: Iterable[dg.AssetKey]
) -> Iterator[tuple[str, list[dg.AssetKey]]]:
    """The selected assets of each layer, in order. Instruments that read other instruments' results come last."""
    depths = {asset_key(instrument): instrument.depth for instrument in registry.instruments.values()}
    layers = {**BEFORE_INSTRUMENTS, INSTRUMENTS: (*KEYS, *depths), **AFTER_INSTRUMENTS}
    layers["comparisons"] = tuple(comparison_keys(registry))
    chosen = {key for key in selected if graph.get(key).is_executable}
    for name, all_keys in layers.items():
        keys = [key for key in all_keys if key in chosen]
        for depth in sorted({depths.get(key, 0) for key in keys}):
            stage = name if depth == 0 else f"{name} that read results"
            stage = GROUNDWORK if set(keys) <= set(KEYS) else stage
            yield stage, [key for key in keys if depths.get(key, 0) == depth]


def _works(
    registry: Registry, dataset: Dataset, keys: list[dg.AssetKey], wanted: tuple[str, ...], which: str
) -> Iterator[WorkList]:
    """The runs of one layer: one over all wanted plates, or one for each set of plates that some assets need."""
    if which == "all":
        yield WorkList.of(keys, wanted)
        return
    instruments = [instrument for instrument in registry.instruments.values() if asset_key(instrument) in keys]
    chosen = frozenset(wanted)
    pending: dict[tuple[str, ...], list[dg.AssetKey]] = {}
    for standing in read_standings(dataset, instruments):
        if not set(standing.keys) & set(keys):
            continue
        plates = standing.failed if which == "failed" else standing.missing
        plate_ids = tuple(plate.plate_id for plate in plates if plate.plate_id in chosen)
        pending.setdefault(plate_ids, []).extend(standing.keys)
    for plate_ids, pending_keys in pending.items():
        if plate_ids:
            yield WorkList.of(pending_keys, plate_ids)


def _select(registry: Registry, graph: BaseAssetGraph, text: str | None) -> set[dg.AssetKey]:
    """The selected assets. Raises ValueError.

    None selects everything except instruments that are not active, and comparisons and the page, which are made when
    asked for.
    """
    if text is None:
        left_out = {*comparison_keys(registry), PAGE_KEY}
        inactive = {asset_key(one) for key, one in registry.instruments.items() if key not in registry.active}
        return set(graph.get_all_asset_keys()) - inactive - left_out
    # A plain word that is no asset's whole key is meant as a saved name: `atlas run otsu_luma`.
    is_name = re.fullmatch(r"[\w.-]+", text) and not graph.has(dg.AssetKey([text]))
    try:
        selected = dg.AssetSelection.from_string(expand(registry, f"@{text}" if is_name else text)).resolve(graph)
    except (DagsterInvalidAssetSelectionError, dg.DagsterInvalidSubsetError) as error:
        raise ValueError(f"the selection {text!r} is not valid: {error}") from error
    if not selected:
        raise ValueError(f"the selection {text!r} matches no asset; `atlas selections` lists saved ones")
    return set(selected)


def _job(registry: Registry, dataset: Dataset, handler: logging.Handler) -> tuple[dg.JobDefinition, BaseAssetGraph]:
    """A job over every asset, whose events go to the handler."""

    def open_logger(context: dg.InitLoggerContext) -> logging.Logger:
        logger = logging.Logger("atlas.terminal", level=logging.DEBUG)
        logger.addHandler(handler)
        return logger

    terminal = dg.LoggerDefinition(open_logger, description="Progress in a terminal.")
    definitions = dg.Definitions.merge(
        build_definitions(registry, dataset.root), dg.Definitions(loggers={"terminal": terminal})
    )
    return definitions.resolve_implicit_global_asset_job_def(), definitions.resolve_asset_graph()

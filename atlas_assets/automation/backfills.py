"""What `atlas backfill` requests: all missing plates of a named selection, as work lists for a running Dagster."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dagster as dg

from atlas_assets.automation.selections import find_selection
from atlas_assets.automation.server import DagsterServer, ServerRun
from atlas_assets.automation.settings import read_settings
from atlas_assets.automation.standings import Standing, read_standings
from atlas_assets.automation.work_lists import BACKFILL_TAG, WorkList, run_config_of, tags_of, work_lists
from atlas_assets.graph.groundwork import KEYS
from atlas_assets.graph.instruments import asset_key
from atlas_assets.graph.ledgers import LEDGER_KEYS
from atlas_assets.graph.partitions import BY_PLATE, Partitions
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.plates.dataset import Dataset


@dataclass(frozen=True)
class Backfill:
    """The missing plates of a named selection.

    Attributes:
        name: the name of the saved selection; its runs are tagged with it.
        keys: the assets.
        works: one work list per run; empty if nothing is missing. The ledgers' work list has no plates.
        waiting: one line per asset whose plates wait for another asset's results.
    """

    name: str
    keys: tuple[dg.AssetKey, ...]
    works: tuple[WorkList, ...]
    waiting: tuple[str, ...] = ()

    @property
    def plate_ids(self) -> frozenset[str]:
        """Every plate of the work lists."""
        return frozenset(plate_id for work in self.works for plate_id in work.plate_ids)


def plan_backfill(registry: Registry, dataset: Dataset, name: str, plate_ids: Sequence[str] | None = None) -> Backfill:
    """What a named selection is missing now: plates that are not done, including failed ones, or outdated ledgers.

    Args:
        registry: the instruments.
        dataset: the dataset.
        name: `groundwork`, `ledgers`, a role such as `embeddings`, or an instrument by key, model id or alias.
        plate_ids: only these plates.

    Raises:
        ValueError: the name is unknown or cannot be backfilled, or a plate is not registered.
    """
    selection = find_selection(registry, name)
    if selection.name == "ledgers":
        is_behind = bool(why_behind(dataset, registry, read_settings().most_attempts))
        works = (WorkList(dict.fromkeys(LEDGER_KEYS, ()), ""),) if is_behind else ()
        return Backfill(selection.name, LEDGER_KEYS, works)
    unknown = sorted(set(plate_ids or ()) - set(dataset.plate_ids()))
    if unknown:
        raise ValueError(f"no such plates: {', '.join(unknown)}. `atlas plates list` shows the registered plates")
    standings = read_backfill_standings(registry, dataset, selection.name)
    if not standings:
        raise ValueError(f"{name} cannot be backfilled. Fix: name groundwork, ledgers, a role or an instrument")
    waiting = [
        f"{count} plates of {standing.keys[0].to_user_string()} wait for results of the instrument that it reads"
        for standing in standings
        if (count := len(standing.waiting))
    ]
    others = set(dataset.plate_ids()) - set(plate_ids) if plate_ids else set()
    wanted = [standing.without(others) for standing in standings]
    works = work_lists(wanted, most_attempts=None, workers=read_settings().workers)
    return Backfill(selection.name, tuple(key for each in wanted for key in each.keys), tuple(works), tuple(waiting))


def read_backfill_standings(registry: Registry, dataset: Dataset, name: str) -> list[Standing]:
    """The standings of a saved selection's assets: an instrument's own asset, or the active ones of a role."""
    if name in registry.instruments:
        instruments = [registry.instruments[name]]
    else:
        instruments = [one for one in registry.active_instruments if asset_key(one).path[0] == name]
    keys = set(KEYS) if name == "groundwork" else set(map(asset_key, instruments))
    return [each for each in read_standings(dataset, instruments) if keys & set(each.keys)]


def launch_backfill(server: DagsterServer, backfill: Backfill, partitions: Partitions = BY_PLATE) -> Iterator[str]:
    """Puts one run per work list into the queue, and yields each run's id. Every plate has a partition."""
    for work in backfill.works:
        is_of_plates = bool(work.plate_ids)
        tags = {BACKFILL_TAG: backfill.name, **(tags_of(work.on(partitions)) if is_of_plates else {})}
        yield server.launch(work.keys, run_config_of(work) if is_of_plates else {}, tags)


def runs_under_way(server: DagsterServer, name: str) -> list[ServerRun]:
    """Unfinished runs that a backfill of this name requested."""
    return [run for run in server.runs(BACKFILL_TAG, name) if not run.is_over]

"""What `atlas backfill` asks for: all that is missing under one name, as work lists for a running Dagster's queue."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dagster as dg

from atlas_assets.automation.selections import find_selection
from atlas_assets.automation.server import DagsterServer, ServerRun
from atlas_assets.automation.standings import Standing, read_standings
from atlas_assets.automation.work_lists import BACKFILL_TAG, WorkList, run_config_of, tags_of, work_lists
from atlas_assets.graph.groundwork import KEYS
from atlas_assets.graph.instruments import asset_key
from atlas_assets.graph.ledgers import LEDGER_KEYS
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.plates.dataset import Dataset


@dataclass(frozen=True)
class Backfill:
    """All that is missing under a name.

    Attributes:
        name: of the saved selection it was asked by; its runs are tagged with it.
        keys: the assets.
        works: a run each; empty if nothing is missing. Those of the ledgers name no plates.
        waiting: a line per asset whose plates wait for another's results.
    """

    name: str
    keys: tuple[dg.AssetKey, ...]
    works: tuple[WorkList, ...]
    waiting: tuple[str, ...] = ()

    @property
    def plate_ids(self) -> frozenset[str]:
        """Every plate that is asked for."""
        return frozenset(plate_id for work in self.works for plate_id in work.plate_ids)


def plan_backfill(registry: Registry, dataset: Dataset, name: str, plate_ids: Sequence[str] | None = None) -> Backfill:
    """What is missing under a name now: plates that are not done, failed ones too; the ledgers, if they are behind.

    Args:
        registry: the instruments.
        dataset: the dataset.
        name: `groundwork`, `ledgers`, a role such as `embeddings`, or an instrument by key, model id or alias.
        plate_ids: only these plates.

    Raises:
        ValueError: nothing has that name, what has it measures no plates, or a plate is not registered.
    """
    selection = find_selection(registry, name)
    if selection.name == "ledgers":
        works = (WorkList(LEDGER_KEYS, ()),) if why_behind(dataset, registry) else ()
        return Backfill(selection.name, LEDGER_KEYS, works)
    unknown = sorted(set(plate_ids or ()) - set(dataset.plate_ids()))
    if unknown:
        raise ValueError(f"no such plates: {', '.join(unknown)}; `atlas plates list` shows those there are")
    standings = read_backfill_standings(registry, dataset, selection.name)
    if not standings:
        raise ValueError(f"{name} has no plates to fill; name groundwork, ledgers, a role or an instrument")
    waiting = [
        f"{count} plates of {standing.keys[0].to_user_string()} wait for the instrument it reads"
        for standing in standings
        if (count := sum(plate.is_waiting for plate in standing.plates))
    ]
    others = set(dataset.plate_ids()) - set(plate_ids) if plate_ids else set()
    wanted = [standing.without(others) for standing in standings]
    works = work_lists(wanted, most_attempts=None)
    return Backfill(selection.name, tuple(key for each in wanted for key in each.keys), tuple(works), tuple(waiting))


def read_backfill_standings(registry: Registry, dataset: Dataset, name: str) -> list[Standing]:
    """Where the assets of a saved selection stand: an instrument's own asset, or the active ones of a role."""
    if name in registry.instruments:
        instruments = [registry.instruments[name]]
    else:
        instruments = [one for one in registry.active_instruments if asset_key(one).path[0] == name]
    keys = set(KEYS) if name == "groundwork" else set(map(asset_key, instruments))
    return [each for each in read_standings(dataset, instruments) if keys & set(each.keys)]


def launch_backfill(server: DagsterServer, backfill: Backfill) -> Iterator[str]:
    """Puts a run per work list into the queue; yields each one's id."""
    for work in backfill.works:
        is_of_plates = bool(work.plate_ids)
        tags = {BACKFILL_TAG: backfill.name, **(tags_of(work) if is_of_plates else {})}
        yield server.launch(work.keys, run_config_of(work) if is_of_plates else {}, tags)


def runs_under_way(server: DagsterServer, name: str) -> list[ServerRun]:
    """Runs that a backfill of this name asked for and that are not over."""
    return [run for run in server.runs(BACKFILL_TAG, name) if not run.is_over]

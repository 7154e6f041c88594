"""The saved selections: named sets of assets, as jobs in the UI and as `@name` in a terminal."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg

from atlas_assets.graph.comparisons.assets import COMPARISONS, comparison_keys
from atlas_assets.graph.groundwork import KEYS
from atlas_assets.graph.instruments import GROUPS, asset_key
from atlas_assets.graph.ledgers import LEDGER_KEYS
from atlas_assets.graph.plate_step.weights import why_not_started
from atlas_assets.graph.plates import MANIFEST_KEY
from atlas_assets.graph.published.page import PAGE_KEY
from atlas_resources.instruments.registry import Registry

SAVED = re.compile(r"@([\w./-]+)")


@dataclass(frozen=True)
class SavedSelection:
    """A named set of assets.

    Attributes:
        name: used as `@name`; the job is `materialise_<name>`.
        keys: the assets.
        meaning: one sentence.
        is_job: whether the UI has a job for it.
    """

    name: str
    keys: tuple[dg.AssetKey, ...]
    meaning: str
    is_job: bool = True

    @property
    def text(self) -> str:
        """The assets, in Dagster's selection syntax."""
        return " or ".join(f'key:"{key.to_user_string()}"' for key in self.keys)


def _selections(registry: Registry) -> Iterator[SavedSelection]:
    yield SavedSelection("plates", (MANIFEST_KEY,), "Compares every source with its registered digest.")
    yield SavedSelection("groundwork", KEYS, "What the CPU measures on each plate without a model.")
    for group in GROUPS:
        active = [instrument for instrument in registry.active_instruments if asset_key(instrument).path[0] == group]
        if active:
            titles = ", ".join(instrument.spec.title for instrument in active)
            is_job = not all(map(why_not_started, active))
            yield SavedSelection(group, tuple(map(asset_key, active)), f"The active {group}: {titles}.", is_job)
    yield SavedSelection("ledgers", LEDGER_KEYS, "Every ledger with its checks, and the catalogue.")
    if compared := comparison_keys(registry):
        yield SavedSelection(COMPARISONS, tuple(compared), "One encoder beside another, for each pair of the roster.")
    yield SavedSelection("page", (PAGE_KEY,), "The page, from the catalogue as it is.")
    for key, instrument in registry.instruments.items():
        # With every ledger, not only those that read it: the catalogue needs them all, even in a new dataset.
        keys = (asset_key(instrument), *_readers(registry, key), *LEDGER_KEYS)
        meaning = f"{instrument.spec.title}, the instruments that read it, and every ledger."
        yield SavedSelection(key, keys, meaning, is_job=key in registry.active and not why_not_started(instrument))


def _readers(registry: Registry, key: str) -> list[dg.AssetKey]:
    """The instruments that read an instrument's results, and those that read theirs.

    They are named, since what is downstream in the graph has reports too, which are made when they are asked for.
    """
    read, found = {key}, []
    for one in sorted(registry.instruments.values(), key=lambda one: (one.depth, one.key)):
        if read.intersection(upstream.key for upstream in one.reads):
            read.add(one.key)
            found.append(asset_key(one))
    return found


def saved_selections(registry: Registry) -> dict[str, SavedSelection]:
    """Every saved selection by its name. Raises ValueError if an instrument has the name of another selection."""
    saved: dict[str, SavedSelection] = {}
    for selection in _selections(registry):
        if selection.name in saved:
            raise ValueError(f"two saved selections are named {selection.name!r}. Fix: give the instrument another key")
        saved[selection.name] = selection
    return saved


def expand(registry: Registry, text: str) -> str:
    """A selection with each `@name` replaced by its text. Raises ValueError as `find_selection` does."""
    return SAVED.sub(lambda match: f"({find_selection(registry, match[1]).text})", text)


def find_selection(registry: Registry, name: str) -> SavedSelection:
    """The saved selection of a name. An instrument's selection is also found by model id and alias.

    Raises:
        ValueError: there is none. The message names similar ones, or why the instrument cannot run.
    """
    saved = saved_selections(registry)
    if name in saved:
        return saved[name]
    try:
        key = registry.require(name).key
    except KeyError as error:
        near = " or ".join(difflib.get_close_matches(name, saved, n=3))
        hint = f"Did you mean {near}?" if near else "`atlas selections` lists them all."
        raise ValueError(f"no saved selection {name!r}. {hint} As an instrument: {error.args[0]}") from None
    if key not in saved:
        status = registry.status(key)
        raise ValueError(f"{key} is not admitted: {status.reason}. {status.fix(key)}")
    return saved[key]


def build_jobs(registry: Registry) -> list:
    """The UI's jobs: one for each saved selection of a group or an active instrument that can run here."""
    return [
        dg.define_asset_job(
            f"materialise_{selection.name}",  # `groundwork` is already the name of an op
            dg.AssetSelection.assets(*selection.keys).materializable(),  # a job may not name what cannot run
            description=f"{selection.meaning} In a terminal: `atlas run @{selection.name}`.",
            tags={"atlas/selection": selection.name},
        )
        for selection in saved_selections(registry).values()
        if selection.is_job
    ]

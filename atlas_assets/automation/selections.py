"""The saved selections: sets of assets that go by a name, as jobs in the UI and as `@name` in a terminal."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg

from atlas_assets.graph.groundwork import KEYS
from atlas_assets.graph.instruments import GROUPS, asset_key
from atlas_assets.graph.ledgers import LEDGER_KEYS
from atlas_assets.graph.plates import MANIFEST_KEY
from atlas_resources.instruments.registry import Registry

SAVED = re.compile(r"@([\w./-]+)")


@dataclass(frozen=True)
class SavedSelection:
    """A set of assets by a name.

    Attributes:
        name: as `@name`; the job is `materialise_<name>`.
        text: in Dagster's selection syntax.
        meaning: one sentence.
        is_job: whether the UI has a job of it.
    """

    name: str
    text: str
    meaning: str
    is_job: bool = True


def _selections(registry: Registry) -> Iterator[SavedSelection]:
    yield SavedSelection("plates", _of(MANIFEST_KEY), "Every source held against its registered digest.")
    yield SavedSelection("groundwork", _of(*KEYS), "What the CPU measures of each plate without a model.")
    for group in GROUPS:
        of_role = [spec for spec in registry.admitted if asset_key(spec).path[0] == group]
        active = [spec for spec in of_role if spec.key in registry.active]
        if active:
            titles = ", ".join(spec.title for spec in active)
            yield SavedSelection(group, _of(*map(asset_key, active)), f"The active {group}: {titles}.")
    yield SavedSelection("ledgers", _of(*LEDGER_KEYS), "Every ledger with its checks, and the catalogue.")
    for spec in registry.admitted:
        is_job = spec.key in registry.active
        # With every ledger, not only those it feeds: the catalogue needs them all, also in a dataset that has none yet.
        text = f"{_of(asset_key(spec))}+ or {_of(*LEDGER_KEYS)}"
        yield SavedSelection(spec.key, text, f"{spec.title}, and all it feeds, with every ledger.", is_job)


def _of(*keys: dg.AssetKey) -> str:
    return " or ".join(f'key:"{key.to_user_string()}"' for key in keys)


def saved_selections(registry: Registry) -> dict[str, SavedSelection]:
    """Every saved selection by its name. Raises ValueError for an instrument that has the name of a layer."""
    saved: dict[str, SavedSelection] = {}
    for selection in _selections(registry):
        if selection.name in saved:
            raise ValueError(f"two saved selections of the name {selection.name!r}; call the instrument otherwise")
        saved[selection.name] = selection
    return saved


def expand(registry: Registry, text: str) -> str:
    """A selection with each `@name` replaced by what it stands for. Raises ValueError as `find_selection` does."""
    return SAVED.sub(lambda match: f"({find_selection(registry, match[1]).text})", text)


def find_selection(registry: Registry, name: str) -> SavedSelection:
    """The saved selection of a name; an instrument's goes by its model id and its aliases too.

    Raises:
        ValueError: there is none; the message names near ones, or says why the instrument cannot run.
    """
    saved = saved_selections(registry)
    if name in saved:
        return saved[name]
    try:
        key = registry.require(name).key
    except KeyError as error:
        near = " or ".join(difflib.get_close_matches(name, saved, n=3))
        hint = f"Did you mean {near}?" if near else "`atlas selections` shows them all."
        raise ValueError(f"no saved selection {name!r}. {hint} As an instrument: {error.args[0]}") from None
    if key not in saved:
        status = registry.status(key)
        raise ValueError(f"{key} is not admitted: {status.reason}. {status.mend(key)}")
    return saved[key]


def build_jobs(registry: Registry) -> list:
    """A job of each saved selection of layers and active instruments: one click in the UI."""
    return [
        dg.define_asset_job(
            f"materialise_{selection.name}",  # `groundwork` is the name of an op already
            dg.AssetSelection.from_string(selection.text),
            description=f"{selection.meaning} In a terminal: `atlas run @{selection.name}`.",
            tags={"atlas/selection": selection.name},
        )
        for selection in saved_selections(registry).values()
        if selection.is_job
    ]

"""One unpartitioned asset for each pair of encoders of the roster: the report of `atlas compare`, made on demand."""

from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from atlas_assets.comparison.kept import keep_page, pair_name
from atlas_assets.comparison.labels import read_labels
from atlas_assets.graph.comparisons.shown import comparison_metadata
from atlas_assets.graph.ledger_origins import ledger_key
from atlas_resources.instruments.registry import Registry
from atlas_resources.models.devices import DeviceUnavailable
from atlas_resources.models.weights import WeightsMissing
from atlas_resources.plates.dataset import Dataset
from atlas_resources.resources import DatasetResource
from atlas_resources.tables.ledgers import PLATES, RUNS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.topology.agreement import AGREEMENT

if TYPE_CHECKING:  # SciPy, which the definitions are loaded without
    from atlas_assets.comparison.label_free import Recovered
    from atlas_assets.comparison.pairs import Pair

COMPARISONS = "comparisons"
"""First part of the keys, and the group in the UI."""
READ = (INSTRUMENT_TABLES["embedding"], RUNS, PLATES, AGREEMENT)


class ComparisonRun(dg.Config):
    """What a report has beyond the vectors of both encoders."""

    label_free: int = Field(
        default=12,
        ge=0,
        description="So many plates are altered in memory, to see whether each finds its original. Loads both models.",
    )
    labels: str = Field(default="", description="CSV with the columns plate_id and label, for retrieval.")
    moved: int = Field(default=10, ge=0, description="Plates that moved most to name.")


def comparison_keys(registry: Registry) -> list[dg.AssetKey]:
    """`comparisons/<first>_and_<second>` of each pair, in the roster's order."""
    return [dg.AssetKey([COMPARISONS, pair_name(*pair)]) for pair in registry.pairs]


def build_comparison_assets(registry: Registry) -> list[dg.AssetsDefinition]:
    """Builds the asset of each pair that the roster names."""
    keys = comparison_keys(registry)
    return [_build(registry, pair, key) for pair, key in zip(registry.pairs, keys, strict=True)]


def _build(registry: Registry, names: tuple[str, str], key: dg.AssetKey) -> dg.AssetsDefinition:
    first, second = names
    is_any_gpu = any(registry.instruments[name].is_gpu for name in names)

    @dg.asset(
        key=key,
        deps=[ledger_key(table) for table in READ],
        group_name=COMPARISONS,
        description=f"Whether `{second}` is worth taking the place of `{first}`: agreement beside chance, the plates "
        f"that moved most, retrieval, and cost. Made on demand. In a terminal: `atlas compare {first} {second}`.",
        kinds={"html", "gpu" if is_any_gpu else "cpu"},
        owners=["team:atlas"],
        pool="gpu" if is_any_gpu else None,
    )
    def comparison(
        context: dg.AssetExecutionContext, config: ComparisonRun, dataset: DatasetResource
    ) -> dg.MaterializeResult:
        from atlas_assets.comparison.page import page_of
        from atlas_assets.comparison.pairs import read_pair
        from atlas_assets.comparison.report import compare_encoders
        from atlas_assets.comparison.sections import sections_of

        opened = dataset.open()
        try:
            pair = read_pair(opened, registry, names)
            labels = read_labels(Path(config.labels), opened) if config.labels else None
            found = compare_encoders(opened, registry, pair, labels, config.moved)
        except ValueError as error:  # its message names the command; another try would find the same
            raise dg.Failure(str(error), allow_retries=False) from None
        recovered, why_not = _recovered(opened, registry, pair, config.label_free)
        if why_not:
            context.log.warning(f"without altered plates: {why_not}")
        sections = sections_of(found, recovered, why_not)
        kept = keep_page(opened, pair_name(*names), page_of(opened, found, sections))
        context.log.info(f"{'written' if kept.is_new else 'as before'}: {kept.path}")
        return dg.MaterializeResult(
            metadata=comparison_metadata(opened, found, sections, kept), data_version=dg.DataVersion(kept.sha256[:16])
        )

    return comparison


def _recovered(dataset: Dataset, registry: Registry, pair: "Pair", count: int) -> tuple[list["Recovered"], str]:
    """What altered plates find, and why none were asked with, if the models cannot run here."""
    from atlas_assets.comparison.label_free import recover_originals

    if count == 0:
        return [], ""
    try:
        return recover_originals(dataset, registry, pair, count), ""
    except (WeightsMissing, DeviceUnavailable) as error:
        return [], str(error)

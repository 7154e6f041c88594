"""From an instrument to its work. The one place where the code location reaches what measures.

SciPy, scikit-image, shapely and torch load slowly and the graph needs none of them, so a role's module is imported
when a run asks for it, and not before.
"""

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import Groundwork
from atlas_resources.runs.batches import Batches, PlateOutcome, Timings
from atlas_resources.runs.measuring import Work

WORKS = {
    "embedding": "embedding.EmbeddingWork",
    "probe": "probe.ProbeWork",
    "segmentation": "segmentation.SegmentationWork",
    "detection": "detection.DetectionWork",
    "pruning": "regions.pruning.PruningWork",
    "palette": "regions.palette.PaletteWork",
    "outline": "regions.outline.OutlineWork",
}
"""The class of each role, in this room."""
CROPS_WORK = "regions.embedding.RegionEmbeddingWork"


def build_work(instrument: Instrument, load: Callable[[], Any]) -> Work:
    """What an instrument does with plates. An embedder with a declared crop is shown their segments.

    Args:
        instrument: what measures.
        load: gives the loaded model; called when the first plate needs it.
    """
    spec = instrument.spec
    path = CROPS_WORK if spec.region and spec.region.crop else WORKS[spec.role]
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"atlas_assets.roles.{module}"), name)(spec, load)


def make_groundwork(
    dataset: Dataset, plate_ids: Sequence[str], *, is_forced: bool = False
) -> Iterator[PlateOutcome[Groundwork]]:
    """Groundwork of each plate in order; plates that another run holds come last, one by one."""
    from atlas_assets.roles.groundwork import GroundworkJob

    return Batches(dataset, GroundworkJob(), Timings(), is_forced=is_forced).outcomes(plate_ids, batch_size=1)

"""Building the work of an instrument: the only place where the code location imports code that measures.

SciPy, scikit-image, shapely and torch load slowly and the graph needs none of them. A role's module is therefore
imported when a run needs it.
"""

import importlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.loader_table import LOADERS
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.groundwork import Groundwork
from atlas_resources.runs.measuring import Work
from atlas_resources.runs.passes.job import Member, PlateOutcome
from atlas_resources.runs.passes.together import measure_alone

WORKS = {
    "embedding": "embedding.EmbeddingWork",
    "probe": "probe.ProbeWork",
    "segmentation": "segmentation.SegmentationWork",
    "detection": "detection.DetectionWork",
    "text": "text.reading.ReadingWork",
    "pruning": "regions.pruning.PruningWork",
    "palette": "regions.palette.PaletteWork",
    "outline": "regions.outline.OutlineWork",
}
"""The class of each role: module and name."""
CROPS_WORKS = {"embedding": "regions.embedding.RegionEmbeddingWork", "text": "regions.annotation.RegionAnnotationWork"}
"""The class of each role that can be shown segments."""
ANSWERING_WORK = "text.answering.AnsweringWork"
RANKING_WORK = "text.ranking.RankingWork"


def build_work(instrument: Instrument, load: Callable[[], Any]) -> Work:
    """The work of an instrument: of its role; of segments if it declares a crop; or of answers, see `work_path`.

    Args:
        instrument: the instrument.
        load: returns the loaded model. Called by the work's own `load`.
    """
    spec = instrument.spec
    module, _, name = work_path(spec).rpartition(".")
    return getattr(importlib.import_module(f"atlas_assets.roles.{module}"), name)(spec, load)


def work_path(spec: Spec) -> str:
    """Module and name of the work. Of a model that is asked, even lettering is an answer."""
    if spec.region and spec.region.crop:
        return CROPS_WORKS[spec.role]
    if spec.ranking:
        return RANKING_WORK
    return ANSWERING_WORK if LOADERS[spec.loader or ""].is_asked else WORKS[spec.role]


def make_groundwork(
    dataset: Dataset, plate_ids: Sequence[str], *, is_forced: bool = False
) -> Iterator[PlateOutcome[Groundwork]]:
    """Makes the groundwork of each plate in order, in a pass of its own. Plates that another run holds come last.

    A withdrawn plate is not measured. Raises DatasetBroken if the log of withdrawals is not whole.
    """
    yield from measure_alone(dataset, groundwork_member(dataset, is_forced=is_forced), plate_ids)


def groundwork_member(dataset: Dataset, *, is_forced: bool = False) -> Member[Groundwork]:
    """The groundwork, as a member of a pass. `is_forced` measures plates again whose files are up to date."""
    from atlas_assets.roles.groundwork import GroundworkMember

    return GroundworkMember(dataset, is_forced=is_forced)

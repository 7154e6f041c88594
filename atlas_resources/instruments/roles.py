"""What a role is: what its instruments give, where their results go, and how people call them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class RoleRecord:
    """One role.

    Attributes:
        title: as a heading.
        output: kind of the output that a spec of this role declares.
        table: name of its ledger and of its assets' group; None for a role that nothing measures yet.
        result_file: Parquet file of one plate's sealed result.
        is_drawn_on_plate: whether the preview of a result shows the plate itself.
    """

    title: str
    output: str
    table: str | None = None
    result_file: str | None = None
    is_drawn_on_plate: bool = False


ROLES: Mapping[str, RoleRecord] = MappingProxyType(
    {
        "embedding": RoleRecord("Embeddings", "vector", "embeddings", "embeddings.parquet"),
        "segmentation": RoleRecord("Segmentation", "masks", "segments", "segments.parquet", is_drawn_on_plate=True),
        "detection": RoleRecord("Detection", "boxes", "detections", "detections.parquet", is_drawn_on_plate=True),
        "probe": RoleRecord("Probes", "scores", "probes", "probe_scores.parquet"),
        "text": RoleRecord("Text", "text", "texts", "texts.parquet", is_drawn_on_plate=True),
        "pruning": RoleRecord(
            "Regions: what is kept", "verdicts", "kept_segments", "kept_segments.parquet", is_drawn_on_plate=True
        ),
        "palette": RoleRecord(
            "Regions: colours", "colours", "region_colours", "region_colours.parquet", is_drawn_on_plate=True
        ),
        "outline": RoleRecord(
            "Regions: polygons", "outlines", "region_outlines", "region_outlines.parquet", is_drawn_on_plate=True
        ),
        "generative": RoleRecord("Generative", "image"),
    }
)

"""What every role that measures segments needs: the plate's pixels, and its kept segments one mask at a time."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from atlas_assets.roles.declared import ContractBroken, sealed_rows, source_pixels
from atlas_resources.instruments.spec.spec import Region, Spec
from atlas_resources.measures.masks import run_lengths
from atlas_resources.plates.plate import Plate
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import SealedResult


@dataclass(frozen=True)
class KeptSegment:
    """One kept segment of a plate.

    Attributes:
        row: its row in the table `kept_segments`.
        mask: bool [H, W] at source size.
    """

    row: Mapping[str, Any]
    mask: np.ndarray

    @property
    def segment_id(self) -> str:
        """The segment's id in the raw set."""
        return self.row["segment_id"]


@dataclass(frozen=True)
class PlateSegments:
    """A plate's pixels, uint8 sRGB [H, W, 3], and the rows of its kept segments, by rank."""

    plate_id: str
    pixels: np.ndarray
    rows: pl.DataFrame

    def segments(self) -> Iterator[KeptSegment]:
        """Yields the kept segments by rank. Decodes one mask at a time: together they may exceed the memory."""
        for row in self.rows.iter_rows(named=True):
            height_px, width_px = require_source_size(self.plate_id, row, self.pixels)
            yield KeptSegment(row, run_lengths.decode(row["mask_rle"], height_px, width_px))


class RegionWork:
    """Prepares a plate and its kept segments for the roles that measure segments."""

    def __init__(self, spec: Spec, load: Callable[[], Any]):
        self.spec = spec
        self._load = load

    def load(self) -> None:
        """Loads the model or, for an algorithm, its declared parameters."""
        self.model = self._load()

    def prepare(self, plate: Plate, upstream: SealedResult | None, stopwatch: Stopwatch) -> Any:
        """The plate's pixels, decoded once, and its kept segments."""
        rows = sealed_rows(self.spec, plate, upstream).filter(pl.col("rank").is_not_null()).sort("rank")
        return PlateSegments(plate.id, np.asarray(source_pixels(plate, stopwatch)), rows)


def require_source_size(name: str, row: Mapping[str, Any], pixels: np.ndarray) -> tuple[int, int]:
    """Height and width of a row's mask in pixels. Raises ContractBroken if they differ from the source's, [H, W, 3]."""
    found = row["height_px"], row["width_px"]
    if found != pixels.shape[:2]:
        raise ContractBroken(
            f"{name} {row['segment_id']}: expected a mask of the source's size {list(pixels.shape[:2])}, "
            f"found {list(found)}"
        )
    return found


def declared_region(spec: Spec) -> Region:
    """The region that the spec declares. Raises ContractBroken for an instrument not derived from a segmenter."""
    if spec.region is None:
        raise ContractBroken(
            f"{spec.key}: expected an instrument derived from a segmenter. Fix: declare it in model_specs/regions/"
        )
    return spec.region

"""Otsu's threshold on luminance: connected printed regions, and the paper as one segment. Needs no torch or weights."""

import numpy as np
from skimage.measure import label, regionprops

from atlas_resources.instruments.parameters.segmenting import OtsuParameters
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.measures.colour.levels import otsu_threshold
from atlas_resources.measures.colour.luma import luma
from atlas_resources.models.protocols import Mask
from atlas_resources.models.weights import LocatedWeights


class OtsuLuma:
    """Segments a raster into printed regions and paper."""

    def __init__(self, parameters: OtsuParameters):
        self.parameters = parameters

    def segment(self, raster: np.ndarray) -> list[Mask]:
        """Returns the printed regions, then the paper, of a raster uint8 [H, W, 3], RGB in sRGB.

        Regions are 8-connected and sorted by area, largest first; those below `min_area_ratio` are left out. A raster
        of a single level has no threshold and is all paper.
        """
        levels = luma(raster)
        printed = levels <= otsu_threshold(np.bincount(levels.ravel(), minlength=256))
        if printed.all():
            return [Mask.encode(printed, "paper")]
        labels = label(printed, connectivity=2)
        floor_px = self.parameters.min_area_ratio * levels.size
        regions = [region for region in regionprops(labels) if region.area >= floor_px]
        regions.sort(key=lambda region: (-region.area, region.bbox))
        masks = [Mask.encode(labels == region.label, "printed") for region in regions[: self.parameters.max_regions]]
        return [*masks, Mask.encode(~printed, "paper")]


def load(spec: Spec, weights: LocatedWeights, device: str) -> OtsuLuma:
    """Builds the segmenter with the declared parameters."""
    return OtsuLuma(OtsuParameters.model_validate(spec.parameters))

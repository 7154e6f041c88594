"""What every role needs: a plate's pixels, and errors for a model that breaks its declared contract."""

from collections.abc import Callable

import numpy as np
import polars as pl
from PIL import Image

from atlas_resources.instruments.spec.input import Preprocessing
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.inputs import ModelInput
from atlas_resources.models.preprocessing import build_preprocess
from atlas_resources.plates.plate import Plate
from atlas_resources.plates.rasters.working import reduce
from atlas_resources.runs.passes.shared_source import read_pixels, read_source
from atlas_resources.runs.stages import Stopwatch
from atlas_resources.runs.upstream import SealedResult


class ContractBroken(ValueError):
    """A model or an input differs from what the spec declares."""


def declared_preprocessing(spec: Spec) -> Preprocessing:
    """The spec's fixed preprocessing. Raises ContractBroken without one."""
    if spec.preprocessing is None:
        raise ContractBroken(
            f"{spec.key}: preprocessing is not declared. Fix: `atlas models check` shows what the spec is missing"
        )
    return spec.preprocessing


def source_pixels(plate: Plate, stopwatch: Stopwatch) -> Image.Image:
    """The plate's 8-bit sRGB pixels, which other instruments may share; as `read_source`."""
    return read_source(plate, stopwatch).image


def declared_pixels(spec: Spec, plate: Plate, stopwatch: Stopwatch) -> Image.Image:
    """The plate's 8-bit sRGB pixels in the raster that the spec declares; as `read_pixels`."""
    return read_pixels(plate, declared_preprocessing(spec).raster, stopwatch)


def preprocess_of(spec: Spec) -> Callable[[Image.Image], ModelInput]:
    """The declared preprocessing of a picture that is at full size: reduced to the declared raster first.

    Of pixels that `declared_pixels` gave it makes the same as of the source's.
    """
    declared = declared_preprocessing(spec)
    preprocess = build_preprocess(declared)
    return lambda image: preprocess(reduce(image, declared.raster))


def require_finite(spec: Spec, name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the values. Raises ContractBroken unless they are finite float32 of that shape."""
    if values.shape != shape or values.dtype != np.float32:
        found = f"{values.dtype} {list(values.shape)}"
        raise ContractBroken(f"{spec.key}: expected {name} of float32 {list(shape)}, found {found}")
    if not np.isfinite(values).all():
        count = np.count_nonzero(~np.isfinite(values))
        raise ContractBroken(f"{spec.key}: expected finite numbers in {name}, found {count} that are not")
    return values


def sealed_rows(spec: Spec, plate: Plate, upstream: SealedResult | None) -> pl.DataFrame:
    """The upstream instrument's sealed rows of the plate. Raises ContractBroken without an upstream result."""
    if upstream is None:
        raise ContractBroken(f"{spec.key}: expected a sealed result of {spec.upstream} for {plate.id}, found none")
    return upstream.rows

"""What every role needs: a plate's pixels, and the errors of a model that breaks its declared contract."""

import numpy as np
import polars as pl
from PIL import Image

from atlas_resources.instruments.spec.input import Preprocessing
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.plates.decode import decode
from atlas_resources.plates.plate import Plate
from atlas_resources.runs.upstream import SealedResult


class ContractBroken(ValueError):
    """A model gave something other than its spec declares."""


def declared_preprocessing(spec: Spec) -> Preprocessing:
    """The spec's fixed preprocessing. Raises ContractBroken without one."""
    if spec.preprocessing is None:
        raise ContractBroken(f"{spec.key}: preprocessing is not declared; see `atlas models check`")
    return spec.preprocessing


def source_pixels(plate: Plate) -> Image.Image:
    """The plate's 8-bit sRGB pixels, its bytes held against the registered digest."""
    return decode(plate.source_path(), expected_sha256=plate.source_sha256()).image


def require_finite(spec: Spec, name: str, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """The values, if they are finite float32 of that shape. Raises ContractBroken."""
    if values.shape != shape or values.dtype != np.float32:
        found = f"{values.dtype} {list(values.shape)}"
        raise ContractBroken(f"{spec.key}: expected {name} of float32 {list(shape)}, found {found}")
    if not np.isfinite(values).all():
        raise ContractBroken(
            f"{spec.key}: {name} has {np.count_nonzero(~np.isfinite(values))} values that are not finite"
        )
    return values


def sealed_rows(spec: Spec, plate: Plate, upstream: SealedResult | None) -> pl.DataFrame:
    """What the upstream instrument sealed of the plate. Raises ContractBroken where nothing was given."""
    if upstream is None:
        raise ContractBroken(f"{spec.key}: reads {spec.upstream}, and was given no result of it for {plate.id}")
    return upstream.rows

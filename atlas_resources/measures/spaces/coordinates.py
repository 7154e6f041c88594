"""Two numbers for each plate of a space, to draw it as a point: principal components, and UMAP over the neighbours.

scikit-learn and umap-learn are imported by the functions that use them.
"""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

PLACES = 6
"""Decimals of a coordinate. Sums in another order change the last of 16 digits, a picture shows four."""
SEED = 0
NEIGHBOURS = 15
"""Of umap-learn's `n_neighbors`, the plate itself included."""
MIN_DIST = 0.1
START_WIDTH, START_NOISE, START_PLACES = 10.0, 1e-4, 3
"""umap-learn's own start `init="pca"`: components scaled to at most 10, with noise of 0.0001, which parts copies. They
are rounded first: UMAP enlarges a difference in the last digit to one that is seen."""


def pca_parameters() -> dict[str, Any]:
    """All that `by_principal_components` depends on besides the vectors."""
    return {"method": "pca", "svd_solver": "full", "library": "scikit-learn", "version": version("scikit-learn")}


def umap_parameters() -> dict[str, Any]:
    """All that `by_umap` depends on besides the vectors. numba compiles umap-learn."""
    return {
        "method": "umap",
        "n_neighbors": NEIGHBOURS,
        "min_dist": MIN_DIST,
        "metric": "cosine",
        "init": "pca",
        "seed": SEED,
        "library": "umap-learn",
        "version": version("umap-learn"),
        "numba": version("numba"),
    }


def by_principal_components(unit: np.ndarray) -> tuple[np.ndarray, float]:
    """The first two principal components of the rows, from their mean, rounded.

    A component has two directions; the one is taken in which the row farthest from 0 is positive, of equally far ones
    the first. Computed on one thread, so that sums do not depend on the number of cores.

    Args:
        unit: float64 [N, dim], rows of length 1, N of 1 or more.

    Returns:
        Coordinates float64 [N, 2], 0 where there is no second component, and the share of the variance that both have,
        0..1; NaN where all rows are the same.
    """
    from sklearn.decomposition import PCA
    from threadpoolctl import threadpool_limits

    found = np.zeros((len(unit), 2))
    if len(unit) == 1:
        return found, float("nan")
    fitted = PCA(min(2, *unit.shape), svd_solver="full")
    with threadpool_limits(1), np.errstate(invalid="ignore"):  # rows that are all the same have no variance to share
        axes = np.round(fitted.fit_transform(unit), PLACES)
    farthest = axes[np.argmax(np.abs(axes), axis=0), np.arange(axes.shape[1])]
    found[:, : axes.shape[1]] = np.where(farthest < 0, -axes, axes) + 0.0  # -0.0 becomes 0.0
    return found, float(fitted.explained_variance_ratio_.sum()) if found.any() else float("nan")


def by_umap(unit: np.ndarray, graph: np.ndarray, cosines: np.ndarray) -> np.ndarray:
    """Coordinates by UMAP (McInnes, Healy and Melville, arXiv:1802.03426) over given neighbours, rounded.

    Only who is near to whom means something in them: distances, sizes of groups and the axes do not. The same rows give
    the same coordinates on one machine; numba compiles for its processor.

    Args:
        unit: float64 [N, dim], rows of length 1, N of more than NEIGHBOURS.
        graph: int64 [N, at least NEIGHBOURS - 1], each row's nearest others, the nearest first.
        cosines: float64, of the same shape.

    Returns:
        Float64 [N, 2].
    """
    count, others = len(unit), NEIGHBOURS - 1
    near = np.concatenate([np.arange(count)[:, None], graph[:, :others]], axis=1)
    far = np.concatenate([np.zeros((count, 1)), np.clip(1 - cosines[:, :others], 0, 2)], axis=1).astype(np.float32)
    start, _ = by_principal_components(unit)
    start = np.round(START_WIDTH * start / max(np.abs(start).max(), 10.0**-PLACES), START_PLACES)
    start += np.random.default_rng(SEED).normal(scale=START_NOISE, size=start.shape)
    settings: dict[str, Any] = {
        "n_neighbors": NEIGHBOURS,
        "min_dist": MIN_DIST,
        "metric": "cosine",
        "init": start,
        "random_state": SEED,
        "n_jobs": 1,
        "precomputed_knn": (near, far, None),
        "disconnection_distance": float("inf"),  # else a row that is opposite to all others has no place
    }
    with _umap_learn() as umap:
        found = umap.UMAP(**settings).fit_transform(unit.astype(np.float32))
    return np.round(np.asarray(found, dtype=np.float64), PLACES)


@contextmanager
def _umap_learn() -> Iterator[Any]:
    """The module `umap`, its warnings kept from the user: of Tensorflow, which is not needed here, and of new rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ImportWarning)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"umap\b")
        _place_compiled_code()
        import umap

        yield umap


@cache
def _place_compiled_code() -> TemporaryDirectory | None:
    """Keeps numba from the user's home, where it writes what it compiles if it may not write beside the module.

    Such a process has a temporary folder, which goes with it, and compiles everything each time.
    """
    from numba.core import config

    settings: Any = config
    origin = getattr(find_spec("umap"), "origin", None)
    if settings.CACHE_DIR or origin is None or os.access(Path(origin).parent, os.W_OK):
        return None
    compiled = TemporaryDirectory(prefix="atlas-numba-")
    settings.CACHE_DIR = compiled.name
    return compiled

"""Retrieval without labels: whether an altered copy of a plate finds the plate, by each of two encoders."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image

from atlas_assets.comparison.pairs import Pair
from atlas_assets.search.encoding import loaded, unit_vectors
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.topology.spaces import Space
from atlas_resources.measures.spaces.chance import SEED
from atlas_resources.measures.spaces.retrieval import McNemar, Proportion, mcnemar, proportion, rank_of_own
from atlas_resources.models.weights import WeightsMissing, why_without_weights
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode_source

CROPPED_RATIO = 0.6
GAMMA = 1.8
JPEG_QUALITY = 15


def grey(image: Image.Image) -> Image.Image:
    """The picture without its colour: Pillow's luma in all three channels."""
    return image.convert("L").convert("RGB")


def rotated(image: Image.Image) -> Image.Image:
    """Turned by a quarter, as a scan that lay sideways; no pixel is interpolated."""
    return image.transpose(Image.Transpose.ROTATE_90)


def cropped(image: Image.Image) -> Image.Image:
    """The middle, of CROPPED_RATIO of each side."""
    width, height = (max(1, round(side * CROPPED_RATIO)) for side in image.size)
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def darker(image: Image.Image) -> Image.Image:
    """Each 8-bit sRGB value v becomes 255 * (v / 255) ** GAMMA, rounded."""
    curve = np.rint(255 * (np.arange(256) / 255) ** GAMMA).astype(int).tolist()
    return image.point(curve * 3)


def recompressed(image: Image.Image) -> Image.Image:
    """As a JPEG of JPEG_QUALITY with halved chroma gives it."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=JPEG_QUALITY, subsampling="4:2:0")
    return Image.open(file).convert("RGB")


ALTERATIONS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "grey": grey,
    "rotated by a quarter": rotated,
    f"cropped to {CROPPED_RATIO:.0%} of each side": cropped,
    f"gamma {GAMMA}": darker,
    f"JPEG of quality {JPEG_QUALITY}": recompressed,
}


@dataclass(frozen=True)
class Recovered:
    """How many altered plates found their original first, by each encoder, and McNemar's test between them."""

    alteration: str
    first: Proportion
    second: Proportion
    test: McNemar


def recover_originals(dataset: Dataset, registry: Registry, pair: Pair, count: int) -> list[Recovered]:
    """Alters drawn plates in memory, and asks with each for the plate among all plates of both encoders.

    Args:
        dataset: the library.
        registry: every instrument.
        pair: the encoders' current vectors, see `pairs.read_pair`.
        count: how many plates are drawn, the same ones each time; at most all.

    Raises:
        WeightsMissing: the weights of an encoder are not on disk; the message names the command.
        ContractBroken, DeviceUnavailable: an encoder reads no pixels, or its device is not here.
        SourceChanged, ImageRefused: a plate's source was altered.
    """
    for space in (pair.first, pair.second):
        if reason := why_without_weights(registry.instruments[space.name]):
            raise WeightsMissing(f"{space.name}: {reason}")
    own = np.sort(np.random.default_rng(SEED).permutation(len(pair.plate_ids))[:count])
    first, second = (_is_found(dataset, registry, space, own) for space in (pair.first, pair.second))
    return [
        Recovered(name, proportion(first[:, n]), proportion(second[:, n]), mcnemar(first[:, n], second[:, n]))
        for n, name in enumerate(ALTERATIONS)
    ]


def _is_found(dataset: Dataset, registry: Registry, space: Space, own: np.ndarray) -> np.ndarray:
    """Whether each altered plate finds itself first, bool [plates, alterations]."""
    with loaded(registry.instruments[space.name]) as work:
        vectors = [unit_vectors(work, _altered(dataset, space.plate_ids[row])) for row in own.tolist()]
    ranks = rank_of_own(np.concatenate(vectors), space.unit, np.repeat(own, len(ALTERATIONS)))
    return (ranks == 1).reshape(-1, len(ALTERATIONS))


def _altered(dataset: Dataset, plate_id: str) -> Iterator[Image.Image]:
    image = decode_source(dataset.plate(plate_id)).image
    return (alter(image) for alter in ALTERATIONS.values())

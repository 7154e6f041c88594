"""The plates nearest to a picture from outside the library, by each encoder and by all together."""

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from atlas_assets.search.encoding import encoders_of, loaded, measure_with, require_encoder, unit_vectors
from atlas_assets.search.ranking import Near, nearest_plates
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.ledgers.topology.neighbours import MOST_NEIGHBOURS
from atlas_resources.ledgers.topology.spaces import Space, read_embedding_spaces
from atlas_resources.measures.spaces.fusion import fuse_rankings
from atlas_resources.models.weights import why_without_weights
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode
from atlas_resources.tables.ledgers import PLATES


class NothingToCompare(ValueError):
    """No encoder can place the picture among plates; the message says why of each."""


@dataclass(frozen=True)
class Fused:
    """A plate near the picture by all spaces: its sum of votes, and where each space has it, by the space's name."""

    plate_id: str
    score: float
    votes: Mapping[str, Near]


@dataclass(frozen=True)
class Similar:
    """What is near a picture.

    Attributes:
        sha256: of the file.
        same_file: plates whose source is the same file.
        by: the nearest plates by each encoder, the nearest first.
        fused: the nearest by all of these, by reciprocal rank fusion.
        left_out: encoders that did not answer, with the reason.
    """

    sha256: str
    same_file: tuple[str, ...]
    by: Mapping[str, list[Near]]
    fused: list[Fused]
    left_out: Mapping[str, str]


def find_similar(dataset: Dataset, registry: Registry, path: Path, by: str | None, k: int) -> Similar:
    """The k plates nearest to a picture. The file is decoded by the rules of a scan; nothing is written.

    As in `ensemble_nearest`, each encoder votes for its MOST_NEIGHBOURS nearest plates, or for k if that is more.

    Args:
        dataset: the library.
        registry: every instrument.
        path: the picture.
        by: the one encoder to ask, active or not; None asks every active one whose weights are on disk.
        k: how many plates.

    Raises:
        ImageRefused: the file is no image that could be registered.
        KeyError, ValueError: see `require_encoder`.
        NothingToCompare: no encoder could answer.
    """
    active = [one for one in encoders_of(registry) if one.key in registry.active]
    asked = active if by is None else [require_encoder(registry, by)]
    decoded = decode(path)
    spaces = {one.name: one for one in read_embedding_spaces(dataset, registry, [one.key for one in asked])}
    reasons = _why_not(asked, spaces)
    near: dict[str, list[Near]] = {}
    for instrument in asked:
        if instrument.key in reasons:
            continue
        try:
            near[instrument.key] = _nearest(spaces[instrument.key], instrument, decoded.image, max(k, MOST_NEIGHBOURS))
        except (OSError, ValueError, RuntimeError) as error:  # an encoder that cannot run here, such as without a GPU
            reasons[instrument.key] = str(error)
    if not near:
        whys = "; ".join(f"{key}: {reason}" for key, reason in reasons.items()) or "the roster has no active encoder"
        raise NothingToCompare(f"{path}: no encoder could be asked. {whys}")
    plates = read_ledger(dataset, PLATES, ("plate_id", "source_sha256"))
    same = plates.filter(source_sha256=decoded.facts.source_sha256)["plate_id"].sort()
    shown = {key: found[:k] for key, found in near.items()}
    return Similar(decoded.facts.source_sha256, tuple(same), shown, _fuse(near, k), reasons)


def _why_not(asked: Iterable[Instrument], spaces: Container[str]) -> dict[str, str]:
    """Why encoders cannot be asked, before anything is loaded, by key."""
    reasons = {}
    for one in asked:
        if one.key not in spaces:
            reasons[one.key] = f"no plate has a current vector of it. Fix: {measure_with(one.key)}"
        elif one.spec.upstream:
            reasons[one.key] = f"it reads the vectors of {one.spec.upstream}, not pixels"
        elif reason := why_without_weights(one):
            reasons[one.key] = reason
    return reasons


def _nearest(space: Space, instrument: Instrument, image: Image.Image, count: int) -> list[Near]:
    with loaded(instrument) as work:
        (vector,) = unit_vectors(work, [image])
    return nearest_plates(space, vector, count)


def _fuse(near: Mapping[str, list[Near]], k: int) -> list[Fused]:
    names = sorted({one.plate_id for found in near.values() for one in found})
    numbers = {name: number for number, name in enumerate(names)}
    rankings = [np.array([numbers[one.plate_id] for one in found], dtype=np.int64) for found in near.values()]
    indices, scores = fuse_rankings(rankings, k)
    votes = {key: {one.plate_id: one for one in found} for key, found in near.items()}
    return [
        Fused(name, score, {key: found[name] for key, found in votes.items() if name in found})
        for name, score in zip((names[i] for i in indices.tolist()), scores.tolist(), strict=True)
    ]

"""Instruments whose model embeds images and texts into one space: which there are, and which can be asked here."""

from dataclasses import dataclass

import numpy as np

from atlas_assets.search.encoding import measure_with
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.topology.spaces import read_embedding_spaces
from atlas_resources.measures.spaces.neighbour_graphs import unit_rows
from atlas_resources.models.loading import load_model
from atlas_resources.models.memory import release_cached_memory
from atlas_resources.models.protocols import TextEmbedder
from atlas_resources.models.weights import why_without_weights
from atlas_resources.plates.dataset import Dataset


@dataclass(frozen=True)
class ImageText:
    """An embedding instrument with the probe whose text tower embeds texts into the same space."""

    encoder: Instrument
    tower: Instrument

    @property
    def key(self) -> str:
        """The embedding instrument's key."""
        return self.encoder.key


def image_text_instruments(registry: Registry) -> dict[str, ImageText]:
    """The admitted instruments with a text tower, by the key of the embedding instrument: active ones first."""
    found = [
        ImageText(tower.upstream, tower)
        for tower in registry.instruments.values()
        if tower.upstream and tower.prompts and tower.spec.role == "probe"
    ]
    # Then those that need no GPU, of which the first is the one to fetch if there is none.
    found.sort(key=lambda one: (one.key not in registry.active, one.encoder.is_gpu, one.key))
    return {one.key: one for one in found}


def require_image_text(registry: Registry, name: str) -> ImageText:
    """The image-text instrument of a key, model id or alias.

    Raises:
        KeyError: no such instrument.
        ValueError: no admitted probe with prompts reads it; the message names the instruments with one.
    """
    key, found = registry.require(name).key, image_text_instruments(registry)
    if key not in found:
        known = ", ".join(sorted(found)) or "none"
        raise ValueError(f"{key} has no text tower among the admitted instruments; those with one: {known}.")
    return found[key]


def why_not(dataset: Dataset, registry: Registry, one: ImageText, is_picture: bool) -> str:
    """Why an instrument cannot be asked here, with the command; empty if it can.

    Args:
        dataset: the library.
        registry: every instrument.
        one: the instrument.
        is_picture: whether it has to embed a picture too, not only words.
    """
    wanted = [one.tower, *([one.encoder] if is_picture else [])]
    missing = {member.key for member in wanted if why_without_weights(member)}
    if missing:
        pulled = f"atlas models pull {one.encoder.key} {one.tower.key}"
        return f"its weights are not on disk. Fix: {pulled} && {measure_with(one.key)}"
    if not read_embedding_spaces(dataset, registry, [one.key]):
        return f"no plate has a current vector of it. Fix: {measure_with(one.key)}"
    return ""


def embed_words(one: ImageText, words: str) -> np.ndarray:
    """The unit vector of words, float64 [dim], by the text tower, which is released at the end.

    Raises:
        What `load_model` raises.
    """
    model = load_model(one.tower.spec, one.tower.prompts)
    try:
        if not isinstance(model, TextEmbedder):
            raise TypeError(f"{one.tower.key}: expected a model that embeds text, found {type(model).__name__}")
        (vector,) = unit_rows(model.embed_text([words]))
        return vector
    finally:
        del model
        release_cached_memory()


def first_that_answers(
    dataset: Dataset, registry: Registry, is_picture: bool
) -> tuple[ImageText | None, dict[str, str]]:
    """The first image-text instrument that can be asked here, and why those before it cannot, by key."""
    reasons: dict[str, str] = {}
    for key, one in image_text_instruments(registry).items():
        reason = why_not(dataset, registry, one, is_picture)
        if not reason:
            return one, reasons
        reasons[key] = reason
    return None, reasons

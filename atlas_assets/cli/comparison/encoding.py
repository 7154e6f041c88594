"""Vectors of pictures by embedding instruments, through the code that measures plates. Nothing is registered or sealed."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image

from atlas_assets.roles.embedding import EmbeddingWork
from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.registry import Registry
from atlas_resources.measures.spaces.neighbour_graphs import unit_rows
from atlas_resources.models.loading import load_model
from atlas_resources.models.memory import release_cached_memory


def encoders_of(registry: Registry) -> list[Instrument]:
    """The active instruments whose whole-plate vectors are the ensemble, by key."""
    return [one for one in registry.active_instruments if one.spec.role == "embedding" and one.spec.region is None]


def require_encoder(registry: Registry, name: str) -> Instrument:
    """The active embedding instrument of a name.

    Args:
        registry: every instrument.
        name: its key, model id or alias.

    Raises:
        KeyError: there is no such instrument.
        ValueError: it embeds no whole plates, or it is not active; the message names those that do.
    """
    key = registry.require(name).key
    encoders = {one.key: one for one in encoders_of(registry)}
    if key not in encoders:
        known = ", ".join(encoders) or "none"
        raise ValueError(
            f"{key}: expected an active instrument that embeds whole plates; those are: {known}. "
            f"`atlas models show {key}` says what it is, and whether the roster has it active."
        )
    return encoders[key]


def measure_with(key: str) -> str:
    """The command that measures every plate with an encoder and refreshes the ledgers."""
    return f"""atlas run 'key:"embeddings/{key}"' && atlas run @ledgers"""


@contextmanager
def loaded(instrument: Instrument) -> Iterator[EmbeddingWork]:
    """An encoder with its model, which is released at the end. Raises what `load_model` raises."""
    work = EmbeddingWork(instrument.spec, lambda: load_model(instrument.spec, instrument.prompts))
    try:
        work.load()
        yield work
    finally:
        del work
        release_cached_memory()


def unit_vectors(work: EmbeddingWork, images: Iterable[Image.Image]) -> np.ndarray:
    """The vectors of whole pictures, float64 [pictures, dim], of length 1. Raises ContractBroken, or ValueError for 0."""
    return unit_rows(np.stack(work.embed_pictures(images)))

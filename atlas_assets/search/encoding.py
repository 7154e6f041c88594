"""Vectors of pictures by embedding instruments, through the code that measures plates. Nothing is sealed."""

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
    """The admitted instruments that embed whole plates, by key."""
    return [one for one in registry.instruments.values() if one.spec.role == "embedding" and one.spec.region is None]


def require_encoder(registry: Registry, name: str) -> Instrument:
    """The admitted instrument of a name that embeds whole plates, active or not.

    Args:
        registry: every instrument.
        name: its key, model id or alias.

    Raises:
        KeyError: there is no such instrument.
        ValueError: it is not admitted, or embeds no whole plates.
    """
    key = registry.require(name).key
    encoders = {one.key: one for one in encoders_of(registry)}
    if key not in encoders:
        raise ValueError(
            f"{key}: expected an admitted instrument that embeds whole plates, found one of role "
            f"{registry.specs[key].role} that {'may' if key in registry.instruments else 'may not'} run. "
            f"`atlas models list --role embedding` lists them."
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
        if hasattr(work, "model"):  # the caller still holds the work
            del work.model
        release_cached_memory()


def unit_vectors(work: EmbeddingWork, images: Iterable[Image.Image]) -> np.ndarray:
    """The vectors of whole pictures, float64 [pictures, dim], of length 1.

    Pictures go through the model one by one, since their inputs may differ in shape; one is in memory at a time.

    Raises:
        ContractBroken: see `EmbeddingWork.embed_picture`.
        ValueError: a vector has no direction.
    """
    return unit_rows(np.stack([work.embed_picture(image) for image in images]))

"""Vectors of the data set's pictures by an instrument, through the code that measures plates."""

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from atlas_assets.roles.embedding import EmbeddingWork
from atlas_resources.files.digests import sha256_of
from atlas_resources.files.durable import write_bytes_atomically
from benchmarks.met.data import DataMissing, Pictures, read_pictures


def rgb(content: bytes) -> Image.Image:
    """A picture as mteb hands it to a model: Pillow's RGB, without its colour profile."""
    return Image.open(io.BytesIO(content)).convert("RGB")


def embed_part(
    work: EmbeddingWork, part: Pictures, kept: Path | None, threads: int
) -> Iterator[tuple[str, np.ndarray]]:
    """The vectors of each file of a part, float32 [rows, dim], rows of length 1, with a line that says what was done.

    Args:
        work: the encoder, loaded.
        part: its pictures.
        kept: a folder for this instrument's vectors, with those of an interrupted call; None keeps none.
        threads: that decode and prepare pictures.
    """
    for path in part.files:
        at = kept and kept / f"{part.name}-{path.stem}-{sha256_of(path)[:12]}.npy"
        if at and at.is_file():
            yield f"{part.name}: {path.name} as kept", np.load(at)
            continue
        vectors = np.concatenate(list(_batches(work, path, threads)))
        if at:
            content = io.BytesIO()
            np.save(content, vectors)
            write_bytes_atomically(at, content.getvalue())
        yield f"{part.name}: {path.name}, {len(vectors)} pictures", vectors


def _batches(work: EmbeddingWork, path: Path, threads: int) -> Iterator[np.ndarray]:
    pictures = (content for _, content in read_pictures(path))
    with ThreadPoolExecutor(threads) as pool:
        while some := list(islice(pictures, max(1, work.spec.batch_size))):
            raw = work.embed_pictures(list(pool.map(rgb, some)), pool.map)
            lengths = np.linalg.norm(raw, axis=1, keepdims=True)
            if not (lengths > 0).all():
                raise DataMissing(f"{path}: a picture has a vector without a direction")
            yield raw / lengths

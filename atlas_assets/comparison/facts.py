"""What an encoder costs and under which terms, beside what it says."""

from dataclasses import dataclass

import polars as pl

from atlas_resources.instruments.instrument import Instrument
from atlas_resources.instruments.spec.pins import weight_files
from atlas_resources.ledgers.parquet import read_runs_of
from atlas_resources.models.checkpoints.counts import count_numbers
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.table import IS_CURRENT

BYTES_OF_FLOAT32 = 4


@dataclass(frozen=True)
class Facts:
    """An encoder's figures; None where nothing states them.

    Attributes:
        key, model_id, revision: which it is.
        plates: with a current vector.
        dim: numbers in a vector.
        vector_bytes: of a plate's vector in float32.
        seconds_per_plate: median of `compute_seconds` over current runs, in the model alone.
        device: of these runs.
        peak_memory_bytes: most that a process of these runs had used, with whatever else it did.
        peak_device_memory_bytes: most that torch had allocated on the accelerator.
        weights_bytes: of the pinned weight files.
        weight_numbers: in these files, see `count_numbers`.
        licence: SPDX id.
        commercial_use: yes, no or unknown.
    """

    key: str
    model_id: str
    revision: str
    plates: int
    dim: int
    vector_bytes: int
    seconds_per_plate: float | None
    device: str | None
    peak_memory_bytes: int | None
    peak_device_memory_bytes: int | None
    weights_bytes: int | None
    weight_numbers: int | None
    licence: str
    commercial_use: str


def facts_of(dataset: Dataset, instrument: Instrument, plates: int, dim: int) -> Facts:
    """The figures of an encoder, from its spec, its weight files and the ledger of runs.

    Args:
        dataset: the library.
        instrument: the encoder.
        plates: how many have a current vector of it.
        dim: of its vectors.

    Raises:
        WeightsMismatch: a weight file on disk is not the pinned one.
    """
    runs = read_runs_of(dataset, "embedding").filter(IS_CURRENT.name, instrument=instrument.key, status="complete")
    figures = runs.select(
        pl.col("compute_seconds").median(),
        pl.col("device").drop_nulls().unique().sort().str.join(", "),
        pl.col("peak_memory_bytes").max(),
        pl.col("peak_device_memory_bytes").max(),
    ).row(0)
    seconds, device, memory, device_memory = figures
    sizes = [file.size_bytes for file in weight_files(instrument.spec)]
    identity = instrument.identity
    return Facts(
        key=instrument.key,
        model_id=identity.model_id,
        revision=identity.model_sha,
        plates=plates,
        dim=dim,
        vector_bytes=dim * BYTES_OF_FLOAT32,
        seconds_per_plate=seconds,
        device=device or None,
        peak_memory_bytes=memory,
        peak_device_memory_bytes=device_memory,
        weights_bytes=None if None in sizes else sum(size for size in sizes if size is not None),
        weight_numbers=count_numbers(instrument.spec),
        licence=identity.licence,
        commercial_use=identity.commercial_use,
    )

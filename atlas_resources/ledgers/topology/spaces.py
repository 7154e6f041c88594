"""The spaces of a dataset: current whole-plate vectors of the active embedding instruments, and colour histograms."""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from atlas_resources.files.stated_digests import part_paths
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.parquet import keep, ledger_path, read_ledger
from atlas_resources.measures.spaces.neighbour_graphs import unit_rows
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.index.memory import content_digest, memory_of
from atlas_resources.tables.ledgers import HISTOGRAMS
from atlas_resources.tables.results import INSTRUMENT_TABLES
from atlas_resources.tables.table import IS_CURRENT

VERSION = 1
"""Of the code that computes the ledgers of topology; raised when its numbers change."""
DECIMALS = 9
"""A rebuild on other threads sums in another order, which changes the last digits of a number."""
COLOUR = "colour_histogram"
EMBEDDINGS = INSTRUMENT_TABLES["embedding"]


@dataclass(frozen=True)
class Space:
    """The vectors of a space.

    Attributes:
        name: key of the instrument, or COLOUR.
        plate_ids: sorted.
        unit: float64 [plates, dim], rows of length 1, in the order of `plate_ids`.
        run_ids: of the vectors, in the same order; empty of colour.
        inputs_sha256: see `inputs_of`.
    """

    name: str
    plate_ids: tuple[str, ...]
    unit: np.ndarray
    run_ids: tuple[str, ...]
    inputs_sha256: str

    @property
    def is_embedding(self) -> bool:
        """Whether an instrument made it: such spaces are the ensemble."""
        return self.name != COLOUR


def inputs_of(name: str, made_of: pl.DataFrame) -> str:
    """sha256 over a space's name, each plate with what its vector is of, and VERSION.

    Args:
        name: of the space.
        made_of: two columns, the plate and its sealed run or the digest of its groundwork's file.
    """
    lines = [f"{plate_id} {made}\n" for plate_id, made in sorted(made_of.iter_rows())]
    return hashlib.sha256(f"{VERSION} {name}\n{''.join(lines)}".encode()).hexdigest()


def joint_inputs(*inputs: str) -> str:
    """sha256 over those of several spaces."""
    return hashlib.sha256("\n".join(inputs).encode()).hexdigest()


def _has_direction() -> pl.Expr:
    return pl.col("l2_norm").is_finite() & (pl.col("l2_norm") > 0)


def _current_vectors(
    dataset: Dataset, registry: Registry, names: Collection[str] | None = None, columns: Sequence[str] = ()
) -> Iterator[tuple[str, pl.DataFrame]]:
    """The rows of current whole-plate vectors by key: of these instruments, or of the active ones; plates sorted."""
    rows = read_ledger(
        dataset, EMBEDDINGS, ("instrument", "scope", "plate_id", "run_id", "l2_norm", IS_CURRENT.name, *columns)
    )
    rows = rows.filter(IS_CURRENT.name, _has_direction(), scope="plate")
    asked = registry.active if names is None else names
    whole = _whole_plate_keys(registry, asked)
    for key in sorted(set(whole) & set(rows["instrument"])):
        yield key, rows.filter(instrument=key).sort("plate_id")


def _whole_plate_keys(registry: Registry, asked: Collection[str]) -> list[str]:
    """The keys of instruments that measure whole plates, of those that are asked for."""
    return [key for key, one in registry.instruments.items() if key in asked and one.spec.region is None]


def _made_of(dataset: Dataset, registry: Registry) -> dict[str, pl.DataFrame]:
    """Of each space, by name, its plates and what their vectors are of, as `inputs_of` takes them."""
    found = {key: rows.select("plate_id", "run_id") for key, rows in _current_vectors(dataset, registry)}
    colours = read_ledger(dataset, HISTOGRAMS, ("plate_id", "file_sha256", "is_current")).filter("is_current")
    return {**found, **({COLOUR: colours.select("plate_id", "file_sha256")} if len(colours) else {})}


def present_inputs(dataset: Dataset, registry: Registry) -> dict[str, str]:
    """The digest of what each space is made of, by name. Reads no vectors, and nothing if no ledger changed."""
    return {name: digest for name, (digest, _) in present_inputs_and_plates(dataset, registry).items()}


def present_inputs_and_plates(dataset: Dataset, registry: Registry) -> dict[str, tuple[str, int]]:
    """The same with the number of plates of each space."""
    keep(dataset, EMBEDDINGS.name, HISTOGRAMS.name)
    paths = [str(part) for one in (EMBEDDINGS, HISTOGRAMS) for part in part_paths(ledger_path(dataset, one))]

    def read(subject: str) -> dict[str, tuple[str, int]]:
        return {name: (inputs_of(name, rows), rows.height) for name, rows in _made_of(dataset, registry).items()}

    whole = content_digest([VERSION, sorted(_whole_plate_keys(registry, registry.active))])
    found = memory_of(dataset.root).look_up(
        "spaces 1", ["inputs"], lambda subject, known: paths, read, follows={"inputs": whole}
    )
    return {name: (digest, count) for name, (digest, count) in found.values["inputs"].items()}


def read_spaces(dataset: Dataset, registry: Registry) -> list[Space]:
    """The spaces of at least one plate, in order of name; colour last."""
    spaces = read_embedding_spaces(dataset, registry)
    colours = read_ledger(dataset, HISTOGRAMS, ("plate_id", "file_sha256", "is_current", "lab"))
    colours = colours.filter("is_current").sort("plate_id")
    if len(colours):
        # The cosine of the roots of two histograms is Bhattacharyya's coefficient: it orders as Hellinger's distance.
        unit = unit_rows(np.sqrt(np.stack(colours["lab"].to_list())))
        made_of = colours.select("plate_id", "file_sha256")
        spaces.append(Space(COLOUR, tuple(colours["plate_id"]), unit, (), inputs_of(COLOUR, made_of)))
    return spaces


def read_embedding_spaces(dataset: Dataset, registry: Registry, names: Collection[str] | None = None) -> list[Space]:
    """The spaces of embedding instruments with a current vector, in order of name.

    Args:
        dataset: the library.
        registry: every instrument.
        names: keys of admitted instruments, active or not; None is all active ones.
    """
    spaces = []
    for key, rows in _current_vectors(dataset, registry, names, ("vector",)):
        unit = unit_rows(np.stack(rows["vector"].to_list()))
        made_of = rows.select("plate_id", "run_id")
        spaces.append(Space(key, tuple(rows["plate_id"]), unit, tuple(rows["run_id"]), inputs_of(key, made_of)))
    return spaces

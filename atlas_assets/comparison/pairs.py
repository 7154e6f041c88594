"""The vectors of two encoders over the plates that both have measured."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from atlas_assets.search.encoding import measure_with, require_encoder
from atlas_resources.instruments.registry import Registry
from atlas_resources.ledgers.topology.spaces import Space, read_embedding_spaces
from atlas_resources.plates.dataset import Dataset


class NotComparable(ValueError):
    """Two instruments without current vectors in common plates; the message names the command that makes them."""


@dataclass(frozen=True)
class Pair:
    """The current vectors of two encoders over the same plates, in the order that was asked for.

    `measured` is how many plates each has a current vector of.
    """

    first: Space
    second: Space
    measured: tuple[int, int]

    @property
    def plate_ids(self) -> tuple[str, ...]:
        """The plates, sorted."""
        return self.first.plate_ids


def read_pair(dataset: Dataset, registry: Registry, names: Sequence[str]) -> Pair:
    """The vectors of two encoders over the plates that both have measured.

    Args:
        dataset: the library.
        registry: every instrument.
        names: two keys, model ids or aliases.

    Raises:
        KeyError, ValueError: see `require_encoder`; or both names are of one instrument.
        NotComparable: one has no current vectors, or they have no plates in common.
    """
    first, second = (require_encoder(registry, name).key for name in names)
    if first == second:
        raise ValueError(f"expected two instruments, found {first} twice. `atlas models list --role embedding`")
    spaces = {one.name: one for one in read_embedding_spaces(dataset, registry, (first, second))}
    for key in (first, second):
        if key not in spaces:
            raise NotComparable(f"no plate has a current vector of {key}. Fix: {measure_with(key)}")
    common = sorted(set(spaces[first].plate_ids) & set(spaces[second].plate_ids))
    if len(common) < 2:
        fixes = f"{measure_with(first)}; {measure_with(second)}"
        raise NotComparable(f"{first} and {second} have {len(common)} plates in common; expected 2. Fix: {fixes}")
    measured = len(spaces[first].plate_ids), len(spaces[second].plate_ids)
    return Pair(_over(spaces[first], common), _over(spaces[second], common), measured)


def _over(space: Space, plate_ids: Sequence[str]) -> Space:
    rows = {plate_id: number for number, plate_id in enumerate(space.plate_ids)}
    numbers = [rows[plate_id] for plate_id in plate_ids]
    runs = tuple(space.run_ids[number] for number in numbers)
    return replace(space, plate_ids=tuple(plate_ids), unit=space.unit[numbers], run_ids=runs)

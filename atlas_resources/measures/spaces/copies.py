"""Pairs of plates that may be copies of each other by their perceptual hashes, and groups of such pairs."""

from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

BLOCK_ROWS = 512


def hash_distance(first: str, second: str) -> int:
    """How many bits two hashes of 64 bits in hex differ in, 0..64."""
    return (int(first, 16) ^ int(second, 16)).bit_count()


def near_hashes(hashes: Sequence[str], most: int) -> np.ndarray:
    """Pairs of indices, the smaller first, whose hashes differ in at most so many bits: int64 [pairs, 2].

    Args:
        hashes: of 64 bits each, in hex.
        most: of the bits.
    """
    bits = np.array([int(one, 16) for one in hashes], dtype=np.uint64)
    found = [np.empty((0, 2), dtype=np.int64)]
    for start in range(0, len(bits), BLOCK_ROWS):
        rows = bits[start : start + BLOCK_ROWS]
        differing = np.bitwise_count(rows[:, None] ^ bits[None, :])
        left, right = np.nonzero(differing <= most)
        pairs = np.column_stack([left + start, right])
        found.append(pairs[pairs[:, 0] < pairs[:, 1]])
    return np.concatenate(found)


def groups_of(pairs: np.ndarray, count: int) -> np.ndarray:
    """The group of each plate, int64 [count], from 1 in order of their first plates; 0 in none.

    Args:
        pairs: int64 [pairs, 2]; plates that are joined by a chain of pairs are one group.
        count: how many plates there are.
    """
    joined = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, labels = connected_components(joined, directed=False)
    groups, number = np.zeros(count, dtype=np.int64), 0
    sizes = np.bincount(labels, minlength=count)
    seen: dict[int, int] = {}
    for plate, label in enumerate(labels):
        if sizes[label] > 1:
            if label not in seen:
                number += 1
                seen[label] = number
            groups[plate] = seen[label]
    return groups

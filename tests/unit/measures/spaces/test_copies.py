"""Pairs of near hashes, and the groups that they form."""

import numpy as np
import pytest

from atlas_resources.measures.spaces import copies
from atlas_resources.measures.spaces.copies import groups_of, hash_distance, near_hashes

HASHES = ["0000000000000000", "0000000000000003", "ffffffffffffffff", "000000000000000f"]


def test_the_distance_of_hashes_is_the_number_of_differing_bits():
    assert [hash_distance(HASHES[0], other) for other in HASHES] == [0, 2, 64, 4]


@pytest.mark.parametrize(("most", "pairs"), [(1, []), (2, [[0, 1], [1, 3]]), (4, [[0, 1], [0, 3], [1, 3]])])
def test_near_hashes_are_found_once_each(most: int, pairs: list):
    assert near_hashes(HASHES, most).tolist() == pairs


def test_blocks_change_nothing(monkeypatch):
    drawing = np.random.default_rng(0)
    hashes = [f"{value:016x}" for value in drawing.integers(0, 2**63, 50, dtype=np.uint64)]
    whole = near_hashes(hashes, 26)
    monkeypatch.setattr(copies, "BLOCK_ROWS", 7)
    assert len(whole) > 5
    assert (near_hashes(hashes, 26) == whole).all()


def test_plates_joined_by_a_chain_are_one_group_in_order_of_first_plates():
    assert groups_of(np.array([[5, 2], [1, 4], [4, 3]]), 6).tolist() == [0, 1, 2, 1, 1, 2]
    assert groups_of(np.empty((0, 2), dtype=np.int64), 3).tolist() == [0, 0, 0]

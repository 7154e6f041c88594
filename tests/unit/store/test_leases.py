"""A lease has one owner at a time, ends without being renewed, and survives answers that are lost."""

import pytest
from support.made_stores import Faulty, memory_store

from atlas_resources.store.leases import CLOCK_TOLERANCE_SECONDS, LEASE_SECONDS, Leases
from atlas_resources.store.protocol import StoreUnreachable

KEY = "claims/plate-001/segments.json"


class Clock:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store() -> Faulty:
    return Faulty(memory_store())


@pytest.fixture
def workers(store, clock) -> tuple[Leases, Leases]:
    return Leases(store, "first", now=clock), Leases(store, "second", now=clock)


def test_one_worker_holds_it_until_it_is_given_back(workers):
    first, second = workers
    lease = first.take(KEY)
    assert lease is not None
    assert second.take(KEY) is None
    assert first.take(KEY) is None
    lease.give_back()
    taken = second.take(KEY)
    assert taken is not None
    assert taken.deaths == 0


def test_of_a_worker_that_is_not_heard_of_it_is_taken_over(workers, clock):
    first, second = workers
    lost = first.take(KEY)
    clock.seconds += LEASE_SECONDS + CLOCK_TOLERANCE_SECONDS
    assert second.take(KEY) is None
    clock.seconds += 1
    taken = second.take(KEY)
    assert taken is not None
    assert taken.deaths == 1
    lost.renew()
    assert not lost.is_held
    assert taken.is_held


def test_a_worker_that_is_paused_does_not_give_back_what_another_took(workers, clock):
    first, second = workers
    lost = first.take(KEY)
    clock.seconds += LEASE_SECONDS + CLOCK_TOLERANCE_SECONDS + 1
    taken = second.take(KEY)
    lost.give_back()
    assert first.take(KEY) is None
    taken.renew()
    assert taken.is_held


def test_a_lease_that_is_renewed_does_not_end(workers, clock):
    first, second = workers
    lease = first.take(KEY)
    for _ in range(10):
        clock.seconds += LEASE_SECONDS / 3
        first.renew_all()
    assert second.take(KEY) is None
    assert lease.is_held


def test_deaths_add_up_until_somebody_gives_it_back(workers, clock):
    first, second = workers
    first.take(KEY)
    for expected, worker in ((1, second), (2, first)):
        clock.seconds += LEASE_SECONDS + CLOCK_TOLERANCE_SECONDS + 1
        lease = worker.take(KEY)
        assert lease.deaths == expected
    lease.give_back(lease.deaths)
    again = second.take(KEY)
    assert again.deaths == 2
    again.give_back()
    assert first.take(KEY).deaths == 0


def test_a_store_that_does_not_answer_costs_no_lease(workers, store):
    first, second = workers
    lease = first.take(KEY)
    store.cut = 1
    lease.renew()
    assert lease.is_held
    lease.renew()
    assert second.take(KEY) is None


def test_a_renewal_whose_answer_was_lost_is_not_taken_for_anothers(workers, store, clock):
    first, second = workers
    lease = first.take(KEY)
    store.lost_answers = 1
    lease.renew()
    clock.seconds += 1
    lease.renew()
    assert lease.is_held
    assert second.take(KEY) is None


def test_a_lease_whose_taking_was_not_answered_ends_by_itself(workers, store, clock):
    first, second = workers
    store.lost_answers = 1
    with pytest.raises(StoreUnreachable):
        first.take(KEY)
    assert second.take(KEY) is None
    clock.seconds += LEASE_SECONDS + CLOCK_TOLERANCE_SECONDS + 1
    assert second.take(KEY) is not None


def test_what_is_no_lease_holds_nobody_off(workers, store):
    store.replace(KEY, b"{", None)
    assert workers[0].take(KEY) is not None

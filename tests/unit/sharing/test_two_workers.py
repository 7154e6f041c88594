"""Workers with folders of their own and one store: each plate is sealed once, whatever happens in between."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import fake_instruments
from support.fake_instruments import SEGMENTER, fake_registry, fake_spec
from support.made_datasets import make_dataset
from support.made_stores import Faulty, memory_store

from atlas_assets.roles.segmentation import SegmentationWork
from atlas_assets.roles.works import make_groundwork
from atlas_resources.models.loading import load_model
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.claims import claim_plate
from atlas_resources.runs.execution import execute_run
from atlas_resources.runs.sealed import find_done
from atlas_resources.sharing import worker
from atlas_resources.sharing.fetching import FetchedWrong
from atlas_resources.sharing.runs import read_sealed
from atlas_resources.sharing.transfer import push
from atlas_resources.sharing.worker import Shared
from atlas_resources.store.leases import Leases
from atlas_resources.store.protocol import StoreUnreachable

NAMES = ("red", "green")


class Library:
    """A store with two plates, and workers that know it."""

    def __init__(self, drawn: Dataset, place: Path, monkeypatch: pytest.MonkeyPatch):
        self.drawn = drawn
        self.store = Faulty(memory_store())
        self.seconds = 1_000_000.0
        self._place = place
        self._shared: dict[Dataset, Shared] = {}
        monkeypatch.setattr(worker, "named_store", lambda: self.store)
        monkeypatch.setattr(worker, "_shared", lambda dataset, store: self._shared[dataset])
        push(drawn, self.store)
        self.instrument = fake_registry(fake_spec(SEGMENTER)).instruments[SEGMENTER]

    def worker(self, name: str) -> Dataset:
        """A worker whose folder is empty."""
        dataset = Dataset(self._place / name)
        dataset.ensure()
        leases = Leases(self.store, name, now=lambda: self.seconds)
        self._shared[dataset] = Shared(dataset, self.store, leases)
        return dataset

    def measure(self, dataset: Dataset, plate_ids: list[str], *, is_forced: bool = False) -> dict[str, str]:
        """The status of each plate."""
        spec = self.instrument.spec
        work = SegmentationWork(spec, lambda: load_model(spec))
        outcomes = execute_run(dataset, self.instrument, plate_ids, work, is_forced=is_forced)
        return {outcome.plate_id: outcome.status for outcome in outcomes}

    def sealed(self, plate_id: str) -> int:
        """How many complete runs the store has of a plate."""
        source = self.drawn.plate(plate_id).source_sha256()
        return len(read_sealed(self.store, self.instrument.identity.fingerprint, plate_id, source))


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Dataset:
    return make_dataset(tmp_path_factory.mktemp("drawn"), *NAMES)


@pytest.fixture
def library(drawn, tmp_path, monkeypatch) -> Library:
    fake_instruments.install(monkeypatch)
    return Library(drawn, tmp_path, monkeypatch)


PLATES = ["plate-001", "plate-002"]


def test_a_worker_with_an_empty_folder_measures_what_the_store_has(library):
    first = library.worker("first")
    assert library.measure(first, PLATES) == dict.fromkeys(PLATES, "complete")
    second = library.worker("second")
    assert library.measure(second, PLATES) == dict.fromkeys(PLATES, "reused")
    for plate_id in PLATES:
        here, there = (find_done(dataset.plate(plate_id), library.instrument.identity) for dataset in (first, second))
        assert here == there
        assert not (second.plate(plate_id).folder / "source").exists(), "a source that nobody reads is not fetched"


def test_groundwork_is_made_once_and_fetched_by_the_other(library):
    statuses = [
        {outcome.plate_id: outcome.status for outcome in make_groundwork(library.worker(name), PLATES)}
        for name in ("first", "second")
    ]
    assert statuses == [dict.fromkeys(PLATES, "complete"), dict.fromkeys(PLATES, "reused")]


def test_a_list_that_is_late_hides_no_run(library):
    first, second = library.worker("first"), library.worker("second")
    library.measure(first, PLATES)
    library.store.late = 100
    assert library.measure(second, PLATES) == dict.fromkeys(PLATES, "reused")


def test_the_second_of_two_that_measured_a_plate_keeps_the_first_ones_result(library):
    """A worker is paused for longer than its lease, after it has looked: both measure, and neither knows."""
    first, second = Worker(library, "first"), Worker(library, "second")
    paused = first.steps()
    for _ in range(3):
        next(paused)
    library.seconds += 10_000
    assert list(second.steps())
    assert second.statuses == {"plate-001": "complete"}
    list(paused)
    assert first.statuses == {"plate-001": "reused"}
    assert library.sealed("plate-001") == 1
    (here,), (there,) = (sorted(one.plate.runs_folder.iterdir()) for one in (first, second))
    assert here.name == there.name


def test_a_forced_run_is_sealed_beside_the_first(library):
    first, second = library.worker("first"), library.worker("second")
    library.measure(first, PLATES)
    assert library.measure(second, ["plate-001"], is_forced=True) == {"plate-001": "complete"}
    assert (library.sealed("plate-001"), library.sealed("plate-002")) == (2, 1)


@pytest.mark.parametrize("fault", ["lost_answers", "cut"])
def test_a_store_that_does_not_answer_ends_the_run_and_fails_no_plate(library, fault):
    first, second = library.worker("first"), library.worker("second")
    setattr(library.store, fault, 10_000)
    with pytest.raises(StoreUnreachable):
        library.measure(first, PLATES)
    setattr(library.store, fault, 0)
    library.seconds += 10_000
    statuses = library.measure(second, PLATES)
    assert set(statuses.values()) <= {"complete", "reused"}
    assert all(library.sealed(plate_id) == 1 for plate_id in PLATES)


def test_a_file_in_the_store_that_was_altered_is_not_kept(library, drawn):
    """Nothing of a run or a source is used that is not the one that was sealed or registered."""
    first, second = library.worker("first"), library.worker("second")
    library.measure(first, PLATES)
    done = find_done(first.plate("plate-001"), library.instrument.identity)
    assert done is not None
    key = f"plates_structured/plate-001/{done.outputs[0].path}"
    library.store.replace(key, b"altered", library.store.read(key).tag)
    with pytest.raises(FetchedWrong, match=f"{key}: expected sha256 {done.outputs[0].sha256}"):
        library.measure(second, ["plate-001"])
    assert list(second.plates_dir.glob("*/runs/run-*")) == []


class Worker:
    """A worker that does one step at a time of the way of a plate, as `runs` does them."""

    def __init__(self, library: Library, name: str):
        self.library = library
        self.dataset = library.worker(name)
        self.shared = library._shared[self.dataset]
        self.shared.fetch_plates(PLATES)
        self.plate = self.dataset.plate("plate-001")
        self.claim = None
        self.statuses: dict[str, str] = {}
        self.is_done = False

    def steps(self) -> Iterator[None]:
        """From a claim to a sealed run, with what the store refuses raised as it comes."""
        while not self.is_done:
            yield
            self.claim = claim_plate(self.plate, SEGMENTER)
            if self.claim is None:
                continue
            yield
            identity = self.library.instrument.identity
            self.shared.fetch_done(self.plate, identity)
            if find_done(self.plate, identity) is None:
                yield
                self.seal()
            self.claim.release()
            self.is_done = True

    def end(self) -> None:
        """Its process is gone: what it held of this machine is released, and its lease is not."""
        if self.claim is not None:
            self.claim._lock.close()

    def seal(self) -> None:
        """Measures and seals the plate, without looking whether it is done."""
        fetch_done = self.shared.fetch_done
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("atlas_resources.runs.passes.lane.claim_plate", lambda plate, key, wait=False: _Held())
            patch.setattr(self.shared, "fetch_done", lambda plate, identity: None)
            patch.setattr("atlas_resources.runs.execution.find_done", lambda *args: None)
            self.statuses = self.library.measure(self.dataset, ["plate-001"])
        self.shared.fetch_done = fetch_done


class _Held:
    """A claim that the worker holds already."""

    deaths = 0

    def release(self) -> None: ...

    put_off = release


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(
    turns=st.lists(
        st.tuples(st.integers(0, 1), st.sampled_from(["step", "step", "step", "pause", "die", "lost", "cut", "late"])),
        min_size=4,
        max_size=24,
    )
)
def test_any_interleaving_of_two_workers_seals_the_plate_once_and_loses_nothing(library, turns, tmp_path_factory):
    """Steps of two workers in any order; pauses longer than a lease, deaths, lost answers, cut writes, late lists."""
    library.store = Faulty(memory_store())
    library._place = tmp_path_factory.mktemp("workers")
    library._shared.clear()
    library.seconds = 1_000_000.0
    push(library.drawn, library.store)
    count = 0

    def begin() -> tuple[Worker, Iterator[None]]:
        nonlocal count
        count += 1
        made = Worker(library, f"worker-{count}")
        return made, made.steps()

    workers = [begin(), begin()]
    seen = 0
    for index, turn in turns:
        if turn == "pause":
            library.seconds += 10_000
        elif turn == "die":
            workers[index][0].end()
            workers[index] = begin()  # its leases stay, and its folder is gone
        elif turn in ("lost", "cut"):
            setattr(library.store, "lost_answers" if turn == "lost" else "cut", 1)
        elif turn == "late":
            library.store.late = 3
        else:
            try:
                next(workers[index][1], None)
            except StoreUnreachable:
                workers[index][0].end()
                workers[index] = begin()  # its run ended
        assert library.sealed("plate-001") in (seen, 1)
        seen = library.sealed("plate-001")
    library.store.lost_answers = library.store.cut = library.store.late = 0
    library.seconds += 10_000
    last, steps = begin()
    for _ in range(10):
        next(steps, None)
    assert last.is_done
    assert library.sealed("plate-001") == 1
    done = find_done(last.plate, library.instrument.identity)
    assert done is not None
    for made, _ in workers:
        made.shared.fetch_done(made.plate, library.instrument.identity)
        assert find_done(made.plate, library.instrument.identity) == done
        made.end()
    last.end()

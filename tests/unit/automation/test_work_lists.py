"""Missing plates are requested in work lists: few runs over exactly these plates, scattered or not."""

import dagster as dg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_instruments import EMBEDDER, SEGMENTER, fake_registry, fake_spec
from support.made_datasets import make_dataset
from support.made_results import TWO_SEGMENTS, GivenVectors, measure, measure_groundwork

from atlas_assets.automation.standings import Standing, read_standings
from atlas_assets.automation.work_lists import WorkList, run_config_of, tags_of, work_lists
from atlas_assets.graph.groundwork import HISTOGRAMS_KEY, INPUT_IMAGE_KEY
from atlas_resources.ledgers.completeness.states import PlateState

EMBEDDINGS, SEGMENTS = dg.AssetKey(["embeddings", EMBEDDER]), dg.AssetKey(["segments", SEGMENTER])


def standing(key: dg.AssetKey, plates_per_run: int, *plates: PlateState) -> Standing:
    return Standing((key,), "v1", plates_per_run, plates)


def missing(*plate_ids: str) -> list[PlateState]:
    return [PlateState(plate_id, "missing") for plate_id in plate_ids]


def scattered() -> list[PlateState]:
    """A thousand plates of which every fifth is missing: 200, no two of them adjacent."""
    return [PlateState(f"plate-{number:04d}", "done" if number % 5 else "missing") for number in range(1000)]


@pytest.mark.parametrize(
    ("plates_per_run", "sizes"),
    [
        (500, [200]),
        (200, [200]),
        (199, [199, 1]),
        (100, [100, 100]),
        (64, [64, 64, 64, 8]),
        (40, [40, 40, 40, 40, 40]),
    ],
)
def test_200_missing_plates_scattered_over_1000_are_few_runs(plates_per_run, sizes):
    lists = work_lists([standing(SEGMENTS, plates_per_run, *scattered())], 1)
    assert [len(work.plate_ids) for work in lists] == sizes
    assert len(lists) <= 5
    assert lists[0].plate_ids[:3] == ("plate-0000", "plate-0005", "plate-0010")
    assert sorted(plate_id for work in lists for plate_id in work.plate_ids) == [
        f"plate-{number:04d}" for number in range(0, 1000, 5)
    ]


@pytest.mark.parametrize(
    ("workers", "sizes"),
    [
        (1, [200]),
        (2, [100, 100]),
        (3, [67, 67, 66]),
        (4, [50, 50, 50, 50]),
        (300, [1] * 200),
    ],
)
def test_missing_plates_are_spread_over_as_many_runs_as_work_at_the_same_time(workers, sizes):
    lists = work_lists([standing(SEGMENTS, 500, *scattered())], 1, workers)
    assert [len(work.plate_ids) for work in lists] == sizes
    assert sorted(plate_id for work in lists for plate_id in work.plate_ids) == [
        f"plate-{number:04d}" for number in range(0, 1000, 5)
    ]


def test_a_run_that_is_spread_is_never_larger_than_the_instrument_allows():
    lists = work_lists([standing(SEGMENTS, 64, *scattered())], 1, 2)
    assert [len(work.plate_ids) for work in lists] == [64, 64, 64, 8]


class TestAssetsTogether:
    """Assets with a missing plate in common share a run, each with its own plates."""

    def test_equal_plates_share_a_run(self):
        standings = [standing(EMBEDDINGS, 9, *missing("a", "b")), standing(SEGMENTS, 2, *missing("a", "b"))]
        assert work_lists(standings, 1) == [WorkList.of([EMBEDDINGS, SEGMENTS], ["a", "b"])]

    def test_unequal_plates_share_a_run_if_they_have_one_in_common(self):
        standings = [standing(EMBEDDINGS, 9, *missing("a", "b", "c")), standing(SEGMENTS, 9, *missing("c", "d"))]
        assert work_lists(standings, 1) == [WorkList({EMBEDDINGS: ("a", "b", "c"), SEGMENTS: ("c", "d")}, "c")]

    def test_chunks_of_unequal_sizes_share_the_first_run(self):
        both = missing("a", "b", "c")
        assert work_lists([standing(EMBEDDINGS, 3, *both), standing(SEGMENTS, 2, *both)], 1) == [
            WorkList({EMBEDDINGS: ("a", "b", "c"), SEGMENTS: ("a", "b")}, "a"),
            WorkList.of([SEGMENTS], ["c"]),
        ]

    def test_assets_without_a_plate_in_common_have_a_run_each(self):
        """The run of a work list has one plate that Dagster knows, and would show it as failed in the other asset."""
        standings = [standing(EMBEDDINGS, 9, *missing("a")), standing(SEGMENTS, 9, *missing("b"))]
        assert work_lists(standings, 1) == [WorkList.of([EMBEDDINGS], ["a"]), WorkList.of([SEGMENTS], ["b"])]

    def test_an_asset_without_missing_plates_is_not_requested(self):
        done = [PlateState("a", "done"), PlateState("b", "done")]
        lists = work_lists([standing(EMBEDDINGS, 2, *done), standing(SEGMENTS, 2, *missing("a", "b"))], 1)
        assert lists == [WorkList.of([SEGMENTS], ["a", "b"])]

    def test_nothing_missing_is_no_run(self):
        assert work_lists([standing(SEGMENTS, 2, PlateState("a", "done"))], 1) == []


KEPT = dg.AssetKey(["regions", SEGMENTER, "kept"])


def reading(size: int, *plates: PlateState) -> Standing:
    """The standing of an asset that reads the segments."""
    return Standing((KEPT,), "v1", size, plates, upstream=(SEGMENTS,))


def waiting(*plate_ids: str) -> list[PlateState]:
    return [PlateState(plate_id, "waiting") for plate_id in plate_ids]


class TestAssetsThatReadOthers:
    """One run makes an asset's results and what is derived from them."""

    def test_what_a_run_makes_is_read_in_the_same_run(self):
        standings = [standing(SEGMENTS, 9, *missing("a", "b")), reading(9, *waiting("a", "b"))]
        assert work_lists(standings, 1) == [WorkList.of([SEGMENTS, KEPT], ["a", "b"])]

    def test_chunks_follow_those_of_the_results_that_they_read(self):
        standings = [standing(SEGMENTS, 2, *missing("a", "b", "c")), reading(50, *waiting("a", "b", "c"))]
        assert work_lists(standings, 1) == [
            WorkList.of([SEGMENTS, KEPT], ["a", "b"]),
            WorkList.of([SEGMENTS, KEPT], ["c"]),
        ]

    def test_plates_whose_results_are_there_come_along(self):
        standings = [standing(SEGMENTS, 9, *missing("b")), reading(9, *missing("a"), *waiting("b"))]
        assert work_lists(standings, 1) == [WorkList({SEGMENTS: ("b",), KEPT: ("a", "b")}, "b")]

    def test_a_plate_whose_results_no_run_makes_is_left_out(self):
        failed = PlateState("a", "failed", attempts=1)
        assert work_lists([standing(SEGMENTS, 9, failed), reading(9, *waiting("a"))], 1) == []
        assert work_lists([reading(9, *waiting("a"), *missing("b"))], 1) == [WorkList.of([KEPT], ["b"])]


plates = st.lists(
    st.builds(
        PlateState,
        plate_id=st.integers(0, 60).map("plate-{:03d}".format),
        state=st.sampled_from(["done", "missing", "failed"]),
        attempts=st.integers(0, 4),
        is_broken=st.booleans(),
    ),
    unique_by=lambda plate: plate.plate_id,
    max_size=60,
)


@given(
    of_embedder=plates,
    of_segmenter=plates,
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 9)),
    most=st.integers(1, 4),
)
def test_every_pending_plate_is_requested_exactly_once_and_no_other(of_embedder, of_segmenter, sizes, most):
    given_plates = {EMBEDDINGS: of_embedder, SEGMENTS: of_segmenter}
    standings = [standing(key, size, *plates) for (key, plates), size in zip(given_plates.items(), sizes, strict=True)]
    lists = work_lists(standings, most)
    for (key, all_plates), size in zip(given_plates.items(), sizes, strict=True):
        chunks = [work.plates[key] for work in lists if key in work.keys]
        asked = [plate_id for chunk in chunks for plate_id in chunk]
        may_succeed = [plate for plate in all_plates if plate.attempts < most and not plate.is_broken]
        pending = [plate.plate_id for plate in may_succeed if plate.state != "done"]
        assert sorted(asked) == sorted(pending)
        assert len(chunks) == -(-len(pending) // size)
        assert all(0 < len(chunk) <= size for chunk in chunks)
    assert all(work.first in plate_ids for work in lists for plate_ids in work.plates.values())


class TestRun:
    """The tags and the configuration of a work list's run."""

    WORK = WorkList.of((INPUT_IMAGE_KEY, HISTOGRAMS_KEY, SEGMENTS), ("plate-007", "plate-002", "plate-011"))

    def test_its_range_is_only_its_first_plate(self):
        assert tags_of(self.WORK) == {
            "dagster/asset_partition_range_start": "plate-007",
            "dagster/asset_partition_range_end": "plate-007",
            "atlas/plates": "3",
        }

    def test_each_step_receives_the_list_once(self):
        handed = {"config": {"plates": ["plate-007", "plate-002", "plate-011"]}}
        assert run_config_of(self.WORK) == {"ops": {"groundwork": handed, f"segments__{SEGMENTER}": handed}}


class TestStandings:
    """Five plates, read from their own files: two done, one failed once, one failed three times, one missing."""

    @pytest.fixture
    def registry(self, fakes):
        return fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))

    @pytest.fixture
    def measured(self, dataset, registry):
        good = {"plate-001": (1.0, 0.0, 0.0), "plate-002": (0.0, 1.0, 0.0)}
        four = ["plate-001", "plate-002", "plate-003", "plate-004"]
        assert measure(dataset, registry, EMBEDDER, GivenVectors(good), four) == [
            "complete",
            "complete",
            "failed",
            "failed",
        ]
        for _ in range(2):
            assert measure(dataset, registry, EMBEDDER, GivenVectors(good), ["plate-004"]) == ["failed"]
        return dataset

    def test_failed_and_missing_plates_are_distinguished(self, measured, registry):
        _, embeddings = read_standings(measured, [registry.instruments[EMBEDDER]])
        assert embeddings.keys == (EMBEDDINGS,)
        assert embeddings.version == registry.instruments[EMBEDDER].identity.fingerprint
        assert embeddings.plates_per_run == 200
        assert [(plate.plate_id, plate.state, plate.attempts, plate.reason) for plate in embeddings.plates] == [
            ("plate-003", "failed", 1, "'plate-003'"),  # the others are done
            ("plate-004", "refused", 3, "'plate-004'"),
            ("plate-005", "missing", 0, ""),
        ]

    @pytest.mark.parametrize(
        ("most_attempts", "pending"),
        [
            (1, ["plate-005"]),
            (2, ["plate-003", "plate-005"]),
            (3, ["plate-003", "plate-005"]),
            (4, ["plate-003", "plate-004", "plate-005"]),
        ],
    )
    def test_a_plate_is_pending_until_its_attempts_are_used_up(self, measured, registry, most_attempts, pending):
        _, embeddings = read_standings(measured, [registry.instruments[EMBEDDER]])
        assert embeddings.pending(most_attempts) == pending
        assert [plate.plate_id for plate in embeddings.failed] == ["plate-003", "plate-004"]

    def test_another_instruments_failures_are_not_counted(self, measured, registry):
        assert measure(measured, registry, SEGMENTER, TWO_SEGMENTS, ["plate-004"]) == ["complete"]
        _, segments = read_standings(measured, [registry.instruments[SEGMENTER]])
        assert "plate-004" not in [plate.plate_id for plate in segments.plates]
        assert PlateState("plate-003", "missing") in segments.plates

    def test_failures_by_an_earlier_fingerprint_are_not_counted(self, measured):
        changed = fake_registry(fake_spec(EMBEDDER, gain=2.0))
        _, embeddings = read_standings(measured, [changed.instruments[EMBEDDER]])
        assert [plate.plate_id for plate in embeddings.plates] == measured.plate_ids()
        assert {plate.attempts for plate in embeddings.plates} == {0}

    def test_a_plate_that_finally_succeeds_is_done(self, measured, registry):
        assert measure(measured, registry, EMBEDDER, GivenVectors({"plate-004": (0.0, 0.0, 1.0)}), ["plate-004"]) == [
            "complete"
        ]
        _, embeddings = read_standings(measured, [registry.instruments[EMBEDDER]])
        assert "plate-004" not in [plate.plate_id for plate in embeddings.plates]

    def test_the_groundwork_comes_first_and_its_two_assets_together(self, measured, registry):
        (groundwork,) = read_standings(measured, [])
        assert groundwork.keys == (INPUT_IMAGE_KEY, HISTOGRAMS_KEY)
        assert groundwork.pending(1) == measured.plate_ids()
        measure_groundwork(measured)
        (groundwork,) = read_standings(measured, [])
        assert groundwork.pending(1) == []

    def test_a_plate_whose_own_files_are_unreadable_is_named_with_its_reason(self, measured, registry):
        (measured.plate("plate-001").folder / "source.sha256").write_text("nonsense\n")
        _, embeddings = read_standings(measured, [registry.instruments[EMBEDDER]])
        assert [plate.plate_id for plate in embeddings.failed] == ["plate-001", "plate-003", "plate-004"]
        assert "source.sha256: expected one line" in embeddings.failed[0].reason
        assert embeddings.pending(1) == ["plate-005"]


def test_only_the_instruments_asked_for_are_read(tmp_path, fakes):
    dataset = make_dataset(tmp_path, "red")
    registry = fake_registry(fake_spec(EMBEDDER), fake_spec(SEGMENTER))
    assert [found.keys for found in read_standings(dataset, [registry.instruments[SEGMENTER]])] == [
        (INPUT_IMAGE_KEY, HISTOGRAMS_KEY),
        (SEGMENTS,),
    ]

"""A segment set is compared with its plate's foreground, and flagged if it is empty, too large or in splinters."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.fake_instruments import SEGMENTER, fake_registry, fake_spec
from support.made_datasets import Graph, make_dataset
from support.made_results import GivenRows, build_ledgers, measure

from atlas_resources.catalogue.build import build_catalogue, connect
from atlas_resources.ledgers.completeness.ledger import build_completeness
from atlas_resources.ledgers.freshness import why_behind
from atlas_resources.ledgers.runs import build_results, build_runs
from atlas_resources.ledgers.segment_sets import MOST_SEGMENTS, SHATTERED_FROM, build_segment_sets, set_warnings
from atlas_resources.measures.masks import run_lengths
from atlas_resources.measures.masks.shape import measure_part, part_of
from atlas_resources.tables.result_columns import SEGMENT

GROUND = "fake_ground_segmenter"
SHAPE = (60, 100)  # height and width of every plate here


def box(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[rows, columns] = True
    return mask


def rows_of(masks: list[np.ndarray], class_name: str | None = None) -> GivenRows:
    """Work that gives these masks on every plate."""
    rows: list[dict[str, Any]] = []
    for number, mask in enumerate(masks, start=1):
        counts, shape = run_lengths.encode(mask), measure_part(part_of(mask))
        rows.append(
            {
                "segment_id": f"mask-{number:04d}",
                "class_name": class_name,
                "mask_rle": counts,
                "mask_sha256": run_lengths.mask_sha256(counts, *mask.shape),
                "height_px": mask.shape[0],
                "width_px": mask.shape[1],
                "area_px": shape.area_px,
                "area_ratio": shape.area_ratio,
            }
        )
    return GivenRows(SEGMENT, *rows)


def sets_of(folder: Path, masks: list[np.ndarray], ground: list[np.ndarray] | None) -> tuple[list[dict], list[str]]:
    """The rows of `segment_sets` for the masks, and the flags that are raised on them, over one plate."""
    dataset = make_dataset(folder, "red")
    registry = fake_registry(fake_spec(SEGMENTER), fake_spec(GROUND))
    assert measure(dataset, registry, SEGMENTER, rows_of(masks)) == ["complete"]
    if ground is not None:
        assert measure(dataset, registry, GROUND, rows_of(ground, "printed")) == ["complete"]
    build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)
    with connect(dataset) as connection:
        query = connection.execute("FROM segment_sets WHERE instrument = ?", [SEGMENTER])
        names = [column[0] for column in query.description or []]
        sets = [dict(zip(names, row, strict=True)) for row in query.fetchall()]
        flags = connection.execute("SELECT flag FROM segment_set_flags WHERE instrument = ?", [SEGMENTER]).fetchall()
    return sets, [flag for (flag,) in flags]


LEFT_HALF = box(slice(0, 60), slice(0, 50))


@pytest.mark.usefixtures("fakes")
def test_a_set_is_counted_and_compared_with_the_foreground(tmp_path: Path):
    """The foreground is the left half. On it are a quarter of the plate, and 30 of the 50 columns of a bar."""
    masks = [box(slice(0, 30), slice(0, 50)), box(slice(30, 40), slice(20, 70)), box(slice(0, 60), slice(80, 100))]
    (found,), flags = sets_of(tmp_path, masks, [LEFT_HALF])
    assert (found["segment_count"], found["foreground_instrument"]) == (3, GROUND)
    assert found["covered_ratio"] == pytest.approx((1500 + 500 + 1200) / 6000)
    assert found["median_area_ratio"] == pytest.approx(1200 / 6000)
    assert found["foreground_ratio"] == 0.5
    assert found["foreground_segment_count"] == 2
    assert found["foreground_covered_ratio"] == pytest.approx((1500 + 300) / 3000)
    assert found["largest_foreground_share"] == 0.5
    assert flags == []


@pytest.mark.usefixtures("fakes")
def test_without_a_foreground_a_set_is_only_counted(tmp_path: Path):
    (found,), flags = sets_of(tmp_path, [LEFT_HALF], None)
    assert (found["segment_count"], found["largest_area_ratio"], found["foreground_ratio"]) == (1, 0.5, None)
    assert flags == []


@pytest.mark.usefixtures("fakes")
def test_an_empty_set_is_flagged(tmp_path: Path):
    (found,), flags = sets_of(tmp_path, [], [LEFT_HALF])
    assert (found["segment_count"], found["covered_ratio"], found["foreground_covered_ratio"]) == (0, 0, 0)
    assert flags == ["empty"]


@pytest.mark.usefixtures("fakes")
def test_a_foreground_in_splinters_is_flagged(tmp_path: Path):
    """The left half in 60 rows, each a sixtieth of it."""
    splinters = [box(slice(row, row + 1), slice(0, 50)) for row in range(60)]
    assert len(splinters) >= SHATTERED_FROM
    (found,), flags = sets_of(tmp_path, splinters, [LEFT_HALF])
    assert found["largest_foreground_share"] == pytest.approx(1 / 60)
    assert found["foreground_covered_ratio"] == 1
    assert flags == ["shattered"]


@pytest.mark.usefixtures("fakes")
def test_a_set_that_misses_the_foreground_is_flagged(tmp_path: Path):
    _, flags = sets_of(tmp_path, [~LEFT_HALF], [LEFT_HALF])
    assert flags == ["misses_foreground"]


@pytest.mark.usefixtures("fakes")
def test_a_rebuild_gives_the_same_rows_and_compares_a_new_run(tmp_path: Path):
    dataset = make_dataset(tmp_path, "red", "green")
    registry = fake_registry(fake_spec(SEGMENTER))
    measure(dataset, registry, SEGMENTER, rows_of([LEFT_HALF]))
    build_ledgers(dataset, registry)
    first = build_segment_sets(dataset).collect()
    assert build_segment_sets(dataset).collect().equals(first)
    measure(dataset, registry, SEGMENTER, rows_of([]), ["plate-002"], is_forced=True)
    build_ledgers(dataset, registry)
    assert build_segment_sets(dataset).collect().sort("plate_id")["segment_count"].to_list() == [1, 0]


@pytest.mark.usefixtures("fakes")
def test_segment_sets_of_other_runs_than_the_current_ones_are_behind(tmp_path: Path):
    dataset = make_dataset(tmp_path, "red", "green")
    registry = fake_registry(fake_spec(SEGMENTER))
    measure(dataset, registry, SEGMENTER, rows_of([LEFT_HALF]))
    build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)
    assert why_behind(dataset, registry) == ""
    measure(dataset, registry, SEGMENTER, rows_of([]), ["plate-002"], is_forced=True)
    build_results(dataset, registry, "segmentation")
    build_runs(dataset)
    assert why_behind(dataset, registry).startswith("segment_sets is behind segments by 2 sets; the newest is run-")
    build_segment_sets(dataset)
    build_completeness(dataset, registry)
    assert why_behind(dataset, registry) == ""


@pytest.mark.parametrize(
    ("count", "words"),
    [(0, ["empty"]), (1, []), (MOST_SEGMENTS, []), (MOST_SEGMENTS + 1, ["exploded"])],
)
def test_no_segment_and_too_many_give_a_warning(count: int, words: list[str]):
    assert [warning.split(":")[0] for warning in set_warnings(count)] == words


def test_the_ui_shows_areas_and_no_warning_for_an_ordinary_set(graph: Graph):
    assert graph.materialize(f"segments/{SEGMENTER}").success
    for _, event in graph.events(f"segments/{SEGMENTER}"):
        assert str(event.metadata["areas"].value).startswith("![")
        assert event.metadata["segment_count"].value == 2
        assert "warning" not in event.metadata

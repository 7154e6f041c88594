"""The ledger of neighbours shows the nearest plates of a few plates per space; disputed plates are shown too."""

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image
from support.fake_instruments import EMBEDDER
from support.made_datasets import Graph

from atlas_assets.ui import neighbours as module
from atlas_assets.ui.encoding import MAX_PICTURE_BYTES
from atlas_assets.ui.neighbours import MOST_PICTURES, disagreement_pictures, neighbour_pictures
from atlas_resources.measures.spaces.neighbour_graphs import nearest, unit_rows
from atlas_resources.tables.topology.spaces import NEIGHBOURS


def rows(vectors: dict[str, list[float]], space: str = "one") -> pl.DataFrame:
    """Rows of the ledger of neighbours."""
    names = list(vectors)
    graph, cosines = nearest(unit_rows(np.array(list(vectors.values()))), 20)
    found = [
        {"space": space, "plate_id": name, "neighbour_id": names[other], "rank": rank, "cosine": cosine}
        for name, others, near in zip(names, graph, cosines, strict=True)
        for rank, (other, cosine) in enumerate(zip(others, near, strict=True), start=1)
    ]
    return NEIGHBOURS.frame(found)


def noise(plate_id: str) -> bytes:
    """A picture that compresses badly."""
    pixels = np.random.default_rng(sum(plate_id.encode())).integers(0, 255, (240, 240, 3), dtype=np.uint8)
    picture = io.BytesIO()
    Image.fromarray(pixels).save(picture, "JPEG", quality=90)
    return picture.getvalue()


@pytest.fixture
def captions(monkeypatch):
    """The captions of each strip that is drawn."""
    drawn: list[list[str]] = []

    def note(items):
        drawn.append([caption for _, caption in items])
        return b"strip"

    monkeypatch.setattr(module, "neighbours_strip", note)
    monkeypatch.setattr(module, "stacked", lambda pictures: pictures)
    return drawn


# Cosines by hand: of (3, 4) with (4, 3) 24/25, with (1, 0) 3/5, with (0, 1) 4/5.
PLANE = {"a": [1.0, 0.0], "b": [30.0, 40.0], "c": [0.0, 1.0], "d": [4.0, 3.0]}


def test_each_strip_begins_with_its_plate_and_continues_in_order_of_cosine(captions):
    found = list(neighbour_pictures(rows(PLANE), noise))
    assert [(picture.space, picture.plate_id) for picture in found] == [("one", "b"), ("one", "d")]
    assert captions == [["b", "d  0.960", "c  0.800", "a  0.600"], ["d", "b  0.960", "a  0.800", "c  0.600"]]


def test_plates_without_a_thumbnail_are_left_out(captions):
    found = list(neighbour_pictures(rows(PLANE), lambda name: None if name == "d" else noise(name)))
    assert [picture.space for picture in found] == ["one", "one"]
    assert captions == [["a", "b  0.600", "c  0.000"], ["c", "b  0.800", "a  0.000"]]


def test_a_disputed_plate_is_shown_in_every_space(captions):
    other = {**PLANE, "b": [1.0, 0.0]}
    both = pl.concat([rows(PLANE), rows(other, "two")])
    assert list(disagreement_pictures(both, ["b"], noise)) == [("b", [("one", b"strip"), ("two", b"strip")])]
    assert captions == [["b", "d  0.960", "c  0.800", "a  0.600"], ["b", "a  1.000", "d  0.800", "c  0.000"]]


def test_spaces_are_rows_of_one_picture_under_their_names():
    ((_, picture),) = disagreement_pictures(pl.concat([rows(PLANE), rows(PLANE, "two")]), ["b"], noise)
    assert len(picture) <= MAX_PICTURE_BYTES
    alone, both = (
        Image.open(io.BytesIO(one)) for one in (next(neighbour_pictures(rows(PLANE), noise)).picture, picture)
    )
    assert both.height / both.width == pytest.approx(2 * (alone.height + 20) / alone.width, rel=0.2)


def test_a_single_plate_has_no_neighbours():
    assert list(neighbour_pictures(rows({"a": [1.0, 0.0]}), noise)) == []


def test_the_number_and_the_size_of_the_pictures_are_limited():
    many = pl.concat([rows(PLANE, f"space_{number:02d}") for number in range(8)])
    found = list(neighbour_pictures(many, noise))
    assert len(found) == MOST_PICTURES
    assert all(len(picture.picture) <= MAX_PICTURE_BYTES for picture in found)


def test_the_ledger_shows_the_pictures(graph: Graph):
    graph.materialize("plate/input_image", "plate/input_color_histograms")
    graph.materialize(f"embeddings/{EMBEDDER}")
    assert graph.materialize("ledger/runs", "ledger/embeddings", "topology/neighbours").success
    ((_, event),) = graph.events("topology/neighbours")
    shown = {name: entry for name, entry in event.metadata.items() if name.startswith("nearest")}
    assert set(shown) == {f"nearest to plate-002 ({EMBEDDER})", f"nearest to plate-004 ({EMBEDDER})"}
    assert all(str(entry.value).startswith("![") for entry in shown.values())

"""The ledger of embeddings shows the nearest plates of a few plates per instrument."""

import io

import numpy as np
import polars as pl
import pytest
from PIL import Image
from support.fake_instruments import EMBEDDER
from support.made_datasets import Graph

from atlas_assets.ui import neighbours as module
from atlas_assets.ui.encoding import MAX_PICTURE_BYTES
from atlas_assets.ui.neighbours import MOST_PICTURES, neighbour_pictures


def rows(vectors: dict[str, list[float]], instrument: str = "one", scope: str = "plate") -> pl.DataFrame:
    return pl.DataFrame(
        [
            {"instrument": instrument, "plate_id": plate_id, "scope": scope, "vector": vector}
            for plate_id, vector in vectors.items()
        ]
    )


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
    return drawn


# Cosines by hand: of (3, 4) with (4, 3) 24/25, with (1, 0) 3/5, with (0, 1) 4/5.
PLANE = {"a": [1.0, 0.0], "b": [30.0, 40.0], "c": [0.0, 1.0], "d": [4.0, 3.0]}


def test_each_strip_begins_with_its_plate_and_continues_in_order_of_cosine(captions):
    found = list(neighbour_pictures(rows(PLANE), noise))
    assert [(picture.instrument, picture.plate_id) for picture in found] == [("one", "b"), ("one", "d")]
    assert captions == [["b", "d  0.960", "c  0.800", "a  0.600"], ["d", "b  0.960", "a  0.800", "c  0.600"]]


def test_plates_without_a_thumbnail_and_tiles_are_left_out(captions):
    tiles = rows({"a": [1.0, 0.0], "b": [1.0, 1.0], "c": [0.0, 1.0]}, "tiler", "tile")
    found = list(neighbour_pictures(pl.concat([rows(PLANE), tiles]), lambda name: None if name == "d" else noise(name)))
    assert [picture.instrument for picture in found] == ["one", "one"]
    assert captions == [["a", "b  0.600", "c  0.000"], ["c", "b  0.800", "a  0.000"]]


def test_a_single_plate_has_no_neighbours():
    assert list(neighbour_pictures(rows({"a": [1.0, 0.0]}), noise)) == []


def test_the_number_and_the_size_of_the_pictures_are_limited():
    many = pl.concat([rows(PLANE, f"instrument_{number:02d}") for number in range(8)])
    found = list(neighbour_pictures(many, noise))
    assert len(found) == MOST_PICTURES
    assert all(len(picture.picture) <= MAX_PICTURE_BYTES for picture in found)


def test_the_ledger_shows_the_pictures(graph: Graph):
    graph.materialize("plate/input_image", "plate/input_color_histograms")
    graph.materialize(f"embeddings/{EMBEDDER}")
    assert graph.materialize("ledger/runs", "ledger/embeddings").success
    ((_, event),) = graph.events("ledger/embeddings")
    shown = {name: entry for name, entry in event.metadata.items() if name.startswith("nearest")}
    assert set(shown) == {f"nearest to plate-002 ({EMBEDDER})", f"nearest to plate-004 ({EMBEDDER})"}
    assert all(str(entry.value).startswith("![") for entry in shown.values())

"""An embedding that declares a grid has a row for the whole plate and one for each tile, with the tile's box."""

from typing import Any

import numpy as np
import polars as pl
import pytest
from support.fake_instruments import FakeEmbedder, FakeParameters, fake_registry, fake_spec
from support.made_results import build_ledgers, measure
from support.made_specs import content_of, with_field, write_spec

from atlas_assets.roles.embedding import EmbeddingWork
from atlas_resources.catalogue.build import build_catalogue, connect
from atlas_resources.instruments.admission import missing_for_admission
from atlas_resources.instruments.registry import read_spec
from atlas_resources.instruments.spec.input import Resize, Tiles
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.models.loading import load_model
from atlas_resources.plates.decode import decode
from atlas_resources.plates.intake.registration import register_scans

GRIDS = Tiles(grids=[2, 3], overlap_ratio=0.0)
PLAIN = fake_spec("embedder_tiled")
assert PLAIN.preprocessing is not None
ONE_SIZE = PLAIN.preprocessing.model_copy(update={"resize": Resize(mode="exact", size_px=64)})
TILED = PLAIN.model_copy(update={"tiles": GRIDS, "batch_size": 5, "preprocessing": ONE_SIZE})


class CountingEmbedder(FakeEmbedder):
    """Records the size of each batch, and runs out of memory above `most_inputs`."""

    def __init__(self, most_inputs: int = 99):
        super().__init__(FakeParameters())
        self.most_inputs = most_inputs
        self.seen: list[int] = []

    def embed(self, batch: Any) -> np.ndarray:
        self.seen.append(len(batch))
        if len(batch) > self.most_inputs:
            raise MemoryError("no memory left")
        return super().embed(batch)


@pytest.fixture
def registry(fakes):
    return fake_registry(TILED, TILED.model_copy(update={"key": "embedder", "tiles": None}))


def work(dataset, spec: Spec = TILED, model: Any = None) -> EmbeddingWork:
    return EmbeddingWork(spec, lambda: model or load_model(spec))


def rows_of(dataset, registry, plate_id: str) -> pl.DataFrame:
    measure(dataset, registry, TILED.key, work(dataset), [plate_id])
    return build_ledgers(dataset, registry)["embeddings"].filter(plate_id=plate_id)


def test_the_whole_plate_and_every_tile_have_a_row_with_their_box(dataset, registry):
    rows = rows_of(dataset, registry, "plate-001")  # 400 x 300 px
    assert rows.group_by("scope").len().sort("scope").rows() == [("plate", 1), ("tile", 13)]
    boxes = rows.filter(scope="plate").select("tile_id", "x_min", "y_min", "x_max", "y_max").row(0)
    assert boxes == (None,) * 5
    named = {row["tile_id"]: row for row in rows.filter(scope="tile").iter_rows(named=True)}
    assert [named["2x2-r2c1"][side] for side in ("x_min", "y_min", "x_max", "y_max")] == [0, 150, 200, 300]
    assert [named["3x3-r1c3"][side] for side in ("x_min", "y_min", "x_max", "y_max")] == [267, 0, 400, 100]


def test_the_vector_of_a_tile_is_computed_from_its_pixels(dataset, registry):
    """The fake's vector is the mean colour; the box filter that shrinks a tile to 64 px keeps it within rounding."""
    pixels = np.asarray(decode(dataset.plate("plate-001").source_path()).image)
    for row in rows_of(dataset, registry, "plate-001").filter(scope="tile").iter_rows(named=True):
        tile = pixels[row["y_min"] : row["y_max"], row["x_min"] : row["x_max"]]
        assert row["vector"] == pytest.approx(tile.mean(axis=(0, 1)) / 255, abs=1.5 / 255)


def test_the_row_of_the_whole_plate_is_the_same_without_a_grid(dataset, registry):
    measure(dataset, registry, "embedder", work(dataset, registry.specs["embedder"]), ["plate-002"])
    tiled, plain = rows_of(dataset, registry, "plate-002").filter(scope="plate")["vector"].to_list()
    assert tiled == plain


def test_tiles_go_to_the_model_a_batch_at_a_time(dataset, registry):
    model = CountingEmbedder()
    assert measure(dataset, registry, TILED.key, work(dataset, model=model), ["plate-001", "plate-002"]) == [
        "complete",
        "complete",
    ]
    assert model.seen == [5, 5, 4, 5, 5, 4]


def test_the_batch_of_tiles_is_halved_until_it_fits_into_the_memory(dataset, registry):
    model = CountingEmbedder(most_inputs=2)
    assert measure(dataset, registry, TILED.key, work(dataset, model=model), ["plate-001"]) == ["complete"]
    assert model.seen == [5, 2, 2, 2, 2, 2, 2, 2]


def test_a_plate_too_small_for_the_grid_fails_alone_with_the_reason(dataset, registry):
    spec = TILED.model_copy(update={"tiles": Tiles(grids=[32], overlap_ratio=0.0)})
    small = decode(dataset.plate("plate-001").source_path()).image.crop((0, 0, 40, 20))
    path = dataset.root / "small.png"
    small.save(path)
    list(register_scans(dataset, [path]))
    tiny = fake_registry(spec)
    statuses = measure(dataset, tiny, spec.key, work(dataset, spec), ["plate-001", "plate-006"])
    assert statuses == ["complete", "failed"]
    runs = build_ledgers(dataset, tiny)["runs"]
    assert runs.filter(plate_id="plate-006")["error_message"].to_list() == [
        "a picture of 40 x 20 px cannot be cut into 32 x 32 tiles"
    ]


class TestCatalogue:
    @pytest.fixture
    def connection(self, dataset, registry):
        measure(dataset, registry, TILED.key, work(dataset))
        build_ledgers(dataset, registry)
        build_catalogue(dataset, registry)
        with connect(dataset) as connection:
            yield connection

    def test_nearest_tiles_have_the_highest_cosine_on_other_plates(self, connection):
        rows = connection.execute(
            "SELECT plate_id, tile_id, vector FROM embeddings WHERE tile_id IS NOT NULL ORDER BY plate_id, tile_id"
        ).fetchall()
        vectors = np.array([row[2] for row in rows], dtype=np.float64)
        unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        query = next(number for number, row in enumerate(rows) if row[:2] == ("plate-001", "3x3-r2c2"))
        others = [number for number, row in enumerate(rows) if row[0] != "plate-001"]
        cosines = sorted((float(unit[query] @ unit[number]) for number in others), reverse=True)
        found = connection.execute(
            "SELECT plate_id, cosine FROM nearest_tiles('plate-001', '3x3-r2c2', 'embedder_tiled', 4)"
        ).fetchall()
        assert [cosine for _, cosine in found] == pytest.approx(cosines[:4], abs=1e-6)
        assert "plate-001" not in {plate_id for plate_id, _ in found}

    def test_a_null_tile_searches_with_the_whole_plate(self, connection):
        asked = "FROM nearest_tiles('plate-002', NULL, 'embedder_tiled', 99)"
        assert connection.execute(f"SELECT count(*), count(tile_id), count(x_min) {asked}").fetchone() == (52, 52, 52)

    def test_nearest_plates_use_only_the_vectors_of_whole_plates(self, connection):
        assert connection.execute("SELECT count(*) FROM nearest('plate-001', 'embedder_tiled', 99)").fetchone() == (4,)


class TestSpec:
    def test_only_an_embedding_has_tiles(self, tmp_path):
        content = content_of("otsu_luma") | {"tiles": {"grids": [2], "overlap_ratio": 0.0}}
        spec = read_spec(write_spec(tmp_path, content))
        assert isinstance(spec, Spec)
        assert missing_for_admission(spec) == ["tiles: only an embedding has a vector per tile"]

    @pytest.mark.parametrize(
        ("tiles", "complaint"),
        [
            ({"grids": [], "overlap_ratio": 0.0}, "tiles.grids"),
            ({"grids": [1], "overlap_ratio": 0.0}, "tiles.grids.0"),
            ({"grids": [4, 2], "overlap_ratio": 0.0}, "grids must ascend, each given once"),
            ({"grids": [2], "overlap_ratio": 1.0}, "tiles.overlap_ratio"),
        ],
    )
    def test_an_invalid_grid_is_refused(self, tmp_path, tiles: dict, complaint: str):
        problems = read_spec(write_spec(tmp_path, content_of("efficientnet_lite0") | {"tiles": tiles}))
        assert isinstance(problems, list)
        assert complaint in str(problems[0])

    def test_a_spec_without_tiles_has_no_such_field(self):
        assert "tiles" not in fake_spec("embedder").model_dump()

    def test_as_many_plates_are_measured_together_as_fit_into_the_batch(self, tmp_path):
        assert (TILED.inputs_per_plate, TILED.plates_at_once) == (14, 1)
        larger = read_spec(
            write_spec(tmp_path, with_field(content_of("efficientnet_lite0_tiles"), ("batch_size",), 64))
        )
        assert isinstance(larger, Spec)
        assert (larger.inputs_per_plate, larger.plates_at_once) == (21, 3)


def test_a_picture_that_is_no_plate_has_the_vector_that_the_plate_has(dataset, registry):
    """Whether the instrument has tiles or not: a picture is measured as a whole."""
    rows = rows_of(dataset, registry, "plate-001").filter(scope="plate")
    one = work(dataset)
    one.load()
    vector = one.embed_picture(decode(dataset.plate("plate-001").source_path()).image)
    assert vector.tolist() == rows["vector"][0].to_list()

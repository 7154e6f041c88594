"""Kept segments, their colours, polygons and vectors: each is sealed, reads the one before, and is in the catalogue."""

import json
from dataclasses import dataclass

import dagster as dg
import numpy as np
import polars as pl
import pytest
from PIL import Image
from shapely.geometry import shape
from support.fake_instruments import EMBEDDER, SEGMENTER
from support.fake_regions import KEPT, KEYS, PALETTE, POLYGONS, VECTORS, plan, region_registry
from support.made_datasets import COLOURS, PAPER, Graph, make_dataset
from support.made_results import build_ledgers, run_instrument

from atlas_assets.automation.standings import read_standings
from atlas_resources.catalogue.build import build_catalogue, connect
from atlas_resources.instruments.registry import Registry
from atlas_resources.measures.masks import run_lengths
from atlas_resources.plates.dataset import Dataset
from atlas_resources.runs.sealed import find_done


@dataclass(frozen=True)
class Made:
    """A dataset whose plates were measured by every instrument of a registry."""

    dataset: Dataset
    registry: Registry

    def run(self, key: str, *, is_forced: bool = False) -> list[str]:
        return run_instrument(self.dataset, self.registry, key, is_forced=is_forced)


def made(tmp_path, *colours: str, **changed) -> Made:
    """Plates of these colours, with all derived results."""
    found = Made(make_dataset(tmp_path, *colours), region_registry(plan(**changed)))
    for key in (SEGMENTER, KEPT, PALETTE, POLYGONS, VECTORS):
        assert found.run(key) == ["complete"] * len(colours)
    return found


def manifest_of(graph: Made, plate_id: str, key: str):
    found = find_done(graph.dataset.plate(plate_id), graph.registry.instruments[key].identity)
    assert found is not None
    return found


def rows_of(graph: Made, plate_id: str, key: str) -> pl.DataFrame:
    """The plate's sealed rows."""
    manifest = manifest_of(graph, plate_id, key)
    (path,) = [output.path for output in manifest.outputs if output.path.endswith(".parquet")]
    return pl.read_parquet(graph.dataset.plate(plate_id).folder / path)


def pixels_of(graph: Made) -> np.ndarray:
    with Image.open(graph.dataset.plate("plate-001").source_path()) as source:
        return np.asarray(source.convert("RGB"))


@pytest.fixture
def graph(tmp_path, fakes):
    """A plate whose left half is printed and whose right half is paper, which is not kept."""
    return made(tmp_path, "red")


class TestWhatIsKept:
    """Every segment has a verdict, and the raw set is unchanged."""

    def test_every_segment_has_its_verdict_and_its_reason(self, graph):
        rows = rows_of(graph, "plate-001", KEPT).select("segment_id", "segmenter", "rank", "reason", "mask_sha256")
        raw = rows_of(graph, "plate-001", SEGMENTER)
        assert rows["segment_id"].to_list() == raw["segment_id"].to_list() == ["mask-0001", "mask-0002"]
        assert rows["mask_sha256"].to_list() == raw["mask_sha256"].to_list()
        judged = dict(zip(raw["class_name"], rows.select("rank", "reason").iter_rows(), strict=True))
        assert judged == {"printed": (1, None), "paper": (None, "drop_class: paper")}

    def test_a_kept_mask_is_the_raw_one_and_a_dropped_mask_is_omitted(self, graph):
        raw = rows_of(graph, "plate-001", SEGMENTER).filter(pl.col("class_name") == "printed")
        rows = rows_of(graph, "plate-001", KEPT)
        assert rows.filter(pl.col("rank") == 1)["mask_rle"].to_list() == raw["mask_rle"].to_list()
        assert rows.filter(pl.col("rank").is_null())["mask_rle"].to_list() == [None]

    def test_the_files_of_the_raw_set_are_unchanged(self, graph):
        before = {output.path: output.sha256 for output in manifest_of(graph, "plate-001", SEGMENTER).outputs}
        assert graph.run(KEPT, is_forced=True) == ["complete"]
        assert {output.path: output.sha256 for output in manifest_of(graph, "plate-001", SEGMENTER).outputs} == before

    def test_segments_of_mostly_paper_are_dropped_by_the_scans_own_pixels(self, tmp_path, fakes):
        graph = made(tmp_path, "red", kept={"max_paper_ratio": 0.75})
        rows = rows_of(graph, "plate-001", KEPT)
        pixels = pixels_of(graph)
        is_paper = (pixels == PAPER).all(axis=2)
        halves = [is_paper[:, :200].mean(), is_paper[:, 200:].mean()]
        assert sorted(rows["paper_ratio"].to_list()) == pytest.approx(sorted(halves))
        assert rows.filter(pl.col("rank").is_not_null()).height == sum(half <= 0.75 for half in halves) == 1


class TestColours:
    """Colours are of the pixels inside the mask, at source size."""

    def test_colours_are_those_of_the_left_half(self, graph):
        (row,) = rows_of(graph, "plate-001", PALETTE).to_dicts()
        half = pixels_of(graph)[:, :200]
        luma = np.floor((half.astype(int) @ np.array([2126, 7152, 722]) + 5000) / 10000)
        assert row["area_px"] == half.shape[0] * 200
        assert row["luminance_mean"] == pytest.approx(luma.mean())
        assert row["luminance_std"] == pytest.approx(luma.std())
        assert row["interior_px"] == (half.shape[0] - 2) * 198
        shares = {colour["srgb_hex"]: colour["share"] for colour in row["palette"]}
        red = (half == COLOURS["red"]).all(axis=2).mean()
        assert shares["#be281e"] == pytest.approx(red, abs=1e-3)

    def test_a_picture_shows_the_segment(self, graph):
        (preview,) = [o for o in manifest_of(graph, "plate-001", PALETTE).outputs if "preview" in o.path]
        assert preview.size_bytes < 20_000


class TestPolygons:
    """Polygons are in source pixels, with measures of how well they match the mask."""

    def test_the_left_half_is_a_rectangle(self, graph):
        (row,) = rows_of(graph, "plate-001", POLYGONS).to_dicts()
        outline = shape(json.loads(row["multipolygon"]))
        height = len(pixels_of(graph))
        assert outline.bounds == (0, 0, 200, height)
        assert row["area_error_ratio"] == pytest.approx(outline.area / (200 * height) - 1)
        assert row["reprojected_iou"] > 0.99

    def test_the_tolerance_is_a_share_of_the_plates_longer_side(self, graph):
        (row,) = rows_of(graph, "plate-001", POLYGONS).to_dicts()
        longer_px = max(pixels_of(graph).shape[:2])
        assert row["tolerance_px"] == row["declared_tolerance_px"] == 0.003 * longer_px  # of the fake plan


class TestVectors:
    """Each crop is embedded as if it were a plate, and the row records the crop."""

    def test_a_tight_box_gives_the_mean_of_its_pixels(self, graph):
        (row,) = rows_of(graph, "plate-001", VECTORS).to_dicts()
        half = pixels_of(graph)[:, :200]
        assert (row["scope"], row["segment_id"]) == ("segment", "mask-0001")
        assert (row["x_min"], row["y_min"], row["x_max"], row["y_max"]) == (0, 0, 200, half.shape[0])
        assert row["crop_policy"] == "box.pad0.as_scanned"
        # Reduced by a box filter to 64 px and rounded to 8 bits: the mean is exact to half a level
        assert row["vector"] == pytest.approx((half / 255).mean(axis=(0, 1)), abs=0.5 / 255)

    def test_pixels_around_the_mask_are_replaced(self, tmp_path, fakes):
        crop = {"padding_ratio": 0, "shape": "square", "surroundings": "#000000"}
        graph = made(tmp_path, "red", crop=crop)
        (row,) = rows_of(graph, "plate-001", VECTORS).to_dicts()
        half = pixels_of(graph)[:, :200]
        # 200 x 300 in a square of 300: two thirds are the segment, the rest is black
        assert row["vector"] == pytest.approx((half / 255).mean(axis=(0, 1)) * 200 / 300, abs=2 / 255)

    def test_a_plate_without_segments_is_done_without_rows(self, tmp_path, fakes):
        graph = made(tmp_path, "red", kept={"min_area_ratio": 0.9})
        for key in (PALETTE, POLYGONS, VECTORS):
            assert rows_of(graph, "plate-001", key).is_empty()


class TestWhereItComesFrom:
    """Each result records the sealed file that it was made from, waits for it, and changes with it."""

    def test_each_manifest_names_the_file_that_it_read(self, graph):
        for key, upstream in ((KEPT, SEGMENTER), (PALETTE, KEPT), (POLYGONS, KEPT), (VECTORS, KEPT)):
            inputs = manifest_of(graph, "plate-001", key).inputs
            (sealed,) = [o for o in manifest_of(graph, "plate-001", upstream).outputs if o.path.endswith(".parquet")]
            assert inputs[1:] == [sealed]

    def test_plates_without_a_raw_set_wait(self, tmp_path, fakes):
        graph = Made(make_dataset(tmp_path, "red", "magenta"), region_registry())
        assert graph.run(SEGMENTER) == ["complete", "failed"]
        pending = {
            standing.keys[0].to_user_string(): standing.pending(1)
            for standing in read_standings(graph.dataset, graph.registry.instruments.values())
        }
        assert pending[KEYS[KEPT]] == ["plate-001"]
        assert pending[KEYS[VECTORS]] == []

    @pytest.mark.parametrize(
        ("changed", "stays"),
        [
            (region_registry(plan(kept={"drop_class": "paper", "top_k": 3})), {SEGMENTER, EMBEDDER}),
            (region_registry(gain=2.0), {EMBEDDER}),
            (
                region_registry(plan(crop={"padding_ratio": 0.1, "shape": "box", "surroundings": "as_scanned"})),
                {SEGMENTER, EMBEDDER, KEPT, PALETTE, POLYGONS},
            ),
        ],
        ids=["pruning", "segmenter", "crop"],
    )
    def test_a_change_affects_only_the_derived_instruments(self, fakes, changed, stays):
        before = {key: one.identity.fingerprint for key, one in region_registry().instruments.items()}
        after = {key: one.identity.fingerprint for key, one in changed.instruments.items()}
        assert {key for key in before if before[key] == after[key]} == stays


class TestTogether:
    """Regions are rows of the catalogue."""

    @pytest.fixture
    def catalogue(self, tmp_path, fakes):
        graph = made(tmp_path, "red", "green", "rose")
        build_ledgers(graph.dataset, graph.registry)
        build_catalogue(graph.dataset, graph.registry)
        with connect(graph.dataset) as connection:
            yield connection

    def test_a_region_is_one_row_with_shape_colours_and_polygon(self, catalogue):
        rows = catalogue.sql(
            "SELECT plate_id, segmenter, segment_id, class_name, centroid_x, luminance_mean IS NOT NULL, "
            "multipolygon IS NOT NULL FROM regions ORDER BY plate_id"
        ).fetchall()
        assert [row[:4] for row in rows] == [
            (plate_id, SEGMENTER, segment_id, "printed")
            for plate_id, segment_id in catalogue.sql(
                "SELECT plate_id, segment_id FROM segments WHERE class_name = 'printed' ORDER BY plate_id"
            ).fetchall()
        ]
        assert all(row[4] < 0.5 and row[5] and row[6] for row in rows)

    def test_masks_in_the_ledger_decode_and_match_their_digest(self, catalogue):
        query = "SELECT height_px, width_px, mask_rle, mask_sha256, area_px FROM regions"
        for height_px, width_px, counts, sha256, area_px in catalogue.sql(query).fetchall():
            assert run_lengths.decode(counts, height_px, width_px).sum() == area_px
            assert run_lengths.mask_sha256(counts, height_px, width_px) == sha256

    def test_the_nearest_region_of_red_is_the_rose_one(self, catalogue):
        ((segment,),) = catalogue.sql("SELECT segment_id FROM regions WHERE plate_id = 'plate-001'").fetchall()
        found = catalogue.sql(f"FROM nearest_regions('plate-001', '{segment}', '{VECTORS}', 5)").fetchall()
        assert [row[0] for row in found] == ["plate-003", "plate-002"]
        vectors = dict(
            catalogue.sql(f"SELECT plate_id, vector FROM embeddings WHERE instrument = '{VECTORS}'").fetchall()
        )
        one, other = (np.array(vectors[plate_id]) for plate_id in ("plate-001", "plate-003"))
        assert found[0][3] == pytest.approx(one @ other / np.linalg.norm(one) / np.linalg.norm(other), rel=1e-5)


class TestInTheGraph:
    """Assets are under `regions/<segmenter>`, each downstream of the one that it reads."""

    def test_assets_are_made_in_the_order_of_their_inputs(self, tmp_path, fakes, instance):
        graph = Graph(make_dataset(tmp_path, "red"), region_registry(), instance)
        assert graph.materialize(f"segments/{SEGMENTER}").success
        for key in (KEPT, VECTORS):
            assert graph.materialize(KEYS[key]).success
            assert graph.materialized(KEYS[key]) == {"plate-001"}
        node = graph.definitions.resolve_asset_graph().get(dg.AssetKey(KEYS[VECTORS].split("/")))
        assert dg.AssetKey(KEYS[KEPT].split("/")) in node.parent_keys
        assert node.group_name == f"regions_{SEGMENTER}"

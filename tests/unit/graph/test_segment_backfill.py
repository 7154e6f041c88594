"""From plates to ledgers through the real assets: a seeded SAM on real plates, Otsu's threshold on drawn ones."""

import hashlib
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco
from scipy import ndimage
from support.fake_instruments import fake_registry
from support.fake_regions import project_methods, region_plan
from support.made_checkpoints import put_in_torch_hub, spread, tiny_sam, use_tiny_sam
from support.made_datasets import Graph, draw_scans
from support.made_specs import project_spec
from support.real_plates import one_of_each_family

from atlas_assets.demo.plates import draw_demo_plates
from atlas_resources.catalogue.build import connect
from atlas_resources.instruments.region_plans import derive
from atlas_resources.instruments.spec.input import Resize
from atlas_resources.instruments.spec.spec import Spec
from atlas_resources.ledgers.parquet import read_ledger
from atlas_resources.plates.dataset import Dataset
from atlas_resources.plates.decode import decode
from atlas_resources.plates.intake.registration import register_scans
from atlas_resources.tables.results import INSTRUMENT_TABLES

KEY, EMBEDDER = "sam_vit_base", "efficientnet_lite0"
SMALL = Resize(mode="longest_side", size_px=256)
# Masks of seeded weights have low quality, so low thresholds keep some of them.
LOOSE = {
    "points_per_side": 3,
    "points_per_batch": 4,
    "pred_iou_thresh": 0.0,
    "stability_score_thresh": 0.05,
    "box_nms_thresh": 0.999,
}


def seeded_sam(folder: Path, patch: pytest.MonkeyPatch) -> Spec:
    """`sam_vit_base` with the architecture in miniature and a smaller working raster."""
    use_tiny_sam(patch)
    spec = project_spec(KEY)
    assert spec.preprocessing is not None
    steps = spec.preprocessing.model_copy(update={"resize": SMALL})
    spec = spec.model_copy(update={"parameters": {**spec.parameters, **LOOSE}, "preprocessing": steps})
    return put_in_torch_hub(spread(tiny_sam(), 0.5), spec, folder / "torch", patch)


def masks_of(rows: list[dict[str, Any]]) -> list[np.ndarray]:
    return [
        coco.decode({"size": [row["height_px"], row["width_px"]], "counts": row["mask_rle"]}).astype(bool)
        for row in rows
    ]


def test_a_seeded_sam_gives_sound_masks_regions_and_ledgers(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
):
    """On real plates of two families if present, else on drawn ones. Kept segments, colours and vectors follow."""
    scans = one_of_each_family()[:2] or draw_scans(tmp_path / "scans", "red", "green")
    dataset = Dataset(tmp_path / "atlas")
    list(register_scans(dataset, scans))
    sam, embedder = seeded_sam(tmp_path, monkeypatch), project_spec(EMBEDDER)
    plan = region_plan(KEY)  # its rules on paper and size would drop most masks of random weights
    kept = replace(plan.kept, max_paper_ratio=None, max_area_ratio=None)
    derived = derive(
        plan.model_copy(update={"kept": kept, "annotations": []}), sam, project_methods(), {EMBEDDER: embedder}
    )
    graph = Graph(dataset, fake_registry(sam, embedder, *derived), instance)
    for key in (f"segments/{KEY}", *(f"regions/{KEY}/{part}" for part in ("kept", "palette", EMBEDDER))):
        assert graph.materialize(key).success
    assert graph.materialize_all().success
    require_regions(dataset)
    rows = read_ledger(dataset, INSTRUMENT_TABLES["segmentation"]).to_dicts()
    assert {row["plate_id"] for row in rows} == set(dataset.plate_ids())
    for row, mask in zip(rows, masks_of(rows), strict=True):
        assert row["is_current"]
        text = f"{row['height_px']}x{row['width_px']}:{row['mask_rle']}"
        assert row["mask_sha256"] == hashlib.sha256(text.encode()).hexdigest()
        assert row["area_px"] == np.count_nonzero(mask)
        assert decode(dataset.plate(row["plate_id"]).source_path()).image.size == (row["width_px"], row["height_px"])
        y, x = np.nonzero(mask)
        box = [row[name] for name in ("x_min", "y_min", "x_max", "y_max")]
        assert box == [x.min(), y.min(), x.max() + 1, y.max() + 1]
    with connect(dataset) as catalogue:
        counts = catalogue.execute("SELECT plate_id, segment_count FROM segment_sets ORDER BY plate_id").fetchall()
    found = [row["plate_id"] for row in rows]
    assert counts == [(plate_id, found.count(plate_id)) for plate_id in dataset.plate_ids()]
    for plate_id, event in graph.events(f"segments/{KEY}"):
        assert event.metadata["segment_count"].value == found.count(str(plate_id))
        require_pictured(dataset, str(plate_id), [row for row in rows if row["plate_id"] == plate_id])


def require_regions(dataset: Dataset) -> None:
    """Each kept segment is an unchanged raw one, with colours of its own pixels and a vector of its box."""
    with connect(dataset) as catalogue:
        kept, of_raw = catalogue.execute("""
            SELECT count(*), count(raw.segment_id) FROM kept_segments AS kept
            LEFT JOIN segments AS raw USING (plate_id, segment_id, mask_rle, mask_sha256, area_px)
            WHERE kept.rank IS NOT NULL
        """).fetchall()[0]
        (coloured,) = catalogue.execute("""
            SELECT count(*) FROM region_colours JOIN kept_segments USING (plate_id, segment_id, area_px)
            WHERE abs(list_sum(list_transform(palette, lambda colour: colour.share)) - 1) < 1e-6
        """).fetchall()[0]
        (embedded,) = catalogue.execute("""
            SELECT count(*) FROM embeddings JOIN segments USING (plate_id, segment_id)
            WHERE scope = 'segment' AND vector_dim = 1280 AND l2_norm > 0
              AND embeddings.x_min <= segments.x_min AND embeddings.x_max >= segments.x_max
        """).fetchall()[0]
        (plates,) = catalogue.execute("SELECT count(DISTINCT plate_id) FROM region_colours").fetchall()[0]
    assert kept == of_raw == coloured == embedded > 0
    assert plates == len(dataset.plate_ids())


def require_pictured(dataset: Dataset, plate_id: str, rows: list[dict[str, Any]]) -> None:
    """The sealed preview shows the plate's own colours inside the masks, and pales them outside.

    Pixels within 4 px of an edge, and the 40 % with the largest differences (outlines, numbers), are ignored.
    """
    path = next((dataset.plate(plate_id).runs_folder / rows[0]["run_id"]).glob("preview.*"))
    picture = Image.open(io.BytesIO(path.read_bytes())).convert("RGB")
    plate = decode(dataset.plate(plate_id).source_path()).image.resize(picture.size, Image.Resampling.LANCZOS)
    shown = Image.fromarray(np.any(masks_of([row for row in rows if row["class_name"] != "paper"]), axis=0))
    covered = np.asarray(shown.resize(picture.size, Image.Resampling.NEAREST))
    veiled = 0.38 * np.asarray(plate, float) + 0.62 * np.array((236, 236, 240))
    seen = np.asarray(picture, float)
    for where, expected in ((covered, np.asarray(plate, float)), (~covered, veiled)):
        inner = ndimage.binary_erosion(where, iterations=4, border_value=1)
        if inner.sum() > 100:
            error = np.abs(seen - expected).mean(axis=-1)[inner]
            assert np.quantile(error, 0.6) < 25, f"{plate_id}: the preview does not show these masks"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> tuple[Dataset, Path]:
    """Four drawn plates of about 300 px, and the folder of their truth."""
    folder = tmp_path_factory.mktemp("drawn")
    draw_demo_plates(folder / "scans", folder / "truth", 4, scale=0.12, processes=1)
    dataset = Dataset(folder / "atlas")
    list(register_scans(dataset, [folder / "scans"]))
    return dataset, folder / "truth"


def test_otsus_threshold_is_scored_against_the_truth_of_drawn_plates(
    drawn: tuple[Dataset, Path], instance: dg.DagsterInstance
):
    """The union of its print regions is compared with the drawn subject and ink, on uneven, foxed paper."""
    dataset, truth = drawn
    graph = Graph(dataset, fake_registry(project_spec("otsu_luma")), instance)
    assert graph.materialize("segments/otsu_luma").success
    assert graph.materialize_all().success
    rows = read_ledger(dataset, INSTRUMENT_TABLES["segmentation"]).to_dicts()
    scores = {}
    for plate_id in dataset.plate_ids():
        own = [row for row in rows if row["plate_id"] == plate_id]
        printed = np.any(masks_of([row for row in own if row["class_name"] == "printed"]), axis=0)
        expected = np.asarray(Image.open(truth / f"{plate_id}.mask.png").convert("1"))
        scores[plate_id] = np.count_nonzero(printed & expected) / np.count_nonzero(printed | expected)
        require_pictured(dataset, plate_id, own)
    assert min(scores.values()) > 0.7, scores  # 0.76 to 0.90: a global threshold mistakes foxing for print
    assert len(scores) == 4

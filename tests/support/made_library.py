"""A small library with a result of every kind, from its plates to its catalogue: what a page is made of."""

from pathlib import Path

import numpy as np

from atlas_resources.catalogue.build import build_catalogue
from atlas_resources.instruments.registry import Registry
from atlas_resources.plates.dataset import Dataset
from atlas_resources.tables.result_columns import PROBE
from support.fake_instruments import EMBEDDER, READER, SEGMENTER, fake_registry, fake_spec, reader_spec
from support.fake_regions import KEPT, PALETTE, POLYGONS, VECTORS, region_registry
from support.made_answers import text_spec
from support.made_datasets import make_dataset
from support.made_results import (
    GivenLines,
    GivenRows,
    GivenVectors,
    build_ledgers,
    measure,
    measure_groundwork,
    run_instrument,
)

COLOURS = ("red", "green", "blue", "ochre", "teal", "brown", "rose", "ink", "plum", "olive", "slate", "gold")
OTHER_EMBEDDER = "fake_embedder_two"
TEXT_READER = "captioner"
HOSTILE = "</script><img src=x onerror=alert(1)>\u2028 \"quoted\" 'twice' \\ <!--"
SCORES = tuple(
    {"label_index": place, "label_id": f"n{place:04d}", "label": label, "score": score, "calibration": "uncalibrated"}
    for place, (label, score) in enumerate([("crane", 0.4), ("crane", 0.3), ("owl", 0.2), ("gull, mew", 0.1)])
)
"""Scores of which two share a label."""


def library_registry() -> Registry:
    """Two embedders, a segmenter with all that is derived from it, a probe and a reader of texts."""
    specs = region_registry().specs.values()
    return fake_registry(*specs, fake_spec(OTHER_EMBEDDER, gain=2.0), reader_spec(), text_spec(TEXT_READER))


def make_library(folder: Path, count: int = 12, *, has_polygons: bool = True) -> tuple[Dataset, Registry]:
    """The library, measured, without ledgers. Needs the fake instruments.

    Args:
        folder: where.
        count: number of plates, at most 12.
        has_polygons: whether kept segments have polygons.
    """
    dataset, registry = make_dataset(folder, *COLOURS[:count]), library_registry()
    measure_groundwork(dataset)
    drawn = np.random.default_rng(3).normal(size=(count, 3))
    vectors = {plate_id: row.tolist() for plate_id, row in zip(dataset.plate_ids(), drawn, strict=True)}
    run_instrument(dataset, registry, EMBEDDER)
    measure(dataset, registry, OTHER_EMBEDDER, GivenVectors(vectors))
    for key in (SEGMENTER, KEPT, PALETTE, VECTORS, *([POLYGONS] if has_polygons else [])):
        run_instrument(dataset, registry, key)
    measure(dataset, registry, READER, GivenRows(PROBE, *SCORES))
    measure(dataset, registry, TEXT_READER, GivenLines("Snow Bunting", HOSTILE))
    return dataset, registry


def build(dataset: Dataset, registry: Registry) -> None:
    """Builds ledgers and catalogue."""
    build_ledgers(dataset, registry)
    build_catalogue(dataset, registry)

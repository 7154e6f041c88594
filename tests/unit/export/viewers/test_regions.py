"""Regions as GeoJSON, Web Annotations and IIIF: their structure follows the standards, their coordinates the mask."""

import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely
from PIL import Image
from support.fake_instruments import SEGMENTER
from support.fake_regions import KEPT, PALETTE, POLYGONS, region_registry
from support.made_datasets import make_dataset
from support.made_results import build_ledgers, run_instrument

from atlas_resources.export.viewers.annotations import (
    PlatePage,
    PublishedRegion,
    annotation_page,
    feature_collection,
    outline,
    svg_selector,
)
from atlas_resources.export.viewers.iiif import iiif_manifest
from atlas_resources.export.viewers.regions import export_regions, find_publishable
from atlas_resources.measures.masks.outlines import fill_outline, trace_outline

PAGE = PlatePage("plate-001", "A ring", 90, 60, "https://example.org/plates/plate-001", "Public domain")
BASE = "http://127.0.0.1:8000"


def ring_mask() -> np.ndarray:
    """A ring off the centre of 60 rows and 90 columns, so that a wrong axis or origin shows."""
    rows, columns = np.mgrid[:60, :90]
    radius = np.hypot(rows - 20, columns - 60)
    return (radius < 18) & (radius > 8)


def ring_region() -> PublishedRegion:
    outline = trace_outline(ring_mask(), 0.5)
    coordinates = json.loads(shapely.to_geojson(outline.shape))["coordinates"]
    return PublishedRegion(
        "mask-0001", coordinates, (43, 3, 78, 38), {"segmenter": "ring", "area_px": 800}, "ring at 1"
    )


class TestGeoJson:
    """RFC 7946, but with pixels for coordinates."""

    def test_rings_are_closed_and_wound_as_section_3_1_6_asks(self):
        (feature,) = feature_collection(PAGE, [ring_region()])["features"]
        ((exterior, hole),) = feature["geometry"]["coordinates"]
        assert exterior[0] == exterior[-1]
        assert hole[0] == hole[-1]
        assert shapely.LinearRing(exterior).is_ccw
        assert not shapely.LinearRing(hole).is_ccw

    def test_a_collection_has_no_members_that_section_7_1_forbids(self):
        collection = feature_collection(PAGE, [ring_region()])
        assert not {"coordinates", "geometries", "geometry", "properties"} & set(collection)
        assert "y down" in collection["coordinate_space"]

    def test_filling_it_gives_the_mask_back(self):
        (feature,) = feature_collection(PAGE, [ring_region()])["features"]
        ((exterior, *holes),) = feature["geometry"]["coordinates"]
        filled = fill_outline(shapely.MultiPolygon([shapely.Polygon(exterior, holes)]), 60, 90)
        assert np.count_nonzero(filled & ring_mask()) / np.count_nonzero(filled | ring_mask()) > 0.97


class TestWebAnnotations:
    """https://www.w3.org/TR/annotation-model/, on a IIIF canvas of the source's size."""

    def test_an_annotation_names_its_target_and_its_facts(self):
        page = annotation_page(PAGE, [ring_region()])
        assert page["@context"] == "http://iiif.io/api/presentation/3/context.json"
        assert page["type"] == "AnnotationPage"
        (annotation,) = page["items"]
        assert annotation["type"] == "Annotation"
        assert annotation["id"] == "https://example.org/plates/plate-001/annotations.json#mask-0001"
        assert annotation["target"]["source"] == iiif_manifest(PAGE, {})["items"][0]["id"]
        assert annotation["generator"] == {"type": "Software", "name": "ring at 1; machine-made"}
        assert annotation["body"][0]["value"] == "mask-0001"
        assert annotation["body"][1]["value"] == "machine_made: true\nsegmenter: ring\narea_px: 800"

    def test_the_box_is_a_media_fragment_in_pixels(self):
        (annotation,) = annotation_page(PAGE, [ring_region()])["items"]
        (fragment,) = [one for one in annotation["target"]["selector"] if one["type"] == "FragmentSelector"]
        assert fragment["conformsTo"] == "http://www.w3.org/TR/media-frags/"
        assert fragment["value"] == "xywh=43,3,35,35"

    def test_the_outline_is_an_svg_path_over_the_canvas(self):
        selector = svg_selector(PAGE, outline(ring_region().polygons))
        root = ElementTree.fromstring(selector["value"])  # noqa: S314 - made here
        assert root.attrib["viewBox"] == "0 0 90 60"
        (path,) = root
        assert path.attrib["fill-rule"] == "evenodd"
        rings = [
            [[float(number) for number in corner.split(",")] for corner in re.split(r" L", ring.strip(" M"))]
            for ring in path.attrib["d"].split("Z")
            if ring.strip()
        ]
        polygon = shapely.MultiPolygon([shapely.Polygon(rings[0], rings[1:])])
        assert polygon.equals(shapely.MultiPolygon([shapely.Polygon(*_rings(ring_region()))]))

    def test_the_canvas_is_painted_with_the_plate_and_annotated_with_its_regions(self):
        manifest = iiif_manifest(PAGE, {"annotations.json": {"en": ["Regions"]}})
        (canvas,) = manifest["items"]
        assert (canvas["width"], canvas["height"]) == (90, 60)
        painting = canvas["items"][0]["items"][0]
        assert (painting["motivation"], painting["target"]) == ("painting", canvas["id"])
        assert painting["body"]["id"] == "https://example.org/plates/plate-001/image.jpg"
        assert canvas["annotations"][0]["id"] == annotation_page(PAGE, [])["id"]


def _rings(region: PublishedRegion) -> tuple:
    ((exterior, *holes),) = region.polygons
    return exterior, holes


class TestExport:
    """A folder per plate."""

    @pytest.fixture
    def dataset(self, tmp_path, fakes):
        dataset, registry = make_dataset(tmp_path, "red", "green"), region_registry()
        for key in (SEGMENTER, KEPT, PALETTE, POLYGONS):
            assert run_instrument(dataset, registry, key) == ["complete"] * 2
        build_ledgers(dataset, registry)
        return dataset

    def test_each_plate_has_its_image_and_its_regions(self, dataset, tmp_path):
        written = list(export_regions(dataset, tmp_path / "out", find_publishable(dataset, SEGMENTER), f"{BASE}/"))
        assert [(plate.plate_id, plate.regions_count) for plate in written] == [("plate-001", 1), ("plate-002", 1)]
        here = tmp_path / "out" / "plate-001"
        manifest = json.loads((here / "manifest.json").read_text())
        assert manifest["id"] == f"{BASE}/plate-001/manifest.json"
        with Image.open(here / "image.jpg") as image, Image.open(dataset.plate("plate-001").source_path()) as source:
            assert image.size == source.size
            assert (manifest["items"][0]["width"], manifest["items"][0]["height"]) == source.size
        (feature,) = json.loads((here / "regions.geojson").read_text())["features"]
        assert feature["properties"]["palette"][0].startswith("#")
        assert feature["properties"]["licence"] == "BSD-2-Clause AND BSD-3-Clause AND MIT"

    def test_it_never_writes_into_the_dataset(self, dataset):
        with pytest.raises(ValueError, match="expected a folder outside the dataset"):
            list(export_regions(dataset, dataset.root / "out", find_publishable(dataset, SEGMENTER), BASE))

    def test_without_polygons_and_texts_it_names_the_command_that_makes_them(self, dataset):
        with pytest.raises(FileNotFoundError, match="atlas run 'key:\"regions/sam_vit_base/polygons\"'"):
            find_publishable(dataset, "sam_vit_base")

    def test_an_address_that_is_not_http_is_refused(self, dataset, tmp_path):
        with pytest.raises(ValueError, match="starts with http"):
            list(export_regions(dataset, tmp_path / "out", find_publishable(dataset, SEGMENTER), "plates"))

"""A plate's regions as GeoJSON and as Web Annotations on its IIIF canvas. Nothing is written here.

All coordinates are pixels of the upright source: x right, y down, pixel (0, 0) covering 0..1. The IIIF canvas has the
source's size, so that canvas and source coordinates are equal.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# The Web Annotation data model, https://www.w3.org/TR/annotation-model/, section 4.2
MEDIA_FRAGMENTS = "http://www.w3.org/TR/media-frags/"
# Of every IIIF file that is served by itself, https://iiif.io/api/presentation/3.0/#46-linked-data-context-and-extensions;
# it has the terms of the Web Annotation data model.
IIIF_CONTEXT = "http://iiif.io/api/presentation/3/context.json"
REGIONS_NAME, REGIONS_LABEL = "annotations.json", "Regions, drawn by a machine"
PIXELS = "pixels of the upright source: x right, y down, pixel (0, 0) covering 0..1; not longitude and latitude"


@dataclass(frozen=True)
class PlatePage:
    """A plate as it is published.

    Attributes:
        plate_id, title: its identity.
        width_px, height_px: of the upright source.
        url: address that the plate's folder is served under, without a trailing slash.
        licence: licence of the scan as its index states it.
        plate_number: number in its series.
        extra: further columns of its index, in order.
    """

    plate_id: str
    title: str
    width_px: int
    height_px: int
    url: str
    licence: str | None = None
    plate_number: int | None = None
    extra: Mapping[str, str | int] = field(default_factory=dict)

    @property
    def canvas(self) -> str:
        """Address of its IIIF canvas."""
        return f"{self.url}/canvas"


@dataclass(frozen=True)
class PublishedRegion:
    """A segment as it is published.

    Attributes:
        segment_id: its name on the plate.
        polygons: the rings of each polygon, closed, the exterior first; x, y in pixels.
        box: x_min, y_min, x_max, y_max; the last two exclusive.
        facts: instrument, digests, measures and licence, by name.
        generator: the model that drew it, and its revision.
        corrected_class: the right class of it, by a person; None unless somebody corrected it.
        corrected_by: who did.
    """

    segment_id: str
    polygons: Sequence[Sequence[Sequence[Sequence[float]]]]
    box: tuple[int, int, int, int]
    facts: dict[str, Any]
    generator: str
    corrected_class: str | None = None
    corrected_by: str | None = None

    @property
    def stated(self) -> dict[str, Any]:
        """The facts, that a machine made it, and what a person corrected."""
        stated = {"machine_made": True, **self.facts}
        if self.corrected_class is not None:
            stated |= {"corrected_class": self.corrected_class, "corrected_by": self.corrected_by}
        return stated


def feature_collection(page: PlatePage, regions: Sequence[PublishedRegion]) -> dict[str, Any]:
    """GeoJSON (RFC 7946), but with pixels for coordinates, as its member `coordinate_space` says."""
    return {
        "type": "FeatureCollection",
        "coordinate_space": PIXELS,
        "plate": {"id": page.plate_id, "title": page.title, "width": page.width_px, "height": page.height_px},
        "features": [
            {
                "type": "Feature",
                "id": f"{page.plate_id}/{region.segment_id}",
                "bbox": list(region.box),
                "geometry": {"type": "MultiPolygon", "coordinates": region.polygons},
                "properties": {"segment_id": region.segment_id, "generator": region.generator, **region.stated},
            }
            for region in regions
        ],
    }


def annotation_page(page: PlatePage, regions: Sequence[PublishedRegion]) -> dict[str, Any]:
    """A IIIF annotation page: an annotation per region, with outline and box as target, name and facts as bodies."""
    return {
        "@context": IIIF_CONTEXT,
        "id": f"{page.url}/{REGIONS_NAME}",
        "type": "AnnotationPage",
        "label": {"en": [REGIONS_LABEL]},
        "items": [_annotation(page, region) for region in regions],
    }


def _annotation(page: PlatePage, region: PublishedRegion) -> dict[str, Any]:
    facts = "\n".join(f"{name}: {_text(value)}" for name, value in region.stated.items() if value is not None)
    return {
        "id": f"{page.url}/{REGIONS_NAME}#{region.segment_id}",
        "type": "Annotation",
        "motivation": ["tagging", "describing"],
        "generator": {"type": "Software", "name": f"{region.generator}; machine-made"},
        "body": [
            {"type": "TextualBody", "purpose": "tagging", "format": "text/plain", "value": region.segment_id},
            {"type": "TextualBody", "purpose": "describing", "format": "text/plain", "value": facts},
            *_correction(region),
        ],
        "target": {
            "type": "SpecificResource",
            "source": page.canvas,
            "selector": [svg_selector(page, outline(region.polygons)), box_selector(*region.box)],
        },
    }


def _correction(region: PublishedRegion) -> list[dict[str, Any]]:
    """The class that a person says is right, with the person as its creator."""
    if region.corrected_class is None:
        return []
    body = {"type": "TextualBody", "purpose": "tagging", "format": "text/plain", "value": region.corrected_class}
    return [{**body, "creator": {"type": "Person", "name": region.corrected_by}}]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def box_selector(x_min: float, y_min: float, x_max: float, y_max: float) -> dict[str, str]:
    """A box on the canvas, pixels; the last two exclusive."""
    sides = ",".join(f"{side:.10g}" for side in (x_min, y_min, x_max - x_min, y_max - y_min))
    return {"type": "FragmentSelector", "conformsTo": MEDIA_FRAGMENTS, "value": f"xywh={sides}"}


def svg_selector(page: PlatePage, shape: str) -> dict[str, str]:
    """An element of SVG over the whole canvas."""
    view = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {page.width_px} {page.height_px}">'
    return {"type": "SvgSelector", "value": f"{view}{shape}</svg>"}


def outline(polygons: Sequence[Sequence[Sequence[Sequence[float]]]]) -> str:
    """Polygons as one SVG path; the even-odd rule makes the holes."""
    path = " ".join(_closed(ring) for polygon in polygons for ring in polygon)
    return f'<path fill-rule="evenodd" d="{path}"/>'


def _closed(ring: Sequence[Sequence[float]]) -> str:
    """The ring as a path. `Z` closes it, so its last corner, which repeats the first, is left out."""
    return "M" + " L".join(f"{x:g},{y:g}" for x, y in ring[:-1]) + " Z"

"""What is written for IIIF viewers is what `iiif-prezi3`, the library of the Presentation API 3, reads and writes."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from support.validators import needs_validators, run_offline

from atlas_resources.export.viewers.annotations import PlatePage, PublishedRegion, annotation_page
from atlas_resources.export.viewers.iiif import iiif_collection, iiif_manifest

PAGE = PlatePage("plate-001", "A <i>ring</i>", 90, 60, "https://example.org/plates/plate-001", "© The Museum", 13)
OTHER = replace(PAGE, plate_id="plate-002", licence="CC0", url="https://example.org/plates/plate-002")
SQUARE = [[[[0.0, 0.0], [9.0, 0.0], [9.0, 9.0], [0.0, 9.0], [0.0, 0.0]]]]
REGION = PublishedRegion("mask-0001", SQUARE, (0, 0, 9, 9), {"area_px": 81}, "ring at 1", "moth", "Ada")
# Reads with the library's own models and writes again: what it does not know or would write otherwise is a difference.
READ_AND_WRITE = """
import json, sys
import iiif_prezi3
from iiif_prezi3 import AnnotationPage, Collection, Manifest
kinds = {"Manifest": Manifest, "Collection": Collection, "AnnotationPage": AnnotationPage}
for path in sys.argv[1:]:
    document = json.load(open(path))
    context = document.pop("@context")
    read = kinds[document["type"]].model_validate(document)
    written = json.loads(read.json())
    written.pop("@context", None)
    for canvas in written["items"] if document["type"] == "Manifest" else []:
        for page in canvas.get("annotations", []):
            assert page.pop("items") == []  # the library gives a reference to a page of its own none of its items
    print(json.dumps({"@context": context, **written}))
"""


@pytest.fixture
def documents() -> list[dict]:
    pages = {"annotations.json": {"en": ["Regions"]}}
    return [
        iiif_manifest(PAGE, pages),
        iiif_manifest(OTHER, {}),
        annotation_page(PAGE, [REGION]),
        iiif_collection("https://example.org/plates", [PAGE, OTHER], ["1 region: rejected by people"]),
    ]


def written_to(folder: Path, documents: list[dict]) -> list[Path]:
    paths = [folder / f"{number}.json" for number in range(len(documents))]
    for path, document in zip(paths, documents, strict=True):
        path.write_text(json.dumps(document), encoding="utf-8")
    return paths


@needs_validators
def test_manifests_annotation_pages_and_collections_are_read_and_written_the_same(documents, tmp_path):
    lines = run_offline(READ_AND_WRITE, *written_to(tmp_path, documents)).splitlines()
    assert [json.loads(line) for line in lines] == documents


@needs_validators
@pytest.mark.parametrize(
    "change", [{"id": "plate-001"}, {"items": [{"type": "Canvas", "id": "canvas"}]}, {"rights": 4}]
)
def test_a_manifest_against_the_rules_is_not_read(change, tmp_path):
    paths = written_to(tmp_path, [{**iiif_manifest(PAGE, {}), **change}])
    with pytest.raises(AssertionError, match="ValidationError"):
        run_offline(READ_AND_WRITE, *paths)


def test_a_collection_names_each_manifest_and_what_was_left_out():
    made = iiif_collection("https://example.org/plates", [PAGE, OTHER], [])
    assert next(iter(made)) == "@context"
    assert made["id"] == "https://example.org/plates/collection.json"
    assert made["label"] == {"en": ["Atlas: 2 plates"]}
    assert [one["id"] for one in made["items"]] == [f"{page.url}/manifest.json" for page in (PAGE, OTHER)]
    assert made["items"][0]["label"] == {"none": ["A ring"]}
    assert "metadata" not in made

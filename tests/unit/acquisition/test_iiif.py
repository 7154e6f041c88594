"""IIIF manifests and collections of both versions as institutions serve them: what is fetched, and what is stated."""

import hashlib
import json
from typing import Any

import pytest
from support.hub_server import Fault
from support.made_pulls import Archive, archive, only_loopback
from support.made_scans import write_image

from atlas_resources.acquisition import iiif
from atlas_resources.acquisition.iiif import walk
from atlas_resources.acquisition.iiif_document import IiifBroken, image_address, is_iiif, read_document, text_of
from atlas_resources.downloads.errors import DownloadFailed
from atlas_resources.plates.contracts import MAX_EXTRA_KEYS

__all__ = ["archive", "only_loopback"]  # fixtures

pytestmark = pytest.mark.timeout(120)
BASE = "https://iiif.example"


def service3(url: str) -> dict[str, Any]:
    return {"id": url, "type": "ImageService3", "profile": "level1"}


def service2(url: str) -> dict[str, Any]:
    return {
        "@context": "http://iiif.io/api/image/2/context.json",
        "@id": url,
        "profile": ["http://iiif.io/api/image/2/level2.json", {"formats": ["tif"]}],
    }


def canvas3(number: int, body: object) -> dict[str, Any]:
    annotation = {"type": "Annotation", "motivation": "painting", "body": body}
    return {
        "id": f"{BASE}/canvas/{number}",
        "type": "Canvas",
        "label": {"none": [f"Plate {number}"]},
        "items": [{"type": "AnnotationPage", "items": [annotation]}],
    }


def manifest3(*bodies: object, **fields: object) -> dict[str, Any]:
    return {
        "@context": "http://iiif.io/api/presentation/3/context.json",
        "id": f"{BASE}/manifest",
        "type": "Manifest",
        "label": {"en": ["Birds"], "de": ["Vögel"]},
        "items": [canvas3(number, body) for number, body in enumerate(bodies, start=1)],
        **fields,
    }


def manifest2(*resources: object, **fields: object) -> dict[str, Any]:
    canvases = [
        {
            "@id": f"{BASE}/canvas/{number}",
            "@type": "sc:Canvas",
            "label": f"f. {number}r",
            "images": [{"@type": "oa:Annotation", "motivation": "sc:painting", "resource": resource}],
        }
        for number, resource in enumerate(resources, start=1)
    ]
    return {
        "@context": "http://iiif.io/api/presentation/2/context.json",
        "@id": f"{BASE}/manifest",
        "@type": "sc:Manifest",
        "label": "Book of birds",
        "sequences": [{"@type": "sc:Sequence", "canvases": canvases}],
        **fields,
    }


def image3(url: str) -> dict[str, Any]:
    return {"id": url, "type": "Image", "format": "image/jpeg"}


def read_nothing(address: str) -> bytes:
    raise AssertionError(f"{address} is read")


def walked(document: dict[str, Any]) -> iiif.WantedScans:
    return walk(document.get("id") or document["@id"], json.dumps(document).encode(), read_nothing)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({**image3(f"{BASE}/x.jpg"), "service": [service3(f"{BASE}/i/1/")]}, f"{BASE}/i/1/full/max/0/default.jpg"),
        ({**image3(f"{BASE}/x.jpg"), "service": service2(f"{BASE}/i/1")}, f"{BASE}/i/1/full/full/0/default.jpg"),
        (
            {**image3("x"), "service": [{"@id": f"{BASE}/i/1", "@type": "ImageService2"}]},
            f"{BASE}/i/1/full/full/0/default.jpg",
        ),
        (
            {"@id": "x", "service": {"@id": "i", "profile": "http://library.stanford.edu/iiif/image-api/1.1/#level1"}},
            "i/full/full/0/native.jpg",
        ),
        ({**image3(f"{BASE}/x.jpg"), "service": [{"id": f"{BASE}/auth", "type": "AuthService"}]}, f"{BASE}/x.jpg"),
        (image3(f"{BASE}/x.tif"), f"{BASE}/x.tif"),
        ({"id": f"{BASE}/x.mp4", "type": "Video"}, None),
        ({"type": "Image"}, None),
    ],
)
def test_an_image_is_asked_for_at_full_size(body: dict[str, Any], expected: str | None):
    assert image_address(body) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("Plain", "Plain"),
        ({"de": ["Vögel"], "en": ["Birds", "Fowl"]}, "Birds; Fowl"),
        ({"fr": ["Oiseaux"]}, "Oiseaux"),
        ([{"@value": "Vögel", "@language": "de"}, {"@value": "Birds", "@language": "en"}], "Birds"),
        ([{"@value": "Vögel", "@language": "de"}], "Vögel"),
        (["a", "b"], "a; b"),
        ({"@value": "x"}, "x"),
        ('<a href="https://x.example">Tom &amp; Jerry</a><br/>1827', "Tom & Jerry 1827"),
        ("a < b", "a < b"),
        ("red\x1b[31m\nand\ttab", "red [31m and tab"),
        (1827, "1827"),
        (None, ""),
        (True, ""),
        ({"en": {"deep": []}}, ""),
    ],
)
def test_a_label_is_plain_text(value: object, expected: str):
    assert text_of(value) == expected


def test_a_manifest_of_version_3_states_title_rights_attribution_and_metadata():
    document = manifest3(
        image3(f"{BASE}/1.jpg"),
        {**image3("x"), "service": [service3(f"{BASE}/i/2")]},
        rights="http://creativecommons.org/publicdomain/mark/1.0/",
        requiredStatement={"label": {"en": ["Attribution"]}, "value": {"en": ["<b>Museum</b> of Birds"]}},
        metadata=[
            {"label": {"en": ["Artist"]}, "value": {"none": ["Ada"]}},
            {"label": {"en": ["Artist"]}, "value": {"none": ["Ben"]}},
            {"label": {"en": ["Date"]}, "value": {"none": ["1827"]}},
        ],
    )
    found = walked(document)
    assert found.description == "IIIF Presentation 3, manifest, 1 manifest, 2 scans"
    assert [(one.url, one.name) for one in found.scans] == [
        (f"{BASE}/1.jpg", "1.jpg"),
        (f"{BASE}/i/2/full/max/0/default.jpg", "birds-002.jpg"),
    ]
    (row,) = found.scans[1].rows
    assert (row.title, row.licence) == ("Birds, Plate 2", "http://creativecommons.org/publicdomain/mark/1.0/")
    assert row.extra == {
        "Artist": "Ada; Ben",
        "Date": 1827,
        "attribution": "Museum of Birds",
        "canvas_label": "Plate 2",
        "iiif_manifest": f"{BASE}/manifest",
        "iiif_canvas": f"{BASE}/canvas/2",
    }
    assert found.scans[0].document.sha256 == hashlib.sha256(json.dumps(document).encode()).hexdigest()


def test_a_manifest_of_version_2_states_the_same():
    choice = {"@type": "oa:Choice", "default": {"@id": f"{BASE}/d.jpg", "@type": "dctypes:Image"}, "item": []}
    document = manifest2(
        {"@id": f"{BASE}/1.jpg", "@type": "dctypes:Image", "service": service2(f"{BASE}/i/1")},
        choice,
        license="https://rightsstatements.org/vocab/NKC/1.0/",
        attribution="Library of Birds",
        metadata=[{"label": "Author", "value": [{"@value": "Ada", "@language": "en"}]}],
    )
    found = walked(document)
    assert found.description == "IIIF Presentation 2, manifest, 1 manifest, 2 scans"
    assert [one.url for one in found.scans] == [f"{BASE}/i/1/full/full/0/default.jpg", f"{BASE}/d.jpg"]
    (row,) = found.scans[0].rows
    assert (row.title, row.licence) == ("Book of birds, f. 1r", "https://rightsstatements.org/vocab/NKC/1.0/")
    assert (row.extra["Author"], row.extra["attribution"]) == ("Ada", "Library of Birds")


def test_what_else_is_on_a_canvas_is_noted():
    several = [image3(f"{BASE}/1.jpg"), image3(f"{BASE}/2.jpg")]
    found = walked(manifest3(several, {"id": f"{BASE}/s.mp3", "type": "Sound"}, image3(f"{BASE}/1.jpg")))
    assert [one.url for one in found.scans] == [f"{BASE}/1.jpg"]
    where = f"of {BASE}/manifest"
    assert found.notes == (
        f"canvas 1 {where} has 2 images; the first is taken",
        f"canvas 2 {where} has no image",
        f"canvas 3 {where} has the image of canvas 1 {where}",
    )


def test_an_address_that_is_none_is_a_problem_of_its_canvas():
    found = walked(manifest3(image3("file:///etc/passwd"), image3(f"{BASE}/2.jpg")))
    assert [one.url for one in found.scans] == [f"{BASE}/2.jpg"]
    (problem,) = found.problems
    assert problem.where == f"canvas 1 of {BASE}/manifest"
    assert problem.reason.startswith("'file:///etc/passwd' is not an address that begins with http")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html>",
        b"[]",
        b"3",
        b'{"type": "Annotation"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"9" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_iiif_document_is_refused(data: bytes):
    assert not is_iiif(data)
    with pytest.raises(IiifBroken):
        read_document(data)


@pytest.mark.parametrize("odd", [None, 3, "x", [], [None, 3, "x"], {}, {"id": 7}, [[]], True])
@pytest.mark.parametrize("name", ["items", "label", "metadata", "rights", "requiredStatement", "sequences"])
def test_an_odd_field_is_read_as_nothing(name: str, odd: object):
    for kind in ("Manifest", "Collection"):
        document = read_document(json.dumps({"type": kind, name: odd, "id": "x"}).encode())
        assert (document.kind, document.references) == (kind, ())
        assert {canvas.image_url for canvas in document.canvases} <= {None}
    for content in (manifest3(odd), manifest2(odd)):
        assert {canvas.image_url for canvas in read_document(json.dumps(content).encode()).canvases} == {None}


def test_more_metadata_than_a_manifest_may_have_is_cut():
    pairs = [{"label": {"none": [f"key {n}"]}, "value": {"none": ["v" * 30_000]}} for n in range(300)]
    ((row,),) = [one.rows for one in walked(manifest3(image3(f"{BASE}/1.jpg"), metadata=pairs)).scans]
    assert len(row.extra) <= MAX_EXTRA_KEYS
    assert len(str(row.extra["key 0"])) == 20_000
    assert row.extra["iiif_canvas"] == f"{BASE}/canvas/1"


def collection(*references: tuple[str, str], **fields: object) -> dict[str, Any]:
    return {
        "type": "Collection",
        "id": f"{BASE}/top",
        "items": [{"type": kind, "id": address} for kind, address in references],
        **fields,
    }


def walked_through(documents: dict[str, dict[str, Any]]) -> tuple[iiif.WantedScans, list[str]]:
    """What `top` leads to, and the addresses that were read."""
    asked: list[str] = []

    def read(address: str) -> bytes:
        asked.append(address)
        if address not in documents:
            raise DownloadFailed("there is no such file (404)")
        return json.dumps(documents[address]).encode()

    return walk(f"{BASE}/top", json.dumps(documents[f"{BASE}/top"]).encode(), read), asked


def test_a_collection_is_walked_in_order_and_a_manifest_that_is_gone_fails_alone():
    found, asked = walked_through(
        {
            f"{BASE}/top": collection(
                ("Collection", f"{BASE}/c"), ("Manifest", f"{BASE}/gone"), ("Manifest", f"{BASE}/m2")
            ),
            f"{BASE}/c": {"@type": "sc:Collection", "manifests": [{"@type": "sc:Manifest", "@id": f"{BASE}/m1"}]},
            f"{BASE}/m1": manifest2({"@id": f"{BASE}/1.jpg"}),
            f"{BASE}/m2": manifest3(image3(f"{BASE}/2.jpg")),
        }
    )
    assert asked == [f"{BASE}/{name}" for name in ("c", "m1", "gone", "m2")]
    assert [(one.url, one.document.name) for one in found.scans] == [
        (f"{BASE}/1.jpg", f"{BASE}/m1"),
        (f"{BASE}/2.jpg", f"{BASE}/m2"),
    ]
    assert [(one.where, one.reason) for one in found.problems] == [(f"{BASE}/gone", "there is no such file (404)")]


def test_collections_in_a_circle_are_read_once():
    found, asked = walked_through(
        {
            f"{BASE}/top": collection(("Collection", f"{BASE}/c"), ("Collection", f"{BASE}/top")),
            f"{BASE}/c": collection(("Collection", f"{BASE}/top"), ("Collection", f"{BASE}/c")),
        }
    )
    assert (asked, found.scans, found.problems) == ([f"{BASE}/c"], (), ())


def test_a_collection_without_end_is_cut(monkeypatch: pytest.MonkeyPatch):
    """Each document leads to a new one: in depth, and in breadth."""
    asked: list[str] = []

    def endless(width: int) -> iiif.WantedScans:
        def read(address: str) -> bytes:
            asked.append(address)
            names = [("Collection", f"{address}/{number}") for number in range(width)]
            return json.dumps(collection(*names)).encode()

        asked.clear()
        return walk(f"{BASE}/top", read(f"{BASE}/top"), read)

    (deep,) = endless(1).problems
    assert deep.reason.startswith("is more than 20 collections deep")
    assert len(asked) == iiif.MAX_DEPTH + 1
    monkeypatch.setattr(iiif, "MAX_DOCUMENTS", 50)
    broad = endless(3).problems[-1]
    assert broad.reason.startswith("leads to more than 50 documents")
    assert len(asked) == 50


def served_manifest(archive: Archive) -> str:
    for number in (1, 2):
        scan = write_image(archive.folder / "drawn" / f"{number}.png", (number, 9, 9), (60, 40))
        archive.server.files[f"/i/{number}/full/max/0/default.jpg"] = scan.read_bytes()
    bodies = [{**image3("x"), "service": [service3(archive.server.url(f"/i/{number}"))]} for number in (1, 2)]
    archive.server.files["/manifest.json"] = json.dumps(manifest3(*bodies, rights="CC0")).encode()
    return archive.server.url("/manifest.json")


def test_the_plates_of_a_manifest_s_address_are_pulled(archive: Archive):
    address = served_manifest(archive)
    result = archive.pull(index=address)
    assert result.exit_code == 0, result.output
    assert "plate-002  birds-002.jpg  Birds, Plate 2\n" in result.output
    manifest = archive.manifest("plate-002")
    assert (manifest.plate_number, manifest.license, manifest.source_image) == (2, "CC0", "birds-002.jpg")
    assert manifest.extra["iiif_manifest"] == address
    assert manifest.origin is not None
    assert (manifest.origin.index, manifest.origin.url) == (address, archive.server.url("/i/2/full/max/0/default.jpg"))
    content = archive.server.files["/manifest.json"]
    assert manifest.origin.index_sha256 == hashlib.sha256(content).hexdigest()
    assert archive.pull(index=address).output.endswith("\n2 there\n")


@pytest.mark.parametrize(("stated", "is_noted"), [((3000, 2000), True), ((60, 40), False), ((40, 60), False)])
def test_an_image_smaller_than_its_manifest_states_is_noted(stated: tuple[int, int], is_noted: bool, archive: Archive):
    served_manifest(archive)
    body = {**image3(archive.server.url("/i/1/full/max/0/default.jpg")), "width": stated[0], "height": stated[1]}
    archive.server.files["/one.json"] = json.dumps(manifest3(body)).encode()
    result = archive.pull(index=archive.server.url("/one.json"))
    assert result.exit_code == 0
    line = "  is 60 x 40 px, and its manifest states 3,000 x 2,000 px: the server limits the size\n"
    assert (line in result.output) == is_noted
    assert ("the server limits" in result.output) == is_noted


@pytest.mark.parametrize(("width", "height"), [(0, 5), ("60", 40), (None, 40), (True, 40), (1.5, 2), ([], {})])
def test_an_odd_size_is_taken_as_none(width: object, height: object):
    body = {**image3(f"{BASE}/1.jpg"), "width": width, "height": height}
    assert [one.size_px for one in walked(manifest3(body)).scans] == [None]


def test_the_plates_of_a_manifest_on_disk_are_pulled(archive: Archive):
    served_manifest(archive)
    path = archive.folder / "manifest.json"
    path.write_bytes(archive.server.files["/manifest.json"])
    assert archive.pull(index=path).exit_code == 0
    assert archive.manifest("plate-001").extra["iiif_manifest"] == "manifest.json"


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault("GET", "/manifest.json", status=404), "there is no such file (404)"),
        (Fault("GET", "/manifest.json", status=200, body=b"<html>"), "is not JSON"),
        (Fault("GET", "/manifest.json", status=200, body=b"[]"), "is not IIIF"),
    ],
)
def test_an_address_without_a_manifest_is_one_line_and_exit_code_1(fault: Fault, reason: str, archive: Archive):
    address = served_manifest(archive)
    archive.server.faults = [fault]
    result = archive.pull(index=address)
    assert result.exit_code == 1
    (line,) = result.output.strip().splitlines()
    assert line.startswith(f"{address}: {reason}")

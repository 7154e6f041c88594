"""Plates as IIIF manifests with index data and rights, and as a collection (Presentation API 3.0). None is written."""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from atlas_resources.export.viewers.annotations import IIIF_CONTEXT, PlatePage
from atlas_resources.plates.rights.uris import rights_uri

COLLECTION_NAME = "collection.json"
RIGHTS_WORDS = ("licen", "rights", "copyright")
"""A further column whose name has one of these may have the URI of the licence."""
# Elements that titles from web pages have. Anything else in angle brackets is text.
ELEMENTS = "a|abbr|b|br|cite|div|em|font|i|img|li|ol|p|q|small|span|strong|sub|sup|u|ul"
TAG = re.compile(rf"</?({ELEMENTS})(?:\s[^<>]*)?/?>", re.IGNORECASE)
BREAKS = frozenset({"br", "div", "li", "ol", "p", "ul"})
ENTITY = re.compile(r"&(?:[a-z]+[0-9]*|#[0-9]+|#x[0-9a-f]+);", re.IGNORECASE)


def iiif_manifest(page: PlatePage, annotations: Mapping[str, Any]) -> dict[str, Any]:
    """One canvas with the plate's image, references to pages of annotations, and its index data.

    `rights` is the URI of the licence, if the licence is one of Creative Commons or RightsStatements.org; a licence in
    any other words is the required statement.

    Args:
        page: the plate.
        annotations: names of the files with pages of annotations, each with its label as a language map.
    """
    image = {
        "id": f"{page.url}/image.jpg",
        "type": "Image",
        "format": "image/jpeg",
        "width": page.width_px,
        "height": page.height_px,
    }
    painting = {
        "id": f"{page.canvas}/page/image",
        "type": "Annotation",
        "motivation": "painting",
        "body": image,
        "target": page.canvas,
    }
    canvas: dict[str, Any] = {
        "id": page.canvas,
        "type": "Canvas",
        "label": _label(page),
        "width": page.width_px,
        "height": page.height_px,
        "items": [{"id": f"{page.canvas}/page", "type": "AnnotationPage", "items": [painting]}],
    }
    if annotations:
        canvas["annotations"] = [
            {"id": f"{page.url}/{name}", "type": "AnnotationPage", "label": label}
            for name, label in annotations.items()
        ]
    return {
        "@context": IIIF_CONTEXT,
        "id": f"{page.url}/manifest.json",
        "type": "Manifest",
        "label": _label(page),
        "metadata": metadata(page),
        **terms(page),
        "items": [canvas],
    }


def iiif_collection(url: str, pages: Sequence[PlatePage], left_out: Sequence[str]) -> dict[str, Any]:
    """A collection (section 5.1) of the manifests of exported plates, which says what was left out.

    Args:
        url: address that the folder of all plates is served under, without a trailing slash.
        pages: the plates, in order.
        left_out: what was left out, and why, a line each.
    """
    items = [{"id": f"{page.url}/manifest.json", "type": "Manifest", "label": _label(page)} for page in pages]
    made: dict[str, Any] = {
        "@context": IIIF_CONTEXT,
        "id": f"{url}/{COLLECTION_NAME}",
        "type": "Collection",
        "label": {"en": [f"Atlas: {len(pages)} {'plate' if len(pages) == 1 else 'plates'}"]},
    }
    if left_out:
        made["metadata"] = [{"label": {"en": ["Left out"]}, "value": {"en": [value(line) for line in left_out]}}]
    return {**made, "items": items}


def _label(page: PlatePage) -> dict[str, list[str]]:
    return {"none": [plain(page.title) or page.plate_id]}


def metadata(page: PlatePage) -> list[dict[str, Any]]:
    """Title, number and licence, in English, then the further columns of the index under their own names."""
    stated = {"Title": page.title, "Plate": page.plate_id, "Plate number": page.plate_number, "Licence": page.licence}
    pairs = [({"en": [name]}, content) for name, content in stated.items()]
    pairs += [({"none": [plain(name) or name]}, content) for name, content in page.extra.items()]
    return [
        {"label": label, "value": {"none": [value(str(content))]}} for label, content in pairs if content is not None
    ]


def terms(page: PlatePage) -> dict[str, Any]:
    """`rights` and `requiredStatement`, as far as there are any."""
    columns = [
        str(content) for name, content in page.extra.items() if any(word in name.casefold() for word in RIGHTS_WORDS)
    ]
    stated = [text for text in (page.licence, *columns) if text]
    uri = next((uri for text in stated if (uri := rights_uri(text))), None)
    found: dict[str, Any] = {"rights": uri} if uri else {}
    if page.licence and rights_uri(page.licence) is None:
        found["requiredStatement"] = {"label": {"en": ["Rights"]}, "value": {"none": [value(page.licence)]}}
    return found


def plain(text: str) -> str:
    """Text without the markup of web pages: tags are removed, character references resolved, white space joined."""
    stripped = TAG.sub(lambda tag: " " if tag[1].lower() in BREAKS else "", text)
    return " ".join(ENTITY.sub(lambda entity: html.unescape(entity[0]), stripped).split())


def value(text: str) -> str:
    """Text as the value of a pair. Viewers take what begins with < and ends with > for HTML, so that is escaped."""
    shown = plain(text) or text
    return f"<span>{html.escape(shown)}</span>" if shown.startswith("<") and shown.endswith(">") else shown

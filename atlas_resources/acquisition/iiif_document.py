"""One IIIF Presentation document, version 2 or 3: what a manifest paints on its canvases, what a collection refers to.

Documents of institutions deviate from the specification in many ways, so only what is needed is read, wherever either
version has it. https://iiif.io/api/presentation/3.0/ and https://iiif.io/api/presentation/2.1/
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import Any

from atlas_resources.acquisition.wanted import plain_text
from atlas_resources.plates.contracts import MAX_EXTRA_KEY_LENGTH, MAX_EXTRA_TEXT_LENGTH

PREFERRED_LANGUAGES = ("none", "@none", "en", "en-GB", "en-US")
KINDS = {"manifest": "Manifest", "sc:manifest": "Manifest", "collection": "Collection", "sc:collection": "Collection"}
IMAGE_KINDS = ("image", "dctypes:image")


class IiifBroken(ValueError):
    """A document that is not IIIF, or names nothing. The message is one line without the document's address."""


@dataclass(frozen=True)
class Canvas:
    """A canvas and its first image.

    Attributes:
        number: counted from 1 in the manifest.
        id: its address.
        label: plain text; may be empty.
        image_url: address of the image at its full size; None if there is none.
        metadata: its own label and value pairs.
        note: what else is on it, and is not taken.
        size_px: width and height of the image, as stated; None if they are not.
    """

    number: int
    id: str
    label: str
    image_url: str | None
    metadata: dict[str, str]
    note: str = ""
    size_px: tuple[int, int] | None = None


@dataclass(frozen=True)
class IiifDocument:
    """A manifest or collection.

    Attributes:
        kind: "Manifest" or "Collection".
        version: of the Presentation API, 2 or 3.
        label: plain text; may be empty.
        rights: address of the licence, or its text; None if there is none.
        attribution: what must be stated with the images; None if there is nothing.
        metadata: label and value pairs, plain text.
        canvases: of a manifest.
        references: addresses of the manifests and collections that a collection names, in its order.
    """

    kind: str
    version: int
    label: str
    rights: str | None
    attribution: str | None
    metadata: dict[str, str]
    canvases: tuple[Canvas, ...]
    references: tuple[str, ...]


def is_iiif(data: bytes) -> bool:
    """Whether a file is a IIIF manifest or collection."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError):
        return False
    return isinstance(content, dict) and kind_of(content) is not None


def read_document(data: bytes) -> IiifDocument:
    """Reads a manifest or collection. Raises IiifBroken."""
    try:
        content = json.loads(data)
    except (ValueError, RecursionError) as error:
        reason = f"is not JSON: {str(error)[:80]}"
        raise IiifBroken(f"{reason}. Fix: give the address of a IIIF manifest or collection") from None
    kind = kind_of(content) if isinstance(content, dict) else None
    if kind is None:
        raise IiifBroken(
            "is not IIIF: expected a type of Manifest or Collection. Fix: give the address of a manifest, not of a page"
        )
    version = 3 if "type" in content else 2
    required = one_of(content, "requiredStatement")
    return IiifDocument(
        kind=kind,
        version=version,
        label=text_of(content.get("label")),
        rights=text_of(content.get("rights") or content.get("license")) or None,
        attribution=text_of(required.get("value") if required else content.get("attribution")) or None,
        metadata=metadata_of(content),
        canvases=tuple(canvases_of(content)) if kind == "Manifest" else (),
        references=tuple(dict.fromkeys(references_of(content))) if kind == "Collection" else (),
    )


def kind_of(thing: dict[str, Any]) -> str | None:
    """Manifest or Collection; None for anything else."""
    return KINDS.get(str(thing.get("type") or thing.get("@type") or "").lower())


def id_of(thing: dict[str, Any]) -> str:
    """The address of a thing; empty if it has none."""
    found = thing.get("id") or thing.get("@id") or ""
    return found if isinstance(found, str) else ""


def things(value: object) -> list[dict[str, Any]]:
    """The objects in a list, or the one object that stands for a list."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def one_of(thing: dict[str, Any], name: str) -> dict[str, Any]:
    """The first object under a name; an empty one if there is none."""
    return next(iter(things(thing.get(name))), {})


def references_of(collection: dict[str, Any]) -> Iterator[str]:
    """Addresses of what a collection names, and of its further pages."""
    for name in ("items", "members", "collections", "manifests"):
        yield from (id_of(one) for one in things(collection.get(name)) if kind_of(one) and id_of(one))
    for name in ("first", "next"):  # pages, of version 2
        page = collection.get(name)
        found = page if isinstance(page, str) else id_of(page) if isinstance(page, dict) else ""
        if found:
            yield found


def canvases_of(manifest: dict[str, Any]) -> Iterator[Canvas]:
    """The canvases of a manifest, in order."""
    listed = things(manifest.get("items")) or things(one_of(manifest, "sequences").get("canvases"))
    for number, canvas in enumerate(listed, start=1):
        bodies = [body for body in bodies_of(canvas) if image_address(body)]
        note = f"has {len(bodies)} images; the first is taken" if len(bodies) > 1 else ""
        yield Canvas(
            number=number,
            id=id_of(canvas),
            label=text_of(canvas.get("label")),
            image_url=image_address(bodies[0]) if bodies else None,
            metadata=metadata_of(canvas),
            note=note,
            size_px=size_of(bodies[0]) if bodies else None,
        )


def bodies_of(canvas: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What is painted on a canvas; of a choice, its first or default."""
    annotations = [one for page in things(canvas.get("items")) for one in things(page.get("items"))]
    for annotation in annotations or things(canvas.get("images")):
        motivation = annotation.get("motivation", "painting")
        if "painting" not in str(motivation):
            continue
        for body in things(annotation.get("body") or annotation.get("resource")):
            yield chosen(body)


def chosen(body: dict[str, Any]) -> dict[str, Any]:
    """The image of a choice, or of a part of an image; else the body itself."""
    kind = str(body.get("type") or body.get("@type") or "").lower()
    if kind in {"choice", "oa:choice"}:
        return one_of(body, "items") or one_of(body, "default") or one_of(body, "item")
    if kind in {"specificresource", "oa:specificresource"}:
        return one_of(body, "source") or one_of(body, "full")
    return body


def image_address(body: dict[str, Any]) -> str | None:
    """Address of an image at its full size, from its image service if it has one; None for what is no image.

    https://iiif.io/api/image/3.0/#4-image-requests: `max` is the full size in version 3, `full` in 1 and 2.
    """
    kind = str(body.get("type") or body.get("@type") or "image").lower()
    if kind not in IMAGE_KINDS:
        return None
    for service in things(body.get("service")):
        words = json.dumps([service.get(name) for name in ("type", "@type", "@context", "profile")])
        base = id_of(service).rstrip("/")
        if not base:
            continue
        if "ImageService3" in words or "/image/3/" in words:
            return f"{base}/full/max/0/default.jpg"
        if "ImageService2" in words or "/image/2/" in words:
            return f"{base}/full/full/0/default.jpg"
        if "ImageService1" in words or "/image-api/1" in words or "/image/1" in words:
            return f"{base}/full/full/0/native.jpg"
    return id_of(body) or None


def size_of(body: dict[str, Any]) -> tuple[int, int] | None:
    """Width and height that are stated of an image, in pixels; None if they are not whole numbers above 0."""
    width, height = body.get("width"), body.get("height")
    if type(width) is int and type(height) is int and width > 0 and height > 0:
        return width, height
    return None


def metadata_of(thing: dict[str, Any]) -> dict[str, str]:
    """Label and value pairs. Values of one label are joined; what is longer than a manifest allows is cut."""
    found: dict[str, str] = {}
    for pair in things(thing.get("metadata")):
        label, value = text_of(pair.get("label"))[:MAX_EXTRA_KEY_LENGTH], text_of(pair.get("value"))
        if label and value:
            found[label] = (f"{found[label]}; {value}" if label in found else value)[:MAX_EXTRA_TEXT_LENGTH]
    return found


def text_of(value: object) -> str:
    """Plain text of a label or value: a language map, a list, `@value`, or HTML. Several are joined."""
    match value:
        case str():
            return without_markup(value)
        case int() | float() if not isinstance(value, bool):
            return str(value)
        case list():
            languages = [one for one in value if isinstance(one, dict) and "@language" in one]
            preferred = [one for one in languages if one["@language"] in PREFERRED_LANGUAGES] or languages[:1]
            return "; ".join(filter(None, map(text_of, preferred or value)))
        case {"@value": text} | {"@id": text} | {"id": text}:
            return text_of(text)
        case dict():
            language = next((one for one in PREFERRED_LANGUAGES if one in value), next(iter(value), None))
            return text_of(value.get(language)) if isinstance(value.get(language), list | str) else ""
    return ""


class _Text(HTMLParser):
    """Collects the text between tags."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts.append(" " if tag in {"br", "p", "li", "div"} else "")


def without_markup(text: str) -> str:
    """Text without the HTML that values may have, and without control characters."""
    if text.lstrip().startswith("<") or "&" in text:
        parser = _Text()
        parser.feed(text)
        parser.close()
        text = "".join(parser.parts)
    return plain_text(text)

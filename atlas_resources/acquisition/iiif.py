"""The scans of a IIIF manifest, or of all manifests that a collection leads to."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from atlas_resources.acquisition.iiif_document import Canvas, IiifBroken, IiifDocument, read_document
from atlas_resources.acquisition.wanted import Document, Problem, WantedScan, WantedScans, key_of, safe_name
from atlas_resources.downloads.addresses import require_address
from atlas_resources.downloads.errors import AddressRefused, DownloadFailed, Stopped
from atlas_resources.plates.contracts import MAX_EXTRA_KEYS
from atlas_resources.plates.intake.identity import slugify
from atlas_resources.plates.intake.index.choice import counted
from atlas_resources.plates.intake.index.columns import Columns
from atlas_resources.plates.intake.index.rows import IndexRow, typed
from atlas_resources.plates.intake.index.table import MAX_ROWS

MAX_DOCUMENT_BYTES = 64 << 20
MAX_DOCUMENTS = 10_000
MAX_DEPTH = 20
OWN_KEYS = 4  # of the further columns: those of `_extra` that are not metadata

Read = Callable[[str], bytes]
"""Returns the document at an address. Raises DownloadFailed."""


@dataclass
class _Walk:
    """What was found so far."""

    scans: dict[str, WantedScan] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    manifests: int = 0


def walk(address: str, data: bytes, read: Read) -> WantedScans:
    """What a manifest asks for, or all manifests of a collection, in their order. Each document is read once.

    Args:
        address: of the document, or its file name.
        data: its bytes.
        read: reads the documents that it refers to. One that cannot be read is a problem; the others are read.

    Raises:
        IiifBroken: the document itself is not IIIF.
        Stopped: the time is over.
    """
    first = read_document(data)
    found = _Walk()
    pending: list[tuple[str, bytes | None, int]] = [(address, data, 0)]
    while pending:
        name, content, depth = pending.pop()
        if name in found.seen:
            continue
        if len(found.seen) >= MAX_DOCUMENTS or len(found.scans) >= MAX_ROWS:
            limit = f"{MAX_DOCUMENTS:,} documents or {MAX_ROWS:,} scans"
            found.problems.append(Problem(address, f"leads to more than {limit}. Fix: pull its parts one by one"))
            break
        found.seen.add(name)
        try:
            content = read(require_address(name)) if content is None else content
            document = read_document(content)
        except Stopped:
            raise
        except (DownloadFailed, IiifBroken) as error:
            found.problems.append(Problem(name, str(error)))
            continue
        if document.kind == "Manifest":
            _take(found, Document(name, hashlib.sha256(content).hexdigest()), document)
        elif depth >= MAX_DEPTH:
            found.problems.append(Problem(name, f"is more than {MAX_DEPTH} collections deep. Fix: pull it on its own"))
        else:
            pending += [(one, None, depth + 1) for one in reversed(document.references)]
    kind = f"IIIF Presentation {first.version}, {first.kind.lower()}"
    text = f"{kind}, {counted(found.manifests, 'manifest')}, {counted(len(found.scans), 'scan')}"
    return WantedScans(text, tuple(found.scans.values()), tuple(found.problems), tuple(found.notes))


def _take(found: _Walk, source: Document, document: IiifDocument) -> None:
    """Adds the scans of a manifest."""
    found.manifests += 1
    if not document.canvases:
        found.problems.append(Problem(source.name, "has no canvas. Fix: give the address of a manifest with images"))
    for canvas in document.canvases:
        where = f"canvas {canvas.number} of {source.name}"
        if canvas.image_url is None:
            found.notes.append(f"{where} has no image")
            continue
        try:
            url = require_address(canvas.image_url)
        except AddressRefused as error:
            found.problems.append(Problem(where, str(error)))
            continue
        if canvas.note:
            found.notes.append(f"{where} {canvas.note}")
        if url in found.scans:
            found.notes.append(f"{where} has the image of {found.scans[url].where}")
            continue
        found.scans[url] = _wanted(where, url, source, document, canvas)


def _wanted(where: str, url: str, source: Document, document: IiifDocument, canvas: Canvas) -> WantedScan:
    is_single = len(document.canvases) == 1
    title = document.label if is_single and document.label else ", ".join(filter(None, (document.label, canvas.label)))
    of_service = url.endswith(("/default.jpg", "/native.jpg"))
    stem = (slugify(document.label) or "canvas")[:80]
    name = safe_name(f"{stem}-{canvas.number:03d}.jpg" if of_service else None, url)
    extra = dict(_extra(source, document, canvas))
    row = IndexRow(
        where=where,
        file_name=f"{key_of(url)}/{name}",
        title=title or None,
        download=url,
        licence=document.rights,
        extra=extra,
    )
    columns = Columns(None, {"title": "label", "download": "image", "licence": "rights"}, tuple(extra))
    return WantedScan(where, url, name, (row,), source, columns, size_px=canvas.size_px)


def _extra(source: Document, document: IiifDocument, canvas: Canvas) -> Iterator[tuple[str, str | int]]:
    """Further columns: metadata under their own labels, those of the canvas first, then where they are from."""
    pairs = {**canvas.metadata, **document.metadata, **canvas.metadata}
    yield from ((name, typed(value)) for name, value in islice(pairs.items(), MAX_EXTRA_KEYS - OWN_KEYS))
    if document.attribution:
        yield "attribution", document.attribution
    if canvas.label:
        yield "canvas_label", canvas.label
    yield "iiif_manifest", source.name
    yield "iiif_canvas", canvas.id or str(canvas.number)

"""Rules of the Web Annotation data model and of IIIF Presentation 3.0 for a page of annotations, as code."""

from typing import Any

CONTEXT = "http://iiif.io/api/presentation/3/context.json"
# Terms of http://www.w3.org/ns/anno.jsonld, which the context of IIIF takes in, by type; the first are required by
# https://www.w3.org/TR/annotation-model/, sections 3.1, 3.2.4, 3.2.2, 3.3.4, 4.2.1 and 4.2.7.
TERMS: dict[str, tuple[set[str], set[str]]] = {
    "AnnotationPage": ({"@context", "id", "type", "items"}, {"label"}),
    "Annotation": ({"id", "type", "target"}, {"motivation", "generator", "body"}),
    "TextualBody": ({"type", "value"}, {"purpose", "format", "language", "creator"}),
    "Person": ({"type", "name"}, set()),
    "Software": ({"type", "name"}, set()),
    "SpecificResource": ({"type", "source"}, {"selector"}),
    "SvgSelector": ({"type", "value"}, set()),
    "FragmentSelector": ({"type", "value"}, {"conformsTo"}),
}
# https://www.w3.org/TR/annotation-vocab/#named-motivations, and IIIF's own but `painting`, which
# https://iiif.io/api/presentation/3.0/#annotations keeps out of a canvas's `annotations`.
MOTIVATIONS = {
    "assessing", "bookmarking", "classifying", "commenting", "describing", "editing", "highlighting", "identifying",
    "linking", "moderating", "questioning", "replying", "tagging", "supplementing",
}  # fmt: skip


def faults(page: dict[str, Any]) -> list[str]:
    """What is against the rules, in words."""
    found = [] if page["@context"] == CONTEXT and next(iter(page)) == "@context" else ["@context"]
    ids, pending = [], [page]
    while pending:
        part = pending.pop()
        pending += [one for value in part.values() for one in (value if isinstance(value, list) else [value])
                    if isinstance(one, dict) and "type" in one]  # fmt: skip
        needed, allowed = TERMS[part["type"]]
        found += [f"{part['type']} without {name}" for name in needed - set(part)]
        found += [f"{part['type']} with {name}" for name in set(part) - needed - allowed]
        stated = [part[name] for name in ("motivation", "purpose") if name in part]
        used = {word for one in stated for word in (one if isinstance(one, list) else [one])}
        found += [f"motivation {one}" for one in used - MOTIVATIONS]
        ids += [part["id"]] if "id" in part else []
    found += [f"id {one}" for one in ids if not one.startswith(("http://", "https://"))]
    return found + ([] if len(ids) == len(set(ids)) else [f"ids {ids}"])

"""IIIF manifests follow the rules of the Presentation API 3.0, with the plate's index data and rights."""

from dataclasses import replace
from typing import Any

import pytest

from atlas_resources.export.viewers.annotations import PlatePage, annotation_page
from atlas_resources.export.viewers.iiif import iiif_manifest, plain, value
from atlas_resources.plates.rights.uris import rights_uri

PAGE = PlatePage("plate-001", "A ring", 90, 60, "https://example.org/plates/plate-001")
PAGES = {"lines.json": {"en": ["Lines"]}, "answers.json": {"en": ["Answers"]}}
CONTEXT = "http://iiif.io/api/presentation/3/context.json"

# https://iiif.io/api/presentation/3.0/, sections 3 and A: what a resource must have, and what a manifest may have.
REQUIRED = {
    "Manifest": {"id", "type", "label", "items"},
    "Canvas": {"id", "type", "height", "width"},
    "AnnotationPage": {"id", "type"},
    "Annotation": {"id", "type", "target"},
    "Image": {"id", "type", "format", "height", "width"},
}
MANIFEST_MAY_HAVE = REQUIRED["Manifest"] | {"@context", "metadata", "rights", "requiredStatement"}


def faults_of_language_map(found: Any) -> list[str]:
    """Section 4.4: codes or "none", each with an array of strings."""
    if not isinstance(found, dict) or not found:
        return [f"no language map: {found!r}"]
    return [
        f"{code}: {texts!r}"
        for code, texts in found.items()
        if code not in {"none", "en"}
        or not isinstance(texts, list)
        or not texts
        or not all(isinstance(text, str) and text for text in texts)
    ]


def faults(manifest: dict[str, Any]) -> list[str]:
    """What is against the rules, in words."""
    found = [] if manifest["@context"] == CONTEXT and next(iter(manifest)) == "@context" else ["@context"]
    found += [f"surplus {name}" for name in set(manifest) - MANIFEST_MAY_HAVE]
    pairs = [*manifest.get("metadata", []), *filter(None, [manifest.get("requiredStatement")])]
    for pair in pairs:
        found += [] if set(pair) == {"label", "value"} else [f"pair {sorted(pair)}"]
        found += [fault for part in pair.values() for fault in faults_of_language_map(part)]
    found += faults_of_language_map(manifest["label"])
    rights = manifest.get("rights", "http://creativecommons.org/licenses/by/4.0/")
    if not rights.startswith(("http://creativecommons.org/", "http://rightsstatements.org/vocab/")):
        found.append(f"rights {rights}")
    ids = []
    pending: list[Any] = [manifest]
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending += part
        elif isinstance(part, dict):
            pending += part.values()
            if "type" in part:
                found += [f"{part['type']} without {name}" for name in REQUIRED[part["type"]] - set(part)]
                ids.append(part["id"])
    found += [f"id {one}" for one in ids if not one.startswith("https://") or "#" in one]
    return found + ([] if len(ids) == len(set(ids)) else [f"ids {ids}"])


FULL = replace(
    PAGE,
    title="<i>Corvus corax</i> &amp; young",
    licence="© The Museum, all rights reserved",
    plate_number=13,
    extra={"artist": "Ada", "year": 1827, "license_url": "https://creativecommons.org/licenses/by/4.0/deed.de"},
)


@pytest.mark.parametrize("page", [PAGE, FULL, replace(PAGE, licence="CC0"), replace(PAGE, title="<br>")])
def test_a_manifest_follows_the_rules(page):
    assert faults(iiif_manifest(page, PAGES)) == []


@pytest.mark.parametrize(
    "change",
    [
        {"label": "A ring"},
        {"label": {"none": "A ring"}},
        {"rights": "https://example.org/terms"},
        {"metadata": [{"label": "artist", "value": "Ada"}]},
        {"licence": "CC0"},
        {"id": "plate-001"},
    ],
)
def test_a_manifest_against_the_rules_is_found(change):
    assert faults({**iiif_manifest(FULL, {}), **change})


def test_index_data_are_metadata_under_their_own_names():
    shown = [
        (next(iter(pair["label"].values())), pair["value"]["none"]) for pair in iiif_manifest(FULL, {})["metadata"]
    ]
    assert shown == [
        (["Title"], ["Corvus corax & young"]),
        (["Plate"], ["plate-001"]),
        (["Plate number"], ["13"]),
        (["Licence"], ["© The Museum, all rights reserved"]),
        (["artist"], ["Ada"]),
        (["year"], ["1827"]),
        (["license_url"], ["https://creativecommons.org/licenses/by/4.0/deed.de"]),
    ]


def test_a_licence_in_words_is_the_required_statement_and_a_uri_beside_it_the_rights():
    manifest = iiif_manifest(FULL, {})
    assert manifest["rights"] == "http://creativecommons.org/licenses/by/4.0/"
    assert manifest["requiredStatement"]["value"] == {"none": ["© The Museum, all rights reserved"]}


def test_a_licence_that_is_a_name_of_a_uri_needs_no_statement():
    manifest = iiif_manifest(replace(PAGE, licence="Public domain"), {})
    assert manifest["rights"] == "http://creativecommons.org/publicdomain/mark/1.0/"
    assert "requiredStatement" not in manifest


def test_without_a_licence_there_is_neither():
    assert not {"rights", "requiredStatement"} & set(iiif_manifest(PAGE, {}))


def test_an_annotation_page_has_iiif_s_own_context_and_a_label():
    page = annotation_page(PAGE, [])
    assert page["@context"] == CONTEXT
    assert faults_of_language_map(page["label"]) == []


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<i>Corvus corax</i>", "Corvus corax"),
        ("Plate 13<br/>Snow Bird", "Plate 13 Snow Bird"),
        ('<a href="https://example.org/?a=1&b=2">Heron</a>', "Heron"),
        ("Adam &amp; Eve &#8211; &#xe9;", "Adam & Eve – é"),
        ("a < b > c, x&y", "a < b > c, x&y"),
        ("<unknown>", "<unknown>"),
        ("[obverse]", "[obverse]"),
    ],
)
def test_labels_have_no_markup_and_lose_no_text(text, shown):
    assert plain(text) == shown


def test_a_value_that_viewers_would_take_for_html_is_escaped():
    assert value("<unknown>") == "<span>&lt;unknown&gt;</span>"
    assert value("<script>alert(1)</script>") == "<span>&lt;script&gt;alert(1)&lt;/script&gt;</span>"
    assert value("Heron <grey>") == "Heron <grey>"


CC, RS = "http://creativecommons.org", "http://rightsstatements.org/vocab"


class TestRights:
    """The URIs of https://creativecommons.org/licenses/list.en/ and https://rightsstatements.org/page/1.0/."""

    @pytest.mark.parametrize(
        ("text", "uri"),
        [
            ("CC0", f"{CC}/publicdomain/zero/1.0/"),
            ("CC0-1.0", f"{CC}/publicdomain/zero/1.0/"),
            ("CC0 1.0 Universal", f"{CC}/publicdomain/zero/1.0/"),
            ("Public Domain", f"{CC}/publicdomain/mark/1.0/"),
            ("public domain.", f"{CC}/publicdomain/mark/1.0/"),
            ("https://creativecommons.org/publicdomain/zero/1.0/", f"{CC}/publicdomain/zero/1.0/"),
            ("https://creativecommons.org/licenses/by-nc-sa/3.0/de/deed.en", f"{CC}/licenses/by-nc-sa/3.0/de/"),
            ("http://creativecommons.org/licenses/by/4.0", f"{CC}/licenses/by/4.0/"),
            ("CC BY 4.0", f"{CC}/licenses/by/4.0/"),
            ("CC-BY-SA-4.0", f"{CC}/licenses/by-sa/4.0/"),
            ("cc by-nc-nd 2.5", f"{CC}/licenses/by-nc-nd/2.5/"),
            ("Creative Commons Attribution-ShareAlike 4.0 International", f"{CC}/licenses/by-sa/4.0/"),
            ("Creative Commons Attribution-NonCommercial-NoDerivatives 4.0", f"{CC}/licenses/by-nc-nd/4.0/"),
            ("http://rightsstatements.org/vocab/NoC-US/1.0/", f"{RS}/NoC-US/1.0/"),
            ("https://rightsstatements.org/page/inc-edu/1.0/?language=de", f"{RS}/InC-EDU/1.0/"),
            ("No Known Copyright", f"{RS}/NKC/1.0/"),
            ("In Copyright - EU Orphan Work", f"{RS}/InC-OW-EU/1.0/"),
            ("No Copyright - United States", f"{RS}/NoC-US/1.0/"),
        ],
    )
    def test_a_uri_and_a_whole_name_are_understood(self, text, uri):
        assert rights_uri(text) == uri

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "CC BY",
            "CC BY 5.0",
            "CC BY-SA-ND 4.0",
            "Public domain: John James Audubon d. 1851",
            "public domain in the US only",
            "not CC0",
            "© The Museum",
            "MIT",
            "https://example.org/?u=http://creativecommons.org/licenses/by/4.0/",
            "https://creativecommons.org.example.org/licenses/by/4.0/",
            "https://creativecommons.org/licenses/sampling/1.0/",
        ],
    )
    def test_anything_else_stands_for_none(self, text):
        assert rights_uri(text) is None

"""A manifest that `atlas export-regions` writes is understood by `atlas plates pull`."""

import json

import pytest

from atlas_resources.acquisition.iiif import walk
from atlas_resources.export.viewers.annotations import PlatePage
from atlas_resources.export.viewers.iiif import iiif_manifest

URL = "https://atlas.example/plate-001"
CC0 = "https://creativecommons.org/publicdomain/zero/1.0/"


def read_nothing(address: str) -> bytes:
    raise AssertionError(f"{address} is read")


@pytest.mark.parametrize(("licence", "rights", "attribution"), [(CC0, "zero", None), ("Ask us", None, "Ask us")])
def test_an_exported_manifest_is_read_again(licence: str, rights: str | None, attribution: str | None):
    page = PlatePage("plate-001", "Heron", 4, 3, URL, licence, plate_number=1, extra={"artist": "Ada", "year": 1827})
    found = walk(f"{URL}/manifest.json", json.dumps(iiif_manifest(page, {})).encode(), read_nothing)
    assert [(one.url, one.name) for one in found.scans] == [(f"{URL}/image.jpg", "image.jpg")]
    (row,) = found.scans[0].rows
    assert row.title == "Heron"
    assert (row.extra["artist"], row.extra["year"]) == ("Ada", 1827)
    assert (rights or "") in (row.licence or "")
    assert row.extra.get("attribution") == attribution

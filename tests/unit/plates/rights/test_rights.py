"""The rights of a plate: licence, rights statement, attribution and no-AI tags, from the columns of its index."""

import pytest
from support.rewritten import rewrite_json

from atlas_resources.plates.rights.stated import Rights, rights_of


def rights(dataset, **changes) -> Rights:
    plate = dataset.plate("plate-001")
    rewrite_json(plate.manifest_path, **changes)
    return rights_of(plate.manifest())


def test_a_plate_without_a_word_about_rights_states_nothing(dataset):
    assert rights(dataset) == Rights(None, None, None, "unknown", None)


def test_licence_uri_and_attribution_are_found_in_further_columns(dataset):
    extra = {"Rights URL": "https://creativecommons.org/licenses/by/4.0/deed.en", "Credit Line": "A museum, 1998"}
    found = rights(dataset, license="see the column", extra=extra)
    assert found.uri == "http://creativecommons.org/licenses/by/4.0/"
    assert (found.commercial_use, found.attribution) == ("yes", "A museum, 1998")


def test_a_forbidding_column_counts_beside_a_licence_that_allows(dataset):
    extra = {"rights_statement": "http://rightsstatements.org/vocab/InC-NC/1.0/"}
    assert rights(dataset, license="CC BY 4.0", extra=extra).commercial_use == "no"


@pytest.mark.parametrize(
    ("column", "value", "expected"),
    [
        ("no_ai", "yes", "no_ai: yes"),
        ("no-AI", 1, "no-AI: 1"),
        ("noai", "no", None),
        ("no_ai", 0, None),
        ("tdm-reservation", 1, "tdm-reservation: 1"),
        ("tdm_reservation", 0, None),
        ("robots", "noindex, noimageai", "robots: noindex, noimageai"),
        ("tags", "noai", "tags: noai"),
        ("remarks", "the noaik river", None),
        ("plus:DataMining", "http://ns.useplus.org/ldf/vocab/DMI-PROHIBITED-AIMLTRAINING", "plus:DataMining: "),
        ("data_mining", "DMI-ALLOWED", None),
        ("data_mining", "DMI-UNSPECIFIED", None),
    ],
)
def test_a_plate_is_tagged_no_ai_by_a_column(dataset, column, value, expected):
    found = rights(dataset, license="CC0", extra={column: value}).no_ai
    assert (found or "").startswith(expected) if expected else found is None


def test_a_tag_in_the_licence_counts(dataset):
    assert rights(dataset, license="CC BY 4.0, noai").no_ai == "licence: CC BY 4.0, noai"

"""What licences, as indexes state them, say of commercial use. Verdicts are those of the licences' own deeds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atlas_resources.plates.rights.licences import OF_CREATIVE_COMMONS, OF_STATEMENTS, commercial_use, strictest
from atlas_resources.plates.rights.uris import STATEMENTS


@pytest.mark.parametrize(
    ("licence", "expected"),
    [
        ("CC0", "yes"),
        ("cc0 1.0", "yes"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", "yes"),
        ("http://creativecommons.org/publicdomain/mark/1.0/", "yes"),
        ("Public Domain", "yes"),
        ("PDM", "yes"),
        ("CC BY 4.0", "yes"),
        ("CC-BY", "yes"),
        ("cc_by_sa", "yes"),
        ("Attribution-ShareAlike 3.0 Unported", "yes"),
        ("Creative Commons Attribution 4.0 International", "yes"),
        ("https://creativecommons.org/licenses/by-sa/4.0/deed.de", "yes"),
        ("CC BY-NC 4.0", "no"),
        ("CC-BY-NC-SA", "no"),
        ("CC BY-NC-ND 3.0", "no"),
        ("Creative Commons Attribution-NonCommercial 4.0 International", "no"),
        ("https://creativecommons.org/licenses/by-nc/4.0/", "no"),
        ("http://rightsstatements.org/vocab/InC/1.0/", "no"),
        ("In Copyright", "no"),
        ("http://rightsstatements.org/vocab/NoC-NC/1.0/", "no"),
        ("All rights reserved.", "no"),
        ("For non-commercial research only", "no"),
        ("CC BY-ND 4.0", "unknown"),
        ("http://rightsstatements.org/vocab/CNE/1.0/", "unknown"),
        ("No Known Copyright", "unknown"),
        ("No Copyright - United States", "unknown"),
        ("© 1998 The Museum", "unknown"),
        ("see the website", "unknown"),
        ("not public domain", "unknown"),
        ("CC BY?", "unknown"),
        ("", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_licence_allows_or_forbids_commercial_use_or_it_is_unknown(licence, expected):
    assert commercial_use(licence) == expected


def test_every_statement_and_licence_of_the_uris_has_a_verdict():
    assert OF_STATEMENTS.keys() == STATEMENTS.keys()
    for code, expected in OF_STATEMENTS.items():
        assert commercial_use(f"http://rightsstatements.org/vocab/{code}/1.0/") == expected
    for terms in ("by", "by-sa", "by-nd", "by-nc", "by-nc-sa", "by-nc-nd"):
        assert commercial_use(f"https://creativecommons.org/licenses/{terms}/4.0/") == OF_CREATIVE_COMMONS[terms]


@given(st.text(max_size=200))
def test_any_text_has_a_verdict(text):
    assert commercial_use(text) in ("yes", "no", "unknown")


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [([], "unknown"), (["unknown"], "unknown"), (["unknown", "yes"], "yes"), (["yes", "no"], "no")],
)
def test_the_strictest_of_several_statements_counts(verdicts, expected):
    assert strictest(verdicts) == expected

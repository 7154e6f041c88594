"""Keywords are the parts of an answer between commas, or the strings of its lists."""

import pytest

from atlas_resources.instruments.texts.keywords import keywords_of


@pytest.mark.parametrize(
    ("text", "keywords"),
    [
        ("snow bunting, winter,birch", ["snow bunting", "winter", "birch"]),
        ("snow bunting; winter\nbirch.", ["snow bunting", "winter", "birch"]),
        ("- snow bunting\n* winter\n• birch", ["snow bunting", "winter", "birch"]),
        ("1. snow bunting\n2) winter", ["snow bunting", "winter"]),
        ("Winter, winter,  , WINTER", ["Winter"]),
        ("snow   bunting", ["snow bunting"]),
        ("19th century, self-portrait", ["19th century", "self-portrait"]),
        ("<b>bird</b>", ["<b>bird</b>"]),
        (" ", []),
    ],
)
def test_keywords_of_a_text(text: str, keywords: list[str]):
    assert keywords_of(text, None) == keywords


def test_keywords_of_an_object_are_the_strings_of_its_lists():
    parsed = '{"confidence": "low", "keywords": ["owl, barn", "dusk", 3, "Dusk"], "more": ["ink"]}'
    assert keywords_of(parsed, parsed) == ["owl, barn", "dusk", "ink"]

"""The script of a text, by the names that Unicode gives its letters."""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType

CODES: Mapping[str, str] = MappingProxyType(
    {
        "LATIN": "Latn",
        "GREEK": "Grek",
        "CYRILLIC": "Cyrl",
        "ARMENIAN": "Armn",
        "GEORGIAN": "Geor",
        "HEBREW": "Hebr",
        "ARABIC": "Arab",
        "DEVANAGARI": "Deva",
        "BENGALI": "Beng",
        "TAMIL": "Taml",
        "TELUGU": "Telu",
        "THAI": "Thai",
        "TIBETAN": "Tibt",
        "HANGUL": "Hang",
        "CJK": "Hani",
        "HIRAGANA": "Hira",
        "KATAKANA": "Kana",
    }
)
"""ISO 15924 code by the first word of a letter's Unicode name."""
OTHER = "Zzzz"
"""ISO 15924: code for an uncoded script."""


def script_of(text: str) -> str | None:
    """The script of most letters, as an ISO 15924 code; of equally many, the first. None without letters.

    Full-width and ligature forms count as the letters that they stand for.
    """
    letters = [letter for letter in unicodedata.normalize("NFKC", text) if letter.isalpha()]
    if not letters:
        return None
    first_words = (unicodedata.name(letter, "").partition(" ")[0] for letter in letters)
    return Counter(CODES.get(word, OTHER) for word in first_words).most_common(1)[0][0]

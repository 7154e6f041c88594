"""Whether a licence, as an index states it, allows commercial use: one table of licences and of what people write."""

import re
from typing import Literal

from atlas_resources.plates.rights.uris import STATEMENTS, rights_uri

CommercialUse = Literal["yes", "no", "unknown"]

# By https://creativecommons.org/licenses/: NC forbids it. ND allows copies and forbids adaptations; whether vectors and
# masks are adaptations is open.
OF_CREATIVE_COMMONS: dict[str, CommercialUse] = {
    "by": "yes", "by-sa": "yes", "by-nd": "unknown", "by-nc": "no", "by-nc-sa": "no", "by-nc-nd": "no",
    "zero": "yes", "mark": "yes",
}  # fmt: skip
# By the descriptions at https://rightsstatements.org/page/1.0/. Where the law of a country or a contract decides, it is
# unknown.
OF_STATEMENTS: dict[str, CommercialUse] = {
    "InC": "no", "InC-OW-EU": "no", "InC-EDU": "no", "InC-NC": "no", "InC-RUU": "no", "NoC-NC": "no",
    "NoC-CR": "unknown", "NoC-OKLR": "unknown", "NoC-US": "unknown", "CNE": "unknown", "UND": "unknown",
    "NKC": "unknown",
}  # fmt: skip
OF_NAMES: dict[str, CommercialUse] = {
    "cc": "unknown", "pd": "yes", "pdm": "yes", "pdm 1.0": "yes", "cc pdm": "yes", "cc pdm 1.0": "yes",
    "cc pd": "yes", "no rights reserved": "yes", "all rights reserved": "no", "copyrighted": "no",
    "in copyright": "no", "protected by copyright": "no", "research use only": "no", "personal use only": "no",
    "educational use only": "no", "editorial use only": "no",
}  # fmt: skip
"""Whole texts, in lower case, with single spaces for punctuation."""
NAME_OF_CREATIVE_COMMONS = re.compile(r"(?:cc )?(by(?: (?:nc|sa|nd)){0,2})(?: [1-4]\.[0-9])?(?: [a-z]+)?")
LONG_NAMES = (
    ("creative commons", "cc"), ("attribution", "by"), ("non commercial", "nc"), ("noncommercial", "nc"),
    ("share alike", "sa"), ("sharealike", "sa"), ("no derivatives", "nd"), ("noderivatives", "nd"),
    ("noderivs", "nd"), (" licence", ""), (" license", ""),
)  # fmt: skip
FORBIDDING = re.compile(r"\bnon[ -]?commercial\b|\bno commercial\b|\ball rights reserved\b")
"""A text with one of these, and no other verdict, forbids it."""


def commercial_use(licence: str | None) -> CommercialUse:
    """Whether a licence allows commercial use. What is not in the tables above is unknown, as is no licence at all.

    Args:
        licence: a URI, a name such as "CC BY-SA 4.0", "CC0" or "Public domain", or a text.
    """
    text = (licence or "").strip()
    uri = rights_uri(text)
    if uri:
        return _of_uri(uri)
    name = " ".join(re.split(r"[\s_/,:;()\u2013-]+", text.casefold().strip(" ."))).strip()
    if name in OF_NAMES:
        return OF_NAMES[name]
    for long, short in LONG_NAMES:
        name = name.replace(long, short)
    if found := NAME_OF_CREATIVE_COMMONS.fullmatch(name):
        parts = found[1].split()
        terms = "-".join(part for part in ("by", "nc", "sa", "nd") if part in parts)
        return OF_CREATIVE_COMMONS.get(terms, "unknown")
    return "no" if FORBIDDING.search(text.casefold()) else "unknown"


def _of_uri(uri: str) -> CommercialUse:
    """Of a URI as `rights_uri` returns it."""
    parts = uri.rstrip("/").split("/")
    if "rightsstatements.org" in uri:
        return OF_STATEMENTS[next(code for code in STATEMENTS if code in parts)]
    return next(OF_CREATIVE_COMMONS[part] for part in parts if part in OF_CREATIVE_COMMONS)


def strictest(verdicts: list[CommercialUse]) -> CommercialUse:
    """One verdict for several statements about one plate: no before yes, and yes before unknown."""
    return "no" if "no" in verdicts else "yes" if "yes" in verdicts else "unknown"

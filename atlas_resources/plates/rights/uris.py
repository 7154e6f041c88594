"""Which rights URI a licence, as an index states it, stands for. Anything that is not certain stands for none."""

import re

# https://creativecommons.org/licenses/list.en/ and https://creativecommons.org/public-domain/
CREATIVE_COMMONS = re.compile(
    r"https?://(?:www\.)?creativecommons\.org/"
    r"(licenses/(?:by|by-sa|by-nd|by-nc|by-nc-sa|by-nc-nd)/(?:1\.0|2\.0|2\.1|2\.5|3\.0|4\.0)(?:/[a-z]{2,3}(?:-[a-z]+)?)?"
    r"|publicdomain/(?:zero|mark)/1\.0)(?:/(?:deed|legalcode)(?:\.[a-z-]+)?)?/?",
    re.IGNORECASE,
)
CREATIVE_COMMONS_NAME = re.compile(
    r"cc by( nc)?( sa| nd)? (1\.0|2\.0|2\.5|3\.0|4\.0)(?: unported| international| generic)?"
)
LONG_NAMES = (("creative commons", "cc"), ("attribution", "by"), ("non commercial", "nc"), ("noncommercial", "nc"),
              ("share alike", "sa"), ("sharealike", "sa"), ("no derivatives", "nd"), ("noderivatives", "nd"),
              ("noderivs", "nd"))  # fmt: skip
ZERO = "http://creativecommons.org/publicdomain/zero/1.0/"
MARK = "http://creativecommons.org/publicdomain/mark/1.0/"
PUBLIC_DOMAIN = {
    "cc0": ZERO, "cc0 1.0": ZERO, "cc0 1.0 universal": ZERO, "cc zero": ZERO, "creative commons zero": ZERO,
    "public domain": MARK, "public domain mark": MARK, "public domain mark 1.0": MARK, "in the public domain": MARK,
}  # fmt: skip

# https://rightsstatements.org/page/1.0/: the codes in the URIs, and the statements' names
STATEMENTS = {
    "InC": "in copyright",
    "InC-OW-EU": "in copyright eu orphan work",
    "InC-EDU": "in copyright educational use permitted",
    "InC-NC": "in copyright non commercial use permitted",
    "InC-RUU": "in copyright rights holder(s) unlocatable or unidentifiable",
    "NoC-CR": "no copyright contractual restrictions",
    "NoC-NC": "no copyright non commercial use only",
    "NoC-OKLR": "no copyright other known legal restrictions",
    "NoC-US": "no copyright united states",
    "CNE": "copyright not evaluated",
    "UND": "copyright undetermined",
    "NKC": "no known copyright",
}
STATEMENT_URI = re.compile(
    rf"https?://rightsstatements\.org/(?:vocab|page)/({'|'.join(STATEMENTS)})/1\.0/?(?:\?.*)?", re.IGNORECASE
)
CODES = {code.casefold(): code for code in STATEMENTS}
CODE_OF_NAME = {name: code for code, name in STATEMENTS.items()}


def rights_uri(text: str) -> str | None:
    """The URI of a Creative Commons licence or tool, or of a statement of RightsStatements.org.

    Args:
        text: A URI, such as https://creativecommons.org/licenses/by/4.0/deed.de, or a whole name, such as "CC0",
            "CC BY-SA 4.0", "Public domain" or "No Known Copyright". A licence without its version stands for none,
            nor does a sentence that contains a name.

    Returns:
        The URI as the IIIF Presentation API 3.0 has it (https://iiif.io/api/presentation/3.0/#rights): with `http`, as
        both vocabularies define theirs; None for any other text.
    """
    text = text.strip()
    if found := CREATIVE_COMMONS.fullmatch(text):
        return f"http://creativecommons.org/{found[1].lower()}/"
    if found := STATEMENT_URI.fullmatch(text):
        return statement(CODES[found[1].casefold()])
    name = " ".join(re.split(r"[\s_/,:\u2013-]+", text.casefold().strip(" .")))
    if name in PUBLIC_DOMAIN:
        return PUBLIC_DOMAIN[name]
    if name in CODE_OF_NAME:
        return statement(CODE_OF_NAME[name])
    for long, short in LONG_NAMES:
        name = name.replace(long, short)
    if found := CREATIVE_COMMONS_NAME.fullmatch(name):
        terms = f"by{found[1] or ''}{found[2] or ''}".replace(" ", "-")
        return f"http://creativecommons.org/licenses/{terms}/{found[3]}/"
    return None


def statement(code: str) -> str:
    """The URI of a statement of RightsStatements.org."""
    return f"http://rightsstatements.org/vocab/{code}/1.0/"

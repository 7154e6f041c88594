"""The keywords of an answer: those of its lists if it is a JSON object, else its parts between commas."""

import json
import re

BETWEEN = re.compile(r"[,;\n]")
# Signs of a list before a keyword: "- ", "* ", "• ", "1. ", "2) ".
LIST_SIGN = re.compile(r"^(?:[-*•]|\d{1,3}[.)])\s+")


def keywords_of(text: str, parsed_json: str | None) -> list[str]:
    """The keywords in order, each once without regard to case, as the model wrote them.

    Args:
        text: the answer, such as `snow bunting, winter, birch`: commas, semicolons and line breaks part keywords. White
            space around a keyword, the sign of a list before it and a full stop after it are not part of it.
        parsed_json: the answer's object, if one was asked for: the strings of its lists are keywords.
    """
    if parsed_json is None:
        parts = [LIST_SIGN.sub("", part.strip()).removesuffix(".") for part in BETWEEN.split(text)]
    else:
        lists = [value for value in json.loads(parsed_json).values() if isinstance(value, list)]
        parts = [part for values in lists for part in values if isinstance(part, str)]
    found: dict[str, str] = {}
    for part in parts:
        keyword = " ".join(part.split())
        if keyword:
            found.setdefault(keyword.casefold(), keyword)
    return list(found.values())

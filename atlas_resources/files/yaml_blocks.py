"""Changes top-level fields of a YAML file's text and leaves every other line as a person wrote it."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import yaml

WIDTH = 118
REST_OF_BLOCK = r"(?:(?:[ \t]|- ).*\n|-\n)*"  # indented lines, and a list that is not indented


def with_block(text: str, name: str, value: Any, order: Sequence[str] = ()) -> str:
    """The text with one top-level field replaced, or added where it has none.

    Args:
        text: of a YAML mapping.
        name: the field.
        value: plain values, lists and mappings.
        order: names of fields; a new one is put before the first that comes after it in this order, else at the end.
    """
    block = yaml.safe_dump({name: value}, sort_keys=False, allow_unicode=True, width=WIDTH)
    text = text if text.endswith("\n") else f"{text}\n"
    replaced, count = re.subn(_pattern(name), lambda _: block, text, count=1, flags=re.MULTILINE)
    if count:
        return replaced
    later = order[order.index(name) + 1 :] if name in order else ()
    places = [found.start() for other in later if (found := re.search(_pattern(other), text, flags=re.MULTILINE))]
    place = min(places, default=len(text))
    return text[:place] + block + text[place:]


def with_items(text: str, name: str, items: Iterable[str]) -> str:
    """The text with more strings at the end of a top-level list; the list is added where there is none."""
    items = list(items)
    found = re.search(_pattern(name), text, flags=re.MULTILINE)
    there = (yaml.safe_load(found[0])[name] if found else None) or []
    if found is None or not there or re.match(rf"{name}:[ \t]*\S", found[0]):
        return with_block(text, name, [*there, *items])
    indent = " " * (len(line := found[0].splitlines()[1]) - len(line.lstrip(" ")))
    lines = yaml.safe_dump(items, allow_unicode=True, width=WIDTH).splitlines()
    added = "".join(f"{indent}{line}\n" for line in lines)
    return text[: found.end()] + added + text[found.end() :]


def _pattern(name: str) -> str:
    return rf"^{name}:.*\n{REST_OF_BLOCK}"

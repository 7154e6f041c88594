"""Changes top-level fields of a YAML file's text and leaves every other line as a person wrote it."""

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

WIDTH = 118


def with_block(text: str, name: str, value: Any, order: Sequence[str] = ()) -> str:
    """The text with one top-level field replaced, or added where it has none.

    Args:
        text: of a YAML mapping in block style.
        name: the field.
        value: plain values, lists and mappings.
        order: names of fields; a new one is put before the first that comes after it in this order, else at the end.
    """
    lines, blocks = _blocks_of(text)
    block = _dumped({name: value})
    if name in blocks:
        start, end = blocks[name]
    else:
        later = order[order.index(name) + 1 :] if name in order else ()
        start = end = min((blocks[other][0] for other in later if other in blocks), default=len(lines))
    return "".join([*lines[:start], block, *lines[end:]])


def with_items(text: str, name: str, items: Iterable[str]) -> str:
    """The text with more strings at the end of a top-level list; the list is added where there is none."""
    lines, blocks = _blocks_of(text)
    start, end = blocks.get(name, (0, 0))
    there = (yaml.safe_load("".join(lines[start:end])) or {}).get(name) or []
    first = lines[start + 1] if end > start + 1 else ""
    if not first.lstrip(" ").startswith("-"):  # there is no list, or it is on one line
        return with_block(text, name, [*there, *items])
    indent = " " * (len(first) - len(first.lstrip(" ")))
    added = [f"{indent}{line}\n" for line in _dumped(list(items)).splitlines()]
    return "".join([*lines[:end], *added, *lines[end:]])


def _dumped(value: Any) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=WIDTH)


def _blocks_of(text: str) -> tuple[list[str], dict[str, tuple[int, int]]]:
    """The lines, and by field where its block begins and ends; comments before a field belong to no block."""
    lines = (text if text.endswith("\n") or not text else f"{text}\n").splitlines(keepends=True)
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    starts = {key.value: key.start_mark.line for key, _ in root.value} if root else {}
    ends = [*list(starts.values())[1:], len(lines)]
    return lines, {
        name: (start, _last(lines, start, end)) for (name, start), end in zip(starts.items(), ends, strict=False)
    }


def _last(lines: list[str], start: int, end: int) -> int:
    """The end of a block, without the comments and blank lines before the next field."""
    while end > start + 1 and (not lines[end - 1].strip() or lines[end - 1].startswith("#")):
        end -= 1
    return end

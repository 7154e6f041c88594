"""Metadata values that the UI shows with an event."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from atlas_assets.ui.plots import data_uri_markdown, glance_markdown

MARKUP = re.compile(r"[\\`*\[\]<>|~&]")
ESCAPED = re.compile(r"\\([\\`*\[\]<>|~&])")


@dataclass(frozen=True)
class Markdown:
    """Text that the UI renders as Markdown."""

    text: str


def markdown_list(lines: Iterable[str]) -> str:
    """A list with a line for each text, shown as it is: a file named like a Markdown picture makes no request."""
    return "\n".join(f"- {escaped(line)}" for line in lines)


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose cells show their texts as they are; an empty cell of the header is a space."""
    lines = [f"| {' | '.join(escaped(text) or ' ' for text in row)} |" for row in (header, *rows)]
    return "\n".join([lines[0], f"|{'---|' * len(header)}", *lines[1:]])


def escaped(text: str) -> str:
    """A text on one line, as Markdown that shows it as it is."""
    return MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def summary(lines: Sequence[str]) -> str | None:
    """The first line and how many more there are, as plain text; None without a line."""
    if not lines:
        return None
    return lines[0] + (f" (and {len(lines) - 1} more)" if len(lines) > 1 else "")


def plain_list(markdown: str) -> str:
    """A text from `markdown_list` as a terminal shows it."""
    return ESCAPED.sub(r"\1", markdown)


def picture_metadata(plate_id: str, picture: bytes | None, glance: bytes | None = None) -> Mapping[str, Markdown]:
    """A picture twice: small enough to be shown inline, and full-size behind a click. Empty without a picture.

    Args:
        plate_id: the alt text.
        picture: JPEG or PNG.
        glance: shown inline instead of the picture, if the picture is not readable when small, such as a plot.
    """
    if picture is None:
        return {}
    return {
        "glance": Markdown(glance_markdown(glance or picture, plate_id)),
        "picture": Markdown(data_uri_markdown(picture, plate_id)),
    }

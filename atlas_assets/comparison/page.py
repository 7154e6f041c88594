"""A comparison as one HTML file that opens from disk: its tables, and pictures of the plates that moved."""

import base64
from collections.abc import Sequence
from html import escape

from atlas_assets.comparison.report import Comparison, Moved
from atlas_assets.comparison.sections import Section
from atlas_resources.plates.dataset import Dataset

NO_REQUESTS = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""Content Security Policy: the browser loads nothing that is not in the file."""
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
:root { color-scheme: light dark; }
div.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: .5rem 0; }
th, td { border: 1px solid #8886; padding: .3rem .6rem; text-align: left; vertical-align: top; }
figure { display: inline-block; margin: .3rem; width: 7rem; vertical-align: top; font-size: .75rem; }
img { max-width: 7rem; max-height: 7rem; display: block; }
article { border-top: 1px solid #8886; break-inside: avoid; padding: .5rem 0; }
"""


def page_of(dataset: Dataset, found: Comparison, sections: Sequence[Section]) -> str:
    """The page. Every text is escaped; pictures are the plates' thumbnails, in the file.

    Args:
        dataset: the library, for thumbnails; a plate without one is shown by its id and title.
        found: the comparison.
        sections: its tables; the last one is shown with pictures too.
    """
    title = f"{found.first.key} beside {found.second.key}"
    pictures = [_moved(dataset, found, one) for one in found.moved]
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{escape(NO_REQUESTS)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(title)}</title><style>{STYLE}</style></head>",
            f"<body><main><h1>{escape(title)}</h1>",
            *(_section(one) for one in sections),
            *pictures,
            "</main></body></html>",
            "",
        ]
    )


def _section(section: Section) -> str:
    notes = "".join(f"<p>{escape(note)}</p>" for note in section.notes)
    if not section.rows:
        return f"<h2>{escape(section.title)}</h2>{notes}"
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in section.header)
    rows = "".join(f"<tr>{''.join(f'<td>{escape(text)}</td>' for text in row)}</tr>" for row in section.rows)
    table = f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
    return f"<h2>{escape(section.title)}</h2>{table}{notes}"


def _moved(dataset: Dataset, found: Comparison, moved: Moved) -> str:
    parts = [f"<article><h3>{escape(_name(found, moved.plate_id))}</h3>", _figure(dataset, found, moved.plate_id)]
    for key, near in ((found.first.key, moved.first), (found.second.key, moved.second)):
        parts.append(f"<p>Nearest by {escape(key)}</p>{''.join(_figure(dataset, found, one) for one in near)}")
    return "".join([*parts, "</article>"])


def _figure(dataset: Dataset, found: Comparison, plate_id: str) -> str:
    name, thumbnail = escape(_name(found, plate_id)), dataset.plate(plate_id).thumbnail()
    if thumbnail is None:
        return f"<figure><figcaption>{name}</figcaption></figure>"
    encoded = base64.b64encode(thumbnail).decode()
    return f'<figure><img alt="" src="data:image/jpeg;base64,{encoded}"><figcaption>{name}</figcaption></figure>'


def _name(found: Comparison, plate_id: str) -> str:
    title = found.titles.get(plate_id)
    return f"{plate_id}: {title}" if title else plate_id

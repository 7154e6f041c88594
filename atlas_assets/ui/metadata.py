"""Metadata values that the UI shows with an event."""

from collections.abc import Mapping
from dataclasses import dataclass

from atlas_assets.ui.plots import data_uri_markdown, glance_markdown


@dataclass(frozen=True)
class Markdown:
    """Text that the UI renders as Markdown."""

    text: str


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

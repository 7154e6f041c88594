"""Values that the UI shows beside an event, and the pictures among them."""

from collections.abc import Mapping
from dataclasses import dataclass

from atlas_assets.ui.plots import data_uri_markdown, glance_markdown


@dataclass(frozen=True)
class Markdown:
    """Text that the UI renders as Markdown."""

    text: str


def picture_metadata(plate_id: str, picture: bytes | None, glance: bytes | None = None) -> Mapping[str, Markdown]:
    """A picture twice: small enough to be shown in place, and in full a click away. Empty without a picture.

    Args:
        plate_id: names the picture.
        picture: JPEG or PNG.
        glance: what is shown in place where the picture itself cannot be read when small, as a plot.
    """
    if picture is None:
        return {}
    return {
        "glance": Markdown(glance_markdown(glance or picture, plate_id)),
        "picture": Markdown(data_uri_markdown(picture, plate_id)),
    }

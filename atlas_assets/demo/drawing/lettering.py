"""A plate's lettering: title, number and the engraver's line. What they say is part of the truth."""

from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from atlas_assets.demo.drawing.pen import Point

IMPRINT = "Drawn and engraved by a machine for the Atlas"
TITLE_PX, NUMBER_PX, IMPRINT_PX = 78, 50, 28
"""Heights of the font on a plate of the full size."""


@dataclass(frozen=True)
class Lettering:
    """What is written on a plate."""

    title: str
    number: str
    imprint: str = IMPRINT

    @property
    def lines(self) -> tuple[str, str, str]:
        """The lines in reading order, from the top."""
        return self.number, self.title, self.imprint


def write_line(ink: Image.Image, text: str, at_px: Point, size_px: float, anchor: str) -> None:
    """Writes a line in Pillow's own font, Aileron. Changes `ink` (L, 0 is black).

    Args:
        ink: the layer.
        text: what is written.
        at_px: the anchor's place.
        size_px: height of the font.
        anchor: Pillow's name of the anchor, such as `mm` for the middle.
    """
    ImageDraw.Draw(ink).text(at_px, text, fill=0, font=ImageFont.load_default(size=max(1.0, size_px)), anchor=anchor)

"""The plates of the set: the kind, colourway, title and medium of each number."""

from dataclasses import dataclass

from atlas_assets.demo.drawing.colourways import COLOURWAYS
from atlas_assets.demo.drawing.lettering import Lettering
from atlas_assets.demo.drawing.subjects.kinds import SUBJECTS
from atlas_assets.demo.scans import MEDIA

DRAWING_VERSION = "2"
"""Raise it when the pixels of any plate change: plates of another version are drawn again."""

UNUSUAL_MEDIA = {
    3: "jpeg with sRGB profile",
    5: "jpeg, grayscale",
    8: "jpeg, CMYK",
    10: "jpeg, progressive",
    12: "png, 16-bit grayscale",
    15: "tiff",
    16: "webp",
    19: "png, transparent paper",
    23: "jpeg, EXIF orientation 6",
}
"""Plate number to medium, for plates that are not plain JPEG files."""


@dataclass(frozen=True)
class PlatePlan:
    """Everything that determines one plate's pixels, except the drawing version: number (from 1), seed and scale."""

    number: int
    seed: int
    scale: float

    @property
    def plate_id(self) -> str:
        """The id it gets at registration."""
        return f"plate-{self.number:03d}"

    @property
    def kind(self) -> str:
        """The kind of subject; kinds rotate by number."""
        return list(SUBJECTS)[(self.number - 1) % len(SUBJECTS)]

    @property
    def colourway(self) -> str:
        """The colourway; it advances with each plate and with each round of kinds, so that every pair occurs."""
        step, kind_index = divmod(self.number - 1, len(SUBJECTS))
        return list(COLOURWAYS)[(step + kind_index) % len(COLOURWAYS)]

    @property
    def title(self) -> str:
        """The title in the index."""
        return f"{self.colourway} {self.kind}".title()

    @property
    def lettering(self) -> Lettering:
        """What is written on it: the title of the index and the number."""
        return Lettering(self.title, f"PLATE {self.number}.")

    @property
    def slug(self) -> str:
        """The title in lower case with hyphens."""
        return self.title.lower().replace(" ", "-")

    @property
    def medium(self) -> str:
        """A key of `MEDIA`."""
        return UNUSUAL_MEDIA.get(self.number, "jpeg")

    @property
    def file_name(self) -> str:
        """The scan's file name, in the pattern of the Audubon plates."""
        return f"plate-{self.number}-{self.slug}.{MEDIA[self.medium][0]}"

    @property
    def marker(self) -> dict[str, str | int | float]:
        """The entry in a plate's truth file that identifies this plan; another value means the plate is drawn again."""
        return {"drawing_version": DRAWING_VERSION, "seed": self.seed, "scale": self.scale}

"""Which plates there are: the kind, colourway, title and medium of each number. Nothing is drawn here."""

from dataclasses import dataclass

from atlas_assets.demo.drawing.colourways import COLOURWAYS
from atlas_assets.demo.drawing.subjects import SUBJECTS
from atlas_assets.demo.scans import MEDIA

DRAWING_VERSION = "1"
"""Raised whenever the pixels of any plate change; a plate of another version is drawn again."""

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
"""Plate number to medium, where it is not a plain JPEG."""


@dataclass(frozen=True)
class PlatePlan:
    """All that decides one plate's pixels, besides this version: its number from 1, seed, scale."""

    number: int
    seed: int
    scale: float

    @property
    def plate_id(self) -> str:
        """The id it gets when it is registered by its number."""
        return f"plate-{self.number:03d}"

    @property
    def kind(self) -> str:
        """The kinds come in turn."""
        return list(SUBJECTS)[(self.number - 1) % len(SUBJECTS)]

    @property
    def colourway(self) -> str:
        """Moves on with each plate and once more with each round of kinds, so that every pair comes up."""
        step, kind_index = divmod(self.number - 1, len(SUBJECTS))
        return list(COLOURWAYS)[(step + kind_index) % len(COLOURWAYS)]

    @property
    def title(self) -> str:
        """What the index calls it."""
        return f"{self.colourway} {self.kind}".title()

    @property
    def slug(self) -> str:
        """The title as file names and addresses hold it."""
        return self.title.lower().replace(" ", "-")

    @property
    def medium(self) -> str:
        """A key of `MEDIA`."""
        return UNUSUAL_MEDIA.get(self.number, "jpeg")

    @property
    def file_name(self) -> str:
        """The scan's file name, as the Audubon plates' own are formed."""
        return f"plate-{self.number}-{self.slug}.{MEDIA[self.medium][0]}"

    @property
    def marker(self) -> dict[str, str | int | float]:
        """What a drawn plate's truth must say for the plate to count as drawn by this plan."""
        return {"drawing_version": DRAWING_VERSION, "seed": self.seed, "scale": self.scale}

"""Everything that groundwork measures of a plate's pixels, in one call."""

from dataclasses import asdict, dataclass
from typing import Any, Literal

from PIL import Image

from atlas_resources.measures.arrays import pixels_of
from atlas_resources.measures.colour.census import count_colours
from atlas_resources.measures.colour.extremes import Extremes
from atlas_resources.measures.colour.luma import luma_of_image
from atlas_resources.measures.colour.tones import ColourCounts, Tones, measure_colours, measure_tones
from atlas_resources.measures.hashes import PerceptualHashes, perceptual_hashes
from atlas_resources.measures.spatial import edge_density, laplacian_variance


@dataclass(frozen=True)
class Geometry:
    """Size and shape of a picture: sides in pixels, aspect_ratio is width / height, a megapixel is 1e6 pixels."""

    width: int
    height: int
    orientation: Literal["landscape", "portrait", "square"]
    aspect_ratio: float
    megapixels: float
    pixel_count: int


@dataclass(frozen=True)
class Texture:
    """Sharpness and edges of luma; see `laplacian_variance` and `edge_density`."""

    laplacian_variance: float
    edge_density: float


@dataclass(frozen=True)
class PixelFacts:
    """What is measured of the pixels of one picture.

    Attributes:
        geometry, tones, texture, hashes: scalars, with the names of `input_image.json`.
        colours: counts, with the names of `input_color_histograms.json`.
    """

    geometry: Geometry
    tones: Tones
    texture: Texture
    hashes: PerceptualHashes
    colours: ColourCounts

    def scalars(self) -> dict[str, Any]:
        """The fields of `input_image.json` that follow from the pixels, by name."""
        scalars = {}
        for facts in (self.geometry, self.tones, self.texture, self.hashes):
            scalars |= asdict(facts)
        return scalars | {"full_pixel_pass": self.colours.pixel_count == self.geometry.pixel_count}

    def histograms(self) -> dict[str, Any]:
        """The fields of `input_color_histograms.json` that follow from the pixels, by name."""
        return asdict(self.colours)


def measure_pixels(image: Image.Image, extremes: Extremes | None = None) -> PixelFacts:
    """Measures every pixel of a picture. Besides the picture it needs 2 bytes a pixel and a hundred MiB.

    Args:
        image: of mode "RGB", 8-bit sRGB, upright, as a plate is decoded.
        extremes: white, black and clipped pixels at the depth of the source, if it is more than 8 bits; None counts
            them in `image`.

    Raises:
        ValueError: the image is of another mode.
    """
    if image.mode != "RGB":
        raise ValueError(f'measure_pixels needs an image of mode "RGB", found "{image.mode}"')
    census = count_colours(pixels_of(image))  # first: its table is the largest of what is held beside the picture
    return PixelFacts(
        geometry=measure_geometry(*image.size),
        tones=measure_tones(census, extremes),
        texture=measure_texture(image),
        hashes=perceptual_hashes(image),
        colours=measure_colours(census),
    )


def measure_texture(image: Image.Image) -> Texture:
    """Sharpness and edges of the luma of a picture of mode "RGB"."""
    levels = luma_of_image(image)
    return Texture(laplacian_variance(levels), edge_density(levels))


def measure_geometry(width: int, height: int) -> Geometry:
    """Size and shape of a picture of `width` by `height` pixels."""
    return Geometry(
        width=width,
        height=height,
        orientation="square" if width == height else "landscape" if width > height else "portrait",
        aspect_ratio=width / height,
        megapixels=width * height / 1e6,
        pixel_count=width * height,
    )

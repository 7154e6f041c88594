"""Parameters of what reads text."""

from pydantic import Field, model_validator

from atlas_resources.files.contract import Contract
from atlas_resources.instruments.parameters.onnx import OnnxSession


class PpocrParameters(OnnxSession):
    """Parameters of `ppocr`, by the meaning and with the ranges of rapidocr 3.10, and those of reading by tiles.

    A plate whose longer side is above `tiled_above_px` is read as a whole and by overlapping tiles.
    """

    side_limit_px: int = Field(ge=320, description="Longer side to which a plate or tile is reduced before it is read.")
    detector_side_px: int = Field(ge=32, description="Shorter side to which a smaller image is enlarged for detection.")
    pixel_threshold: float = Field(gt=0, lt=1, description="Of the map that tells for each pixel if it is text.")
    box_threshold: float = Field(gt=0, lt=1, description="Of the mean of the map within a line's box.")
    unclip_ratio: float = Field(gt=0, le=4, description="How far boxes are widened, as the network saw shrunk ones.")
    tiled_above_px: int = Field(ge=320, description="Longer side of a plate above which it is read by tiles too.")
    tile_px: int = Field(ge=320, description="Side of a tile.")
    overlap_px: int = Field(gt=0, description="Overlap of neighbouring tiles.")
    merge_overlap: float = Field(
        gt=0, le=1, description="Share of the smaller box from which lines of two readings are the same lettering."
    )

    @model_validator(mode="after")
    def _tiles_advance(self) -> "PpocrParameters":
        if self.overlap_px >= self.tile_px:
            raise ValueError(f"overlap_px is less than tile_px, found {self.overlap_px} of {self.tile_px}")
        return self


class TesseractParameters(Contract):
    """Parameters of `tesseract`: languages, page segmentation, and which bands of a plate are read."""

    languages: str = Field(pattern=r"^[a-z_]+(\+[a-z_]+)*$", description="Names of traineddata files, joined by `+`.")
    page_segmentation: int = Field(ge=3, le=13, description="The engine's mode, 3 to 13.")
    top_band_ratio: float = Field(ge=0, le=1, description="Height of the band at the top, as a share of the plate's.")
    bottom_band_ratio: float = Field(ge=0, le=1, description="Height of the band at the bottom.")
    enlargement: int = Field(ge=1, le=4, description="By how much a band is enlarged before it is read.")

    @model_validator(mode="after")
    def _bands_are_apart(self) -> "TesseractParameters":
        if not 0 < self.top_band_ratio + self.bottom_band_ratio <= 1:
            raise ValueError("the two bands together are more than nothing and at most the whole plate")
        return self


class TrocrParameters(Contract):
    """Parameters of `trocr`: greedy decoding of lines, several at a time."""

    max_new_tokens: int = Field(ge=1, le=512, description="Tokens of a line at most.")
    lines_at_once: int = Field(ge=1, le=256, description="Lines that are read together; padding is the same for all.")

"""What a model is given to see, as a spec declares it: preprocessing, tiles, crops."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from atlas_resources.files.contract import Contract, Sha256, is_null

Mean = Annotated[float, Field(allow_inf_nan=False)]
Deviation = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Channels = tuple[Mean, Mean, Mean]
Deviations = tuple[Deviation, Deviation, Deviation]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box"]
Raster = Literal["source", "work_1024", "work_2048"]
LONGER_SIDE_PX: Mapping[Raster, int | None] = MappingProxyType({"source": None, "work_1024": 1024, "work_2048": 2048})
"""The most that the longer side of each raster has; None for the source's own size."""
Reference = Literal[
    "transformers_pillow",
    "torchvision_on_pil",
    "open_clip",
    "timm",
    "segment_anything",
    "carvekit",
    "rembg",
    "as_they_are",
    "own",
]
REFERENCES: Mapping[Reference, str] = MappingProxyType(
    {
        "transformers_pillow": "the image processor of transformers, Pillow backend",
        "torchvision_on_pil": "the transforms of torchvision's weights, applied to PIL images",
        "open_clip": "the evaluation transform of open_clip",
        "timm": "the evaluation transform of timm",
        "segment_anything": "ResizeLongestSide and Sam.preprocess of segment-anything",
        "carvekit": "data_preprocessing of carvekit's ml/wrap/u2net.py",
        "rembg": "normalize of rembg's session_base.py",
        "as_they_are": "the reader's own library, which takes the pixels as they are",
        "own": "the project's own; no library has it",
    }
)
"""What each reference is, in words."""


class Resize(Contract):
    """`shortest_side` and `longest_side` keep the aspect ratio; `exact` does not."""

    mode: Literal["shortest_side", "longest_side", "exact"]
    size_px: int = Field(gt=0)
    max_px: int | None = Field(
        default=None, gt=0, exclude_if=is_null, description="With `shortest_side`: limit of the other side."
    )


class Tiling(Contract):
    """Overlapping square tiles of the working raster, for a segmenter with a smaller input than the raster."""

    tile_px: int = Field(gt=0, description="Side of a tile.")
    overlap_px: int = Field(
        gt=0, description="Overlap of neighbouring tiles; larger at the raster's right and bottom edge."
    )
    merge_iou: float = Field(
        gt=0, le=1, description="Masks of two tiles are merged if their IoU within the overlap is at least this."
    )

    @model_validator(mode="after")
    def _tiles_advance(self) -> "Tiling":
        if self.overlap_px >= self.tile_px:
            raise ValueError(f"overlap_px is less than tile_px, found {self.overlap_px} of {self.tile_px}")
        return self


class Preprocessing(Contract):
    """From the source's sRGB pixels to the model's input, in this order: resize, crop, rescale, normalise, pad.

    Fields that were added later are not written while they are null, so older fingerprints stay the same.
    """

    raster: Raster = Field(
        description="The pixels that are resized: the source at full size, or a working raster, a smaller copy that is "
        "kept without loss so that no source is decoded for an instrument that is added later."
    )
    colour_policy: Literal["srgb8-v2"]
    backend: Literal["pillow"]
    reference: Reference | None = Field(
        default=None,
        exclude_if=is_null,
        description="The processor that gives the same input within float rounding; not part of the fingerprint.",
    )
    resize: Resize | None
    interpolation: Interpolation
    crop_px: int | None = Field(default=None, gt=0, description="Side of the centre crop.")
    crop_rounding: Literal["half_to_even"] | None = Field(
        default=None,
        exclude_if=is_null,
        description="How half of an odd margin is rounded: down as in transformers if null, else as in torchvision.",
    )
    mean: Channels | None = Field(default=None, description="Per channel, after rescaling to 0..1.")
    std: Deviations | None = None
    rescale: Literal["image_maximum"] | None = Field(
        default=None, exclude_if=is_null, description="What pixels are divided by; 255 if null."
    )
    pad: Literal["square_right_bottom", "batch_right_bottom"] | None = Field(
        default=None, exclude_if=is_null, description="Zeros after normalising, to a square or the batch's largest."
    )
    tiling: Tiling | None = Field(
        default=None, exclude_if=is_null, description="Of the resized raster, for segmentation only."
    )

    @model_validator(mode="after")
    def _normalised_by_both(self) -> "Preprocessing":
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std are declared together or not at all")
        return self

    @model_validator(mode="after")
    def _crop_is_within(self) -> "Preprocessing":
        size_px = self.resize.size_px if self.resize and self.resize.mode != "longest_side" else None
        if size_px and self.crop_px and self.crop_px > size_px:
            raise ValueError(f"crop_px is at most resize.size_px, found {self.crop_px} of {size_px}")
        return self

    def steps(self) -> dict[str, Any]:
        """All that changes the input: every field but the name of the reference."""
        return self.model_dump(exclude={"reference"})


class DefaultProcessor(Contract):
    """How far the library's default processor is from the declared preprocessing. `benchmarks.processors` measures it.

    Differences are of values of the model's input, after normalisation, on real plates. Not part of the fingerprint.
    """

    name: str = Field(description="Library with its version, and the processor.")
    largest_difference: float = Field(gt=0)
    mean_difference: float = Field(gt=0, description="Mean absolute difference over all values of all plates.")
    farthest: str = Field(description="The plate with the largest difference.")
    plates: int = Field(gt=0)
    subject: Sha256 = Field(description="Digest of the steps and of the name.")


class OwnPreprocessing(Contract):
    """What the model's own processor does, if no fixed preprocessing can describe it."""

    form: Literal["dynamic", "none"]
    description: str
    settings: dict[str, int] = Field(default_factory=dict, description="The processor's own names; pixels.")
    interpolation: Interpolation | None = None
    mean: Channels | None = None
    std: Deviations | None = None


class Tiles(Contract):
    """Parts of a plate that are embedded in addition to the whole. A grid of n has n x n tiles."""

    grids: list[Annotated[int, Field(ge=2, le=32)]] = Field(min_length=1)
    overlap_ratio: float = Field(ge=0, le=0.9, description="Share of a tile's side that its neighbour shares.")

    @field_validator("grids", mode="after")
    @classmethod
    def _ascending(cls, grids: list[int]) -> list[int]:
        if grids != sorted(set(grids)):
            raise ValueError("grids must ascend, each given once")
        return grids


class Crop(Contract):
    """How a segment is cut out of its plate before a model sees it; the model's own preprocessing comes after."""

    padding_ratio: float = Field(ge=0, le=2, description="Added on every side, as a share of the box's longer side.")
    shape: Literal["box", "square"] = Field(description="The segment's box, or that widened to a square.")
    surroundings: str = Field(
        pattern=r"^(as_scanned|paper_tone|#[0-9a-f]{6})$",
        description="What is shown around the mask: the scan as it is, the plate's mean paper, or one sRGB colour. "
        "Beyond the picture's edge it is that colour, or the paper's.",
    )

    @property
    def tag(self) -> str:
        """A short name of the policy, such as `square.pad0.1.#808080`."""
        return f"{self.shape}.pad{self.padding_ratio:g}.{self.surroundings}"


class Departure(Contract):
    """A step in which the spec differs on purpose from the processor of its weights."""

    step: Literal[
        "resize.mode",
        "resize.size_px",
        "resize.max_px",
        "interpolation",
        "crop_px",
        "crop_rounding",
        "rescale",
        "mean",
        "std",
        "pad",
    ]
    own: int | str | list[float] | None = Field(description="What the processor does instead; null if it does nothing.")
    reason: str

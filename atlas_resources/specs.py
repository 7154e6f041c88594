"""What an instrument is: the frozen schema of `model_specs/*.yaml`.

No files are read here. What a spec must declare is in `admission`, what it is known by in `fingerprints`.
"""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from atlas_resources.contracts import Contract, Sha256

Role = Literal["embedding", "segmentation", "detection", "probe", "text", "generative", "pruning", "palette", "outline"]
Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Mean = Annotated[float, Field(allow_inf_nan=False)]
Deviation = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Channels = tuple[Mean, Mean, Mean]
Deviations = tuple[Deviation, Deviation, Deviation]
Interpolation = Literal["nearest", "bilinear", "bicubic", "lanczos", "box"]


def _is_none(value: object) -> bool:
    return value is None


class WeightFile(Contract):
    """One file of a model. Only weights need a digest for admission; a digest that is given is always checked."""

    path: str
    format: Literal["safetensors", "pickle", "json"]
    sha256: Sha256 | None = None
    size_bytes: int | None = None
    url: str | None = Field(
        default=None,
        pattern=r"^https?://",
        exclude_if=_is_none,
        description="Where `atlas models pull` fetches a file from that no hub serves. A hub's file needs none.",
    )


class HubWeights(Contract):
    """Weights in a model hub's repository, pinned by commit."""

    kind: Literal["hub"]
    repository: str
    revision: Revision | None = None
    files: list[WeightFile]
    processor: WeightFile | None = Field(
        default=None,
        exclude_if=_is_none,
        description="preprocessor_config.json. It changes no result: the declared preprocessing is held against it.",
    )


class LibraryWeights(Contract):
    """Weights that a library distributes: pinned by library, exact version, name and digest.

    `package` means that the file lies in the installed distribution; `torch_hub`, in torch's checkpoint folder.
    """

    kind: Literal["library"]
    library: str
    version: str
    location: Literal["package", "torch_hub"]
    files: list[WeightFile]


class GitWeights(Contract):
    """Plain files of a git repository, pinned by commit; each says where it is served, and its digest is what counts.

    They lie beside the hub's snapshots, in a folder of the same layout.
    """

    kind: Literal["git"]
    repository: str = Field(pattern=r"^[\w.-]+/[\w.-]+$", description="owner/name")
    revision: Revision
    files: list[WeightFile]

    @model_validator(mode="after")
    def _served_at_the_commit(self) -> "GitWeights":
        for file in self.files:
            if not file.url or self.revision not in file.url:
                raise ValueError(f"{file.path}: expected a url that names the commit {self.revision}")
        return self


class Algorithm(Contract):
    """No weights: the exact version of the library that computes takes their place."""

    kind: Literal["algorithm"]
    library: str
    version: str


Weights = Annotated[HubWeights | LibraryWeights | GitWeights | Algorithm, Field(discriminator="kind")]


class Licence(Contract):
    """Terms that follow every row made with the instrument."""

    spdx: str = Field(description="SPDX id, `LicenseRef-` for terms without one, or `unknown` said outright.")
    commercial_use: Literal["yes", "no", "unknown"]
    source: str


class Resize(Contract):
    """`shortest_side` and `longest_side` keep the aspect ratio; `exact` does not."""

    mode: Literal["shortest_side", "longest_side", "exact"]
    size_px: int = Field(gt=0)
    max_px: int | None = Field(
        default=None, gt=0, exclude_if=_is_none, description="With `shortest_side`: limit of the other side."
    )


class Tiling(Contract):
    """Overlapping square tiles of the working raster, for a segmenter whose own raster is smaller than the plate's."""

    tile_px: int = Field(gt=0, description="Side of a tile.")
    overlap_px: int = Field(gt=0, description="What neighbouring tiles have in common; at the raster's end, more.")
    merge_iou: float = Field(gt=0, le=1, description="Masks of two tiles that agree so far in the overlap are one.")

    @model_validator(mode="after")
    def _tiles_advance(self) -> "Tiling":
        if self.overlap_px >= self.tile_px:
            raise ValueError(f"overlap_px is less than tile_px, found {self.overlap_px} of {self.tile_px}")
        return self


class Preprocessing(Contract):
    """From the source's sRGB pixels to the model's input, in this order: resize, crop, rescale, normalise, pad.

    A field that came later is left out of what is written while it is null, so that it moves no older fingerprint.
    """

    raster: Literal["source"] = Field(description="The pixels that are resized: the source at full size.")
    colour_policy: Literal["srgb8-v1"]
    backend: Literal["pillow"]
    resize: Resize | None
    interpolation: Interpolation
    crop_px: int | None = Field(default=None, gt=0, description="Side of the centre crop.")
    crop_rounding: Literal["half_to_even"] | None = Field(
        default=None,
        exclude_if=_is_none,
        description="How half of an odd margin is rounded: down as transformers does, or as torchvision does.",
    )
    mean: Channels | None = Field(default=None, description="Per channel, after rescaling to 0..1.")
    std: Deviations | None = None
    rescale: Literal["image_maximum"] | None = Field(
        default=None, exclude_if=_is_none, description="What pixels are divided by; 255 unless said otherwise."
    )
    pad: Literal["square_right_bottom", "batch_right_bottom"] | None = Field(
        default=None, exclude_if=_is_none, description="Zeros after normalising, to a square or the batch's largest."
    )
    tiling: Tiling | None = Field(
        default=None, exclude_if=_is_none, description="Of the resized raster, for segmentation only."
    )

    @model_validator(mode="after")
    def _normalised_by_both(self) -> "Preprocessing":
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std are declared together or not at all")
        return self


class OwnPreprocessing(Contract):
    """What the model's own processor does where no fixed preprocessing can say it."""

    form: Literal["dynamic", "none"]
    description: str
    settings: dict[str, int] = Field(default_factory=dict, description="The processor's own names; pixels.")
    interpolation: Interpolation | None = None
    mean: Channels | None = None
    std: Deviations | None = None


PooledFeature = Literal[
    "global_average_pool",
    "global_average_pool_layer_norm",
    "projected_image_embedding",
    "cls_token",
    "attention_pool",
    "patch_token_mean",
]


class Tiles(Contract):
    """Parts of a plate that are embedded beside the whole: for each grid, so many tiles along either side."""

    grids: list[Annotated[int, Field(ge=2, le=32)]] = Field(min_length=1)
    overlap_ratio: float = Field(ge=0, le=0.9, description="Share of a tile's side that its neighbour shares.")

    @field_validator("grids", mode="after")
    @classmethod
    def _ascending(cls, grids: list[int]) -> list[int]:
        if grids != sorted(set(grids)):
            raise ValueError("grids ascend, each named once")
        return grids


class VectorOutput(Contract):
    """An embedding."""

    kind: Literal["vector"]
    dim: int = Field(gt=0)
    dtype: Literal["float32", "float16"]
    pooled_feature: PooledFeature


Activation = Literal["softmax", "softmax_per_prompt_set", "sigmoid", "identity"]


class ScoresOutput(Contract):
    """A score per label; a single one for a rating."""

    kind: Literal["scores"]
    labels: Literal[
        "imagenet_1k",
        "places365",
        "wikiart",
        "wikiart_style",
        "wikiart_genre",
        "aesthetic_rating",
        "memorability_rating",
        "prompts",
    ]
    count: int = Field(gt=0)
    dtype: Literal["float32"]
    calibration: str = Field(description="What the scores are calibrated to, or `uncalibrated`.")
    activation: Activation | None = Field(
        default=None, exclude_if=_is_none, description="How a score follows from its logit; softmax over all if null."
    )
    label_names: list[str] | None = Field(
        default=None,
        exclude_if=_is_none,
        description="The labels in the model's order, where they are known; its configuration must have the same.",
    )

    @model_validator(mode="after")
    def _as_many_names_as_labels(self) -> "ScoresOutput":
        if self.label_names is not None and len(self.label_names) != self.count:
            raise ValueError(f"{len(self.label_names)} label_names for a count of {self.count}")
        return self


class MasksOutput(Contract):
    """Masks at the source's size."""

    kind: Literal["masks"]
    encoding: Literal["coco_rle"]
    classes: list[str] = Field(description="Class names; empty for class-agnostic masks.")
    vocabulary: Literal["ade20k_150"] | None = Field(
        default=None, exclude_if=_is_none, description="Name of a class list too long to stand in `classes`."
    )


class BoxesOutput(Contract):
    """Labelled boxes, by centre and size as shares of the image's sides."""

    kind: Literal["boxes"]
    box_format: Literal["cxcywh_ratio"]
    labels: Literal["coco_91", "text_prompt"]
    max_boxes: int = Field(gt=0, description="Boxes the model proposes for one image, before any threshold.")
    dtype: Literal["float32"]


class TextOutput(Contract):
    """Text the model writes."""

    kind: Literal["text"]
    form: Literal["transcription", "caption", "caption_and_regions", "answer"]


class RegionsOutput(Contract):
    """A row per segment of another instrument's sealed set: what is kept, its colours, its polygons."""

    kind: Literal["verdicts", "colours", "outlines"]


class ImageOutput(Contract):
    """An image the model draws."""

    kind: Literal["image"]
    width_px: int = Field(gt=0)
    height_px: int = Field(gt=0)


Output = Annotated[
    VectorOutput | ScoresOutput | MasksOutput | BoxesOutput | TextOutput | ImageOutput | RegionsOutput,
    Field(discriminator="kind"),
]
Objective = Literal[
    "contrastive_image_text",
    "contrastive_multimodal",
    "autoregressive_image_text",
    "self_supervised",
    "supervised_classification",
]


class Golden(Contract):
    """How near a mode faster than float32 comes to it on golden plates, as `atlas models golden KEY` measured it."""

    cosine_min: float = Field(ge=-1, le=1, description="Of the vectors or logits of the farthest plate.")
    farthest: str = Field(description="The plate it was found on.")
    plates: int = Field(gt=0)
    subject: Sha256 = Field(description="Of all that the figure depends on: see `golden.golden_subject`.")


class Numeric(Contract):
    """How numbers are computed. An instrument declared for `cuda` never runs on the CPU instead."""

    dtype: Literal["float32", "float16", "bfloat16"] = Field(
        description="Weights stay float32; in the narrow types torch.autocast says what is computed in them."
    )
    device: Literal["cpu", "cuda"]
    attention: Literal["eager", "sdpa", "flash_attention_2"] | None = Field(
        default=None, exclude_if=_is_none, description="Kernel of a transformers network; its library's choice if null."
    )
    matmul_precision: Literal["highest", "high", "medium"] | None = Field(
        default=None, exclude_if=_is_none, description="Of float32 products, as torch names it; torch's own if null."
    )
    golden: Golden | None = Field(default=None, exclude_if=_is_none, description="No part of the fingerprint.")


class FailureMode(Contract):
    """A known way to be wrong, and who says so."""

    fact: str
    source: str


class Crop(Contract):
    """How a segment is cut out of its plate before a model sees it; the model's own preprocessing comes after."""

    padding_ratio: float = Field(ge=0, le=2, description="Added on every side, as a share of the box's longer side.")
    shape: Literal["box", "square"] = Field(description="The segment's box, or that widened to a square.")
    surroundings: str = Field(
        pattern=r"^(as_scanned|paper_tone|#[0-9a-f]{6})$",
        description="What stands around the mask: the scan as it is, the plate's mean paper, or one sRGB colour. "
        "Beyond the picture's edge it is that colour, or the paper's.",
    )

    @property
    def tag(self) -> str:
        """A short name that tells two policies apart, such as `square.pad0.1.#808080`."""
        return f"{self.shape}.pad{self.padding_ratio:g}.{self.surroundings}"


class Region(Contract):
    """Where an instrument that is derived from a segmenter stands: `regions/<segmenter>/<part>`."""

    segmenter: str
    part: str
    crop: Crop | None = Field(default=None, description="How an embedder is shown a segment.")


class Refusal(Contract):
    """Why an instrument will not run however complete its spec is, and who says so."""

    reason: str
    source: str


class PromptPin(Contract):
    """One version of a prompt set, pinned by digest as weights are: what an instrument is asked with is part of it."""

    set: str
    version: int = Field(ge=1)
    sha256: Sha256


class Departure(Contract):
    """A step in which the spec means to differ from its weights' own processor."""

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
    own: int | str | list[float] | None = Field(description="What the processor has in its place; null for nothing.")
    reason: str


class Spec(Contract):
    """One instrument. A null is allowed wherever a fact could not be sourced: it keeps the instrument an idea."""

    key: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,62}$", description="The file's stem; asset, resource and ledger use it."
    )
    role: Role
    title: str
    description: str
    model_id: str
    loader: str | None = Field(description="Family that loads it; null where none does yet.")
    upstream: str | None = Field(
        default=None,
        exclude_if=_is_none,
        description="Key of the instrument whose sealed results it reads, plate by plate; null if it reads pixels.",
    )
    region: Region | None = Field(
        default=None, exclude_if=_is_none, description="For what is derived from a segmenter; see `region_plans`."
    )
    refusal: Refusal | None = None
    objective: Objective | None = Field(default=None, description="What an embedding was trained for.")
    parameter_count: int | None = Field(default=None, gt=0, description="Values in the network, as its source counts.")
    weights: Weights | None = None
    licence: Licence | None = None
    output: Output | None = None
    preprocessing: Preprocessing | None = None
    departures: list[Departure] = Field(
        default_factory=list, description="Where `preprocessing` differs on purpose from the weights' own processor."
    )
    own_preprocessing: OwnPreprocessing | None = None
    tiles: Tiles | None = Field(
        default=None, exclude_if=_is_none, description="Of an embedding; preprocessed as a plate is."
    )
    parameters: dict[str, int | float | str | bool] = Field(
        default_factory=dict, description="Checked by the loader's own schema."
    )
    prompts: list[PromptPin] | None = Field(
        default=None, exclude_if=_is_none, description="Prompt sets of model_specs/prompts/, in order."
    )
    numeric: Numeric | None = None
    failure_modes: list[FailureMode] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list, description="Where sources contradict each other, and what is open.")
    sources: list[str] = Field(default_factory=list)
    batch_size: int = Field(default=8, gt=0)
    max_partitions_per_run: int = Field(default=200, gt=0)

    @property
    def inputs_per_plate(self) -> int:
        """How often the model sees a plate: whole, and each tile."""
        return 1 + sum(grid**2 for grid in self.tiles.grids) if self.tiles else 1

    @property
    def plates_at_once(self) -> int:
        """How many plates are held and measured together, so that their inputs are about `batch_size`."""
        return max(1, self.batch_size // self.inputs_per_plate)

    @field_validator("parameters", mode="after")
    @classmethod
    def _sorted(cls, parameters: dict) -> dict:
        return dict(sorted(parameters.items()))

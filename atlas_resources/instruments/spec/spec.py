"""What an instrument is: the frozen schema of `model_specs/*.yaml`. No files are read here."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from atlas_resources.files.contract import Contract, Sha256, is_null
from atlas_resources.instruments.spec.input import (
    Crop,
    DefaultProcessor,
    Departure,
    OwnPreprocessing,
    Preprocessing,
    Tiles,
)
from atlas_resources.instruments.spec.numeric import Numeric
from atlas_resources.instruments.spec.output import Output
from atlas_resources.instruments.spec.ranking import Ranking
from atlas_resources.instruments.spec.served import Served
from atlas_resources.instruments.spec.weights import Weights

Role = Literal["embedding", "segmentation", "detection", "probe", "text", "generative", "pruning", "palette", "outline"]


class Licence(Contract):
    """Licence terms. Every row that the instrument measures carries them."""

    spdx: str = Field(description="SPDX id, `LicenseRef-` for terms without one, or `unknown`.")
    commercial_use: Literal["yes", "no", "unknown"]
    source: str


Objective = Literal[
    "contrastive_image_text",
    "contrastive_multimodal",
    "autoregressive_image_text",
    "self_supervised",
    "supervised_classification",
]


class FailureMode(Contract):
    """A known way in which results are wrong, and its source."""

    fact: str
    source: str


class Region(Contract):
    """Position of an instrument that is derived from a segmenter: `regions/<segmenter>/<part>`."""

    segmenter: str
    part: str
    crop: Crop | None = Field(default=None, description="How a segment is cut out for a model.")
    embedder: str | None = Field(
        default=None, exclude_if=is_null, description="Key of the instrument that is shown the segments."
    )


class Refusal(Contract):
    """Why an instrument will not run even if its spec is complete, and the source of that."""

    reason: str
    source: str


class PromptPin(Contract):
    """One version of a prompt set, pinned by digest as weights are."""

    set: str
    version: int = Field(ge=1)
    sha256: Sha256


Key = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="The file's stem; asset, resource and ledger use it."),
]


class Spec(Contract):
    """One instrument. A fact without a source may be null; the instrument then stays an idea."""

    key: Key
    role: Role
    title: str
    description: str
    model_id: str
    loader: str | None = Field(description="Family of models: a key of LOADERS; null if it has no loader yet.")
    upstream: str | None = Field(
        default=None,
        exclude_if=is_null,
        description="Key of the instrument whose sealed results it reads, plate by plate; null if it reads none.",
    )
    region: Region | None = Field(
        default=None, exclude_if=is_null, description="Set only if the instrument is derived from a segmenter."
    )
    variant_of: str | None = Field(
        default=None,
        exclude=True,
        description="Key of the instrument whose file has everything that a variant does not state; see `variant.py`. "
        "Not part of the fingerprint, and not written: what is written out is complete.",
    )
    refusal: Refusal | None = None
    objective: Objective | None = Field(default=None, description="What an embedding was trained for.")
    parameter_count: int | None = Field(default=None, gt=0, description="Number of parameters, as its source states.")
    weights: Weights | None = None
    configuration: dict[str, int | float | str | bool | list[int]] | None = Field(
        default=None,
        exclude_if=is_null,
        description="Fields that the snapshot's config.json must have when transformers has read it, by their path in "
        "the network's configuration. For a config.json whose digest no source states. Not part of the fingerprint.",
    )
    licence: Licence | None = None
    output: Output | None = None
    preprocessing: Preprocessing | None = None
    departures: list[Departure] = Field(
        default_factory=list, description="Where `preprocessing` differs on purpose from the weights' own processor."
    )
    default_processor: DefaultProcessor | None = Field(
        default=None, exclude_if=is_null, description="Null if the library's default differs by 0.0001 or less."
    )
    own_preprocessing: OwnPreprocessing | None = None
    tiles: Tiles | None = Field(
        default=None, exclude_if=is_null, description="Only for an embedding: tiles that are embedded too."
    )
    parameters: dict[str, int | float | str | bool] = Field(
        default_factory=dict, description="Checked by the loader's own schema."
    )
    prompts: list[PromptPin] | None = Field(
        default=None, exclude_if=is_null, description="Prompt sets of model_specs/prompts/, in order."
    )
    ranking: Ranking | None = Field(
        default=None,
        exclude_if=is_null,
        description="Only for an instrument that ranks the keywords of its upstream by sealed vectors.",
    )
    numeric: Numeric | None = Field(default=None, description="Of a served model: how its server computes.")
    served: Served | None = Field(
        default=None,
        exclude_if=is_null,
        description="The program that serves the model; null for a model that a run loads itself.",
    )
    failure_modes: list[FailureMode] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list, description="Contradictions between sources, and open questions.")
    sources: list[str] = Field(default_factory=list)
    batch_size: int = Field(default=8, gt=0)
    max_partitions_per_run: int = Field(default=200, gt=0)

    @property
    def reads(self) -> tuple[str, ...]:
        """Keys of the instruments whose sealed results it reads: upstream first, then the vectors of a ranking."""
        vectors = self.ranking.vectors if self.ranking else None
        return tuple(key for key in (self.upstream, vectors) if key)

    @property
    def inputs_per_plate(self) -> int:
        """Number of model inputs per plate: the whole plate, and each tile."""
        return 1 + sum(grid**2 for grid in self.tiles.grids) if self.tiles else 1

    @property
    def plates_at_once(self) -> int:
        """How many plates are held and measured together, so that their inputs are about `batch_size`."""
        return max(1, self.batch_size // self.inputs_per_plate)

    @field_validator("parameters", mode="after")
    @classmethod
    def _sorted(cls, parameters: dict) -> dict:
        return dict(sorted(parameters.items()))

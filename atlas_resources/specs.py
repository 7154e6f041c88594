"""What an instrument is: the frozen schema of `model_specs/*.yaml`, its fingerprint and the admission rules.

No files are read here.
"""

import hashlib
import json
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from atlas_resources.contracts import Contract, InstrumentIdentity, Sha256

Role = Literal["embedding", "segmentation", "detection", "probe", "text"]
Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
Mean = Annotated[float, Field(allow_inf_nan=False)]
Deviation = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class WeightFile(Contract):
    """One file of a model. Only weights need a digest for admission; a digest that is given is always checked."""

    path: str
    format: Literal["safetensors", "pickle", "json"]
    sha256: Sha256 | None = None
    size_bytes: int | None = None


class HubWeights(Contract):
    """Weights in a model hub's repository, pinned by commit."""

    kind: Literal["hub"]
    repository: str
    revision: Revision | None = None
    files: list[WeightFile]


class LibraryWeights(Contract):
    """Weights that a library distributes: pinned by library, exact version, name and digest.

    `package` means that the file lies in the installed distribution; `torch_hub`, in torch's checkpoint folder.
    """

    kind: Literal["library"]
    library: str
    version: str
    location: Literal["package", "torch_hub"]
    files: list[WeightFile]


class Algorithm(Contract):
    """No weights: the exact version of the library that computes takes their place."""

    kind: Literal["algorithm"]
    library: str
    version: str


Weights = Annotated[HubWeights | LibraryWeights | Algorithm, Field(discriminator="kind")]


class Licence(Contract):
    """Terms that follow every row made with the instrument."""

    spdx: str = Field(description="SPDX id, or `unknown` said outright.")
    commercial_use: Literal["yes", "no", "unknown"]
    source: str


class Resize(Contract):
    """`shortest_side` and `longest_side` keep the aspect ratio; `exact` does not."""

    mode: Literal["shortest_side", "longest_side", "exact"]
    size_px: int = Field(gt=0)


class Preprocessing(Contract):
    """From the source's sRGB pixels to the model's input, in this order: resize, crop, rescale to 0..1, normalise."""

    raster: Literal["source"] = Field(description="The pixels that are resized: the source at full size.")
    colour_policy: Literal["srgb8-v1"]
    backend: Literal["pillow"]
    resize: Resize | None
    interpolation: Literal["bicubic", "bilinear", "box"]
    crop_px: int | None = Field(default=None, gt=0, description="Side of the centre crop.")
    mean: tuple[Mean, Mean, Mean] | None = Field(default=None, description="Per channel, after rescaling to 0..1.")
    std: tuple[Deviation, Deviation, Deviation] | None = None

    @model_validator(mode="after")
    def _normalised_by_both(self) -> "Preprocessing":
        if (self.mean is None) != (self.std is None):
            raise ValueError("mean and std are declared together or not at all")
        return self


class VectorOutput(Contract):
    """An embedding."""

    kind: Literal["vector"]
    dim: int = Field(gt=0)
    dtype: Literal["float32"]
    pooled_feature: Literal["global_average_pool", "projected_image_embedding", "cls_token"]


class ScoresOutput(Contract):
    """A score per label."""

    kind: Literal["scores"]
    labels: Literal["imagenet_1k"]
    count: int = Field(gt=0)
    dtype: Literal["float32"]
    calibration: str = Field(description="What the scores are calibrated to, or `uncalibrated`.")


class MasksOutput(Contract):
    """Masks at the source's size."""

    kind: Literal["masks"]
    encoding: Literal["coco_rle"]
    classes: list[str] = Field(description="Class names; empty for class-agnostic masks.")


Output = Annotated[VectorOutput | ScoresOutput | MasksOutput, Field(discriminator="kind")]
OUTPUT_OF_ROLE = {"embedding": "vector", "probe": "scores", "segmentation": "masks"}


class Numeric(Contract):
    """How numbers are computed. An instrument declared for `cuda` never runs on the CPU instead."""

    dtype: Literal["float32"]
    device: Literal["cpu", "cuda"]


class FailureMode(Contract):
    """A known way to be wrong, and who says so."""

    fact: str
    source: str


class Spec(Contract):
    """One instrument. A null is allowed wherever a fact could not be sourced: it keeps the instrument an idea."""

    key: str = Field(
        pattern=r"^[a-z][a-z0-9_]{0,62}$", description="The file's stem; asset, resource and ledger use it."
    )
    role: Role
    title: str
    description: str
    model_id: str
    loader: str
    weights: Weights | None = None
    licence: Licence | None = None
    output: Output | None = None
    preprocessing: Preprocessing | None = None
    parameters: dict[str, int | float | str | bool] = Field(
        default_factory=dict, description="Checked by the loader's own schema."
    )
    numeric: Numeric | None = None
    failure_modes: list[FailureMode] = Field(default_factory=list)
    sources: list[str] = Field(default_factory=list)
    batch_size: int = Field(default=8, gt=0)
    max_partitions_per_run: int = Field(default=200, gt=0)

    @field_validator("parameters", mode="after")
    @classmethod
    def _sorted(cls, parameters: dict) -> dict:
        return dict(sorted(parameters.items()))


def model_sha(spec: Spec) -> str | None:
    """The pin of the model's weights or, without weights, of its code. None if it is not pinned."""
    match spec.weights:
        case HubWeights(revision=revision):
            return revision
        case LibraryWeights(library=library, version=version) | Algorithm(library=library, version=version):
            return f"{library}=={version}"
    return None


def weights_sha256(spec: Spec) -> str | None:
    """Digest of the weights: of the file if there is one, else of the sorted list `sha256  path`.

    None without weights.
    """
    if spec.weights is None or isinstance(spec.weights, Algorithm):
        return None
    weight_files = [file for file in spec.weights.files if file.format != "json"]
    if len(weight_files) == 1:
        return weight_files[0].sha256
    lines = sorted(f"{file.sha256}  {file.path}\n" for file in weight_files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def missing_for_admission(spec: Spec) -> list[str]:
    """What the spec must still declare before the instrument may run; empty means admitted."""
    missing = []
    if model_sha(spec) is None:
        missing.append("weights: no pinned revision")
    if spec.weights is not None and not isinstance(spec.weights, Algorithm):
        weight_files = [file for file in spec.weights.files if file.format != "json"]
        missing += [f"weights: no sha256 of {file.path}" for file in weight_files if file.sha256 is None]
        if not weight_files:
            missing.append("weights: no weight file")
    if spec.licence is None:
        missing.append("licence: neither an SPDX id nor `unknown`")
    if spec.output is None:
        missing.append("output: no contract")
    elif OUTPUT_OF_ROLE.get(spec.role) != spec.output.kind:
        missing.append(f"output: {spec.output.kind!r} is not what the role {spec.role!r} gives")
    if spec.preprocessing is None:
        missing.append("preprocessing: not declared")
    if spec.numeric is None:
        missing.append("numeric: dtype and device not declared")
    if not spec.failure_modes:
        missing.append("failure_modes: none known and sourced")
    return missing


def is_admitted(spec: Spec) -> bool:
    """Whether the instrument may run."""
    return not missing_for_admission(spec)


def fingerprint(spec: Spec, loader_version: int) -> str:
    """sha256 over everything that can change a result. Prose, licence and batch size are not part of it.

    Args:
        spec: the instrument.
        loader_version: version of the loader's code, from the registry.
    """
    weights = [] if spec.weights is None or isinstance(spec.weights, Algorithm) else spec.weights.files
    payload = {
        "model_id": spec.model_id,
        "model_sha": model_sha(spec),
        "weights": {file.path: file.sha256 for file in weights},
        "preprocessing": spec.preprocessing and spec.preprocessing.model_dump(),
        "output": spec.output and spec.output.model_dump(),
        "parameters": spec.parameters,
        "numeric": spec.numeric and spec.numeric.model_dump(),
        "loader": [spec.loader, loader_version],
        "role": spec.role,
    }
    return hashlib.sha256(json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def preprocess_tag(spec: Spec) -> str:
    """A short name that tells two preprocessings apart, such as `shortest_side256.bicubic.crop224.1a2b3c4d`."""
    if spec.preprocessing is None:
        return "undeclared"
    steps = spec.preprocessing
    digest = hashlib.sha256(steps.model_dump_json().encode()).hexdigest()[:8]
    resize = f"{steps.resize.mode}{steps.resize.size_px}" if steps.resize else "unresized"
    crop = f"crop{steps.crop_px}" if steps.crop_px else "uncropped"
    return f"{resize}.{steps.interpolation}.{crop}.{digest}"


def identity(spec: Spec, loader_version: int) -> InstrumentIdentity:
    """The part of the spec that every sealed run and ledger row carries.

    Raises ValueError if the spec is not admitted.
    """
    missing = missing_for_admission(spec)
    sha = model_sha(spec)
    if missing or sha is None or spec.licence is None:
        raise ValueError(
            f"{spec.key} is an idea, not an instrument: {'; '.join(missing)}. Complete model_specs/{spec.key}.yaml."
        )
    return InstrumentIdentity(
        key=spec.key,
        role=spec.role,
        model_id=spec.model_id,
        model_sha=sha,
        weights_sha256=weights_sha256(spec),
        preprocess_tag=preprocess_tag(spec),
        loader=spec.loader,
        loader_version=loader_version,
        fingerprint=fingerprint(spec, loader_version),
        licence=spec.licence.spdx,
        commercial_use=spec.licence.commercial_use,
    )

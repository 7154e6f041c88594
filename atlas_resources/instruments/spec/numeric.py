"""How an instrument's numbers are computed: type, class of device, and the switches of torch that follow from them."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from atlas_resources.files.contract import Contract, Sha256, is_null


class Golden(Contract):
    """How near a fast mode is to float32 on golden plates. `atlas models golden KEY` measures it."""

    cosine_min: float = Field(ge=-1, le=1, description="Smallest cosine of a plate's vector or logits to float32.")
    farthest: str = Field(description="The plate with the smallest cosine.")
    plates: int = Field(gt=0)
    subject: Sha256 = Field(description="Digest of all that the cosine depends on.")


Limit = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Tolerance(Contract):
    """How far the results of a repeated run may be from the sealed ones and still agree."""

    relative: Limit = Field(
        description="Of a vector, or the logits of a plate: length of the difference over the length. Of another "
        "number: the difference, over the number where that is above 1."
    )
    score: Limit = Field(description="Of a score: the difference.")
    box_px: Limit = Field(description="Of an edge of a detected box: the difference, source pixels.")
    pixel_share: Limit = Field(
        description="Of a mask: 1 - intersection over union. Of a colour's share, a mask's stability: the difference."
    )
    delta_e: Limit = Field(description="Of a colour: CIEDE2000.")
    field_ratio: Limit = Field(
        default=0.0, description="Of a structured answer with the same fields: share of the fields with other values."
    )


class Numeric(Contract):
    """How numbers are computed. An instrument declared for `cuda` never runs on the CPU instead."""

    dtype: Literal["float32", "float16", "bfloat16"] = Field(
        description="If narrower than float32, torch.autocast decides which operations use it, and weights of "
        "matrix products and convolutions are kept in it."
    )
    device: Literal["cpu", "cuda"] = Field(description="Class of the device.")
    device_index: int | None = Field(
        default=None,
        ge=0,
        exclude_if=is_null,
        description="Which of several CUDA devices; the first if null. ATLAS_CUDA_DEVICE overrides it. Not part of the "
        "fingerprint.",
    )
    device_map: Literal["auto"] | dict[str, Annotated[int, Field(ge=0)] | Literal["cpu", "disk"]] | None = Field(
        default=None,
        exclude_if=is_null,
        description="For a model that is too large for one device: which module, by its path in the network, is on "
        "which CUDA device, by its index, or has its weights in the machine's memory (`cpu`) or on its `disk` until "
        "they are computed with; `auto` fills the CUDA devices. Not part of the fingerprint: every module computes on "
        "a device of the declared class.",
    )
    attention: Literal["eager", "sdpa", "flash_attention_2"] | None = Field(
        default=None,
        exclude_if=is_null,
        description="Attention kernel of a transformers network; its choice if null.",
    )
    matmul_precision: Literal["highest", "high", "medium"] | None = Field(
        default=None,
        exclude_if=is_null,
        description="Of float32 matrix products in torch, and on CUDA of convolutions; `highest` if null.",
    )
    compile: Literal["inductor"] | None = Field(
        default=None,
        exclude_if=is_null,
        description="Compiler of torch.compile, which fuses operations and so rounds otherwise; none if null.",
    )
    golden: Golden | None = Field(default=None, exclude_if=is_null, description="Not part of the fingerprint.")
    tolerance: dict[Literal["relative", "score", "box_px", "pixel_share", "delta_e", "field_ratio"], Limit] | None = (
        Field(
            default=None,
            exclude_if=is_null,
            description="Limits of `atlas reproduce` that differ from those of the mode. Not part of the fingerprint.",
        )
    )

    @model_validator(mode="after")
    def _computes_on_the_declared_device(self) -> Self:
        places = set(self.device_map.values()) if isinstance(self.device_map, dict) else set()
        has_card = any(isinstance(place, int) for place in places)
        if places and has_card != (self.device == "cuda"):
            expected = "the index of a CUDA device at least" if self.device == "cuda" else "`cpu` and `disk` only"
            raise ValueError(f"device_map: expected {expected}, as the device is {self.device}")
        if self.device_map == "auto" and self.device == "cpu":
            raise ValueError("device_map: expected a module's place for each, as `auto` fills CUDA devices")
        if self.device_map == {}:
            raise ValueError("device_map: expected a place for each module, found none")
        if self.device_map is not None and (self.device_index is not None or self.compile is not None):
            raise ValueError("device_map: expected neither device_index nor compile beside it")
        return self


ON_CUDA: dict[str, str | bool] = {
    # Sums of narrow products stay float32.
    "cuda.matmul.allow_bf16_reduced_precision_reduction": False,
    "cuda.matmul.allow_fp16_reduced_precision_reduction": False,
    "cuda.matmul.allow_fp16_accumulation": False,
    # A choice of kernels by their time would differ from run to run.
    "cudnn.benchmark": False,
    "cudnn.deterministic": True,
}
DETERMINISTIC = {
    "deterministic_algorithms": "warn",
    # One of the two values with which cuBLAS repeats its numbers: "Results reproducibility" in its documentation.
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",
}
"""On CUDA: torch takes the deterministic algorithm where it has one and warns where it has none."""


def mode_of(numeric: Numeric | None) -> dict[str, Any]:
    """What of a numeric mode can change a result."""
    return numeric.model_dump(exclude={"golden", "device_index", "device_map", "tolerance"}) if numeric else {}


def switches_of(numeric: Numeric) -> dict[str, str | bool]:
    """The switches of `torch.backends` that a mode needs, by path.

    Precisions are `ieee` (float32 throughout), `tf32` or `bf16`, as `torch.set_float32_matmul_precision` sets them. On
    the CPU, convolutions are float32 in every mode.
    """
    precision = numeric.matmul_precision or "highest"
    on_cuda = "ieee" if precision == "highest" else "tf32"
    return {
        "cuda.matmul.fp32_precision": on_cuda,
        "cudnn.conv.fp32_precision": on_cuda,
        "cudnn.rnn.fp32_precision": on_cuda,
        "mkldnn.matmul.fp32_precision": {"highest": "ieee", "high": "tf32", "medium": "bf16"}[precision],
        "mkldnn.conv.fp32_precision": "ieee",
        **(ON_CUDA if numeric.device == "cuda" else {}),
    }


def pinned_modes(numeric: Numeric | None) -> dict[str, str | bool]:
    """What is pinned of a GPU's numeric modes, by name; empty for the CPU. Part of the fingerprint, so on CUDA only."""
    return {**switches_of(numeric), **DETERMINISTIC} if numeric and numeric.device == "cuda" else {}

"""The program that serves an instrument's model, for a model that is not loaded in the run's own process."""

from typing import Literal

from pydantic import Field, model_validator

from atlas_resources.files.contract import Contract, is_null

Program = Literal["vllm", "lmdeploy", "transformers", "llama-cpp", "triton"]
FlagValue = int | float | str | bool


class Served(Contract):
    """What answers for the model. All of it but the endpoint is part of the fingerprint.

    `atlas models serve` verifies the pinned weights and starts the program with these flags on this machine. A server
    that somebody else runs has an endpoint and a name of who vouches for it: nothing of it can be verified from here.
    """

    program: Program
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*$", description="Exact version of the program.")
    flags: dict[str, FlagValue] = Field(
        default_factory=dict,
        description="Flags by name without dashes, as the program takes them; `true` for one without a value. Those of "
        "address, port, model and its name are set by `atlas models serve`.",
    )
    endpoint: str | None = Field(
        default=None,
        pattern=r"^https?://",
        exclude_if=is_null,
        description="Address of a server that somebody else runs; null for one that `atlas models serve` starts.",
    )
    model_name: str | None = Field(
        default=None, exclude_if=is_null, description="Name of the model at that endpoint; null without one."
    )
    attested_by: str | None = Field(
        default=None, exclude_if=is_null, description="Who vouches for what that endpoint serves; every row names them."
    )

    @model_validator(mode="after")
    def _attested_whole(self) -> "Served":
        stated = {"endpoint": self.endpoint, "model_name": self.model_name, "attested_by": self.attested_by}
        missing = [name for name, value in stated.items() if value is None]
        if missing and len(missing) < len(stated):
            raise ValueError(
                f"a server that somebody else runs has endpoint, model_name and attested_by; found no {missing[0]}"
            )
        return self

"""The program that serves an instrument's model, for a model that is not loaded in the run's own process."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from atlas_resources.files.contract import Contract, is_null

Program = Literal["vllm", "lmdeploy", "transformers", "llama-cpp", "triton"]
FlagName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9._-]*$")]
FlagValue = int | float | str | bool

REFUSED_FLAGS = {
    "trust-remote-code": "code from a model's repository is never run",
    "api-key": "a key is written nowhere; a server on loopback needs none",
    "hf-token": "a key is written nowhere; a server loads files of this machine only",
    "allowed-local-media-path": "a server is sent pictures and reads none from disk",
    **dict.fromkeys(
        ("host", "port", "server-name", "server-port", "uds", "model", "served-model-name", "model-name", "alias"),
        "`atlas models serve` sets it",
    ),
    **dict.fromkeys(
        (
            *("model-repository", "model-store", "model-control-mode", "load-model", "model-config-name"),
            *("strict-model-config", "disable-auto-complete-config", "http-address", "http-port", "reuse-http-port"),
            *("allow-http", "allow-grpc", "allow-metrics"),
        ),
        "`atlas models serve` sets it: Triton serves the pinned model alone, as it is pinned, on loopback",
    ),
    **dict.fromkeys(("dtype", "device"), "`numeric` states it"),
    **dict.fromkeys(
        ("generation-config", "chat-template", "chat-template-file"), "the pinned files and `parameters` state it"
    ),
}
"""Why a flag may not be declared, by its name with dashes."""


class Served(Contract):
    """What answers for the model. All of it but the endpoint is part of the fingerprint.

    `atlas models serve` verifies the pinned weights and starts the program with these flags on this machine. A server
    that somebody else runs has an endpoint and a name of who vouches for it: nothing of it can be verified from here.
    """

    program: Program
    version: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.!+_-]*$", description="Exact version of the program.")
    flags: dict[FlagName, FlagValue] = Field(
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

    @field_validator("flags", mode="after")
    @classmethod
    def _flags_allowed(cls, flags: dict[str, FlagValue]) -> dict[str, FlagValue]:
        for name, value in flags.items():
            if reason := REFUSED_FLAGS.get(name.replace("_", "-").lower()):
                raise ValueError(f"{name} is not declared as a flag: {reason}")
            if value is False:
                raise ValueError(f"{name}: leave a flag out instead of giving it as `false`")
        return dict(sorted(flags.items()))

    @field_validator("endpoint", mode="after")
    @classmethod
    def _endpoint_plain(cls, endpoint: str | None) -> str | None:
        if endpoint and ("@" in endpoint or "?" in endpoint or endpoint.rstrip("/").endswith("/v1")):
            raise ValueError("an endpoint is scheme, host and port, without /v1, a query or a name of a user")
        return endpoint and endpoint.rstrip("/")

    @model_validator(mode="after")
    def _attested_whole(self) -> "Served":
        stated = {"endpoint": self.endpoint, "model_name": self.model_name, "attested_by": self.attested_by}
        missing = [name for name, value in stated.items() if value is None]
        if missing and len(missing) < len(stated):
            raise ValueError(
                f"a server that somebody else runs has endpoint, model_name and attested_by; found no {missing[0]}"
            )
        return self
